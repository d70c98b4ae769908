"""Train the adapter: `python -m training.train MODEL CHAT OUT`. Killed and run again, it goes on.

The base is read from the very GGUF that softchat runs and frozen in bfloat16 (or `--dtype`); the
low-rank layers are float32. In a growing share of the batches the thoughts, or a part of them, are
not fed as tokens but as the mixtures that softchat would feed: a first pass without gradients gives
the model's own distribution at each position, of which the concept token is made as
`thinking.concept` makes it. Of an ordinary answer, the untrained model's distributions are learned,
not its tokens.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.utils import set_peft_model_state_dict
from torch.nn import functional
from transformers import AutoModelForCausalLM

from softchat.engine.llama import LlamaEngine
from training.examples import Example, make_examples
from training.superposition.adapters import read_adapter
from training.targets import targets

_MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_WINDOW = 24  # batches among which examples are sorted by length, so that little is padded
_HEAD = 16  # tokens that tell one system prompt from another
_TOP_P, _MIN_P = 0.95, 0.001
_LORA = re.compile(r"layers\.(\d+)\.\w+\.(\w+)\.lora_([AB])\.")


def load_base(path: Path, dtype: torch.dtype = torch.bfloat16) -> Any:  # noqa: ANN401  # transformers gives classes of its own making
    """The base model with the weights of a GGUF, as transformers has it."""
    return AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=dtype, attn_implementation="eager"
    )


def add_adapter(model: Any, rank: int) -> None:  # noqa: ANN401
    """Put low-rank layers beside all linear ones, with a scale of 2."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_MODULES)
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()


def load_adapter(model: Any, path: Path) -> None:  # noqa: ANN401
    """Fill the low-rank layers with those of a GGUF of the same rank."""
    layers = read_adapter(path)
    for name, parameter in model.named_parameters():
        if found := _LORA.search(name):
            layer, module, side = found.groups()
            parameter.data.copy_(layers[f"{layer}.{module}"]["AB".index(side)])


def make_batches(examples: list[Example], size: int, seed: int) -> list[list[Example]]:
    """Batches of examples of like length, in an order that does not follow length.

    Where examples begin as most do, with the same system prompt, they are kept together.
    """
    rng, batches = Random(seed), []
    usual = Counter(e.tokens[:_HEAD] for e in examples).most_common(1)[0][0]
    for first in range(0, len(examples), size * _WINDOW):
        window = sorted(
            examples[first : first + size * _WINDOW],
            key=lambda e: (e.tokens[:_HEAD] != usual, len(e.tokens)),
        )
        some = [window[i : i + size] for i in range(0, len(window), size)]
        rng.shuffle(some)
        batches += some
    return batches


def common_prefix(rows: list[tuple[int, ...]]) -> int:
    """With how many tokens all of the rows begin; at least one."""
    length = 1
    while all(length < len(row) and row[length] == rows[0][length] for row in rows):
        length += 1
    return length


def soft_share(done: float) -> float:
    """The share of soft batches when so much of the training is done: first 0, then up to 0.8."""
    return 0.8 * min(1.0, max(0.0, (done - 0.15) / 0.35))


def rate(done: float) -> float:
    """The learning rate's factor: a short rise, then half a cosine."""
    return min(1.0, done / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def mixtures(logits: torch.Tensor, rng: Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Concept tokens of logits (P, V): weights and ids, (P, n) each."""
    temperature, topn = rng.choice([0.6, 0.6, 0.8, 1.0]), rng.choice([5, 10, 10])
    p = torch.softmax(logits.float() / temperature, dim=-1)
    weights, ids = p.topk(topn, dim=-1)
    before = weights.cumsum(-1) - weights
    keep = (before < _TOP_P) & (weights >= _MIN_P * weights[:, :1])
    weights = weights * keep
    return weights / weights.sum(-1, keepdim=True), ids


class Trainer:
    """The model, what trains it, and how far it is."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dtype = getattr(torch, options.dtype)
        self.model = load_base(options.model, self.dtype)
        torch.manual_seed(options.seed)
        add_adapter(self.model, options.rank)
        if options.start:
            load_adapter(self.model, options.start)
        self.table = self.model.get_input_embeddings().weight.data
        self.weights = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=options.lr, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.step = 0
        self.spent = 0.0  # seconds

    @property
    def done(self) -> float:
        """How much of the plan is behind us, by steps or by time, whichever is more."""
        return max(self.step / self.options.steps, self.spent / 60 / self.options.minutes)

    def restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        set_peft_model_state_dict(self.model, state["adapter"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = state["step"], state["spent"]

    def save(self, path: Path) -> None:
        state = {
            "adapter": get_peft_model_state_dict(self.model),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "rank": self.options.rank,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def hidden(self, embeds: torch.Tensor, mask: torch.Tensor, shared: int) -> torch.Tensor:
        """The last layer's output (B, T, D); of the shared first positions, all zeros.

        The rows begin with the same tokens, the system prompt: these are computed once.
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype is torch.bfloat16):
            cache = self.model.model(inputs_embeds=embeds[:1, :shared], use_cache=True)
            kept = cache.past_key_values
            for layer in kept.layers:
                layer.keys = layer.keys.expand(len(embeds), -1, -1, -1)
                layer.values = layer.values.expand(len(embeds), -1, -1, -1)
            out = self.model.model(
                inputs_embeds=embeds[:, shared:], attention_mask=mask, past_key_values=kept
            ).last_hidden_state
        return functional.pad(out, (0, 0, shared, 0))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.linear(hidden.to(self.table.dtype), self.table)  # (P, V): tied

    def train(self, batch: list[Example]) -> tuple[float, bool]:
        """One step; its loss in nats a token, and whether mixtures were fed."""
        began, done = time.perf_counter(), self.done
        rng = Random(f"{self.options.seed} {self.step}")
        longest = max(len(e.tokens) for e in batch)
        tokens = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros(len(batch), longest, dtype=torch.long)
        counts = torch.zeros(len(batch), longest, dtype=torch.bool)
        for row, example in enumerate(batch):
            n = len(example.tokens)
            tokens[row, :n] = torch.tensor(example.tokens)
            mask[row, :n] = 1
            counts[row, :n] = torch.tensor(example.counts)
        embeds = functional.embedding(tokens, self.table)
        shared = common_prefix([e.tokens for e in batch])
        soft = rng.random() < soft_share(done)
        if soft:
            embeds = self.soften(embeds, mask, shared, _positions(batch, rng), rng)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * rate(done)
        hidden = self.hidden(embeds, mask, shared)[:, :-1][counts[:, 1:]]  # (P, D)
        log_p = functional.log_softmax(self.logits(hidden).float(), dim=-1)
        ids, weights = map(torch.from_numpy, targets(batch))
        loss = -(weights * log_p.gather(1, ids)).sum() / len(ids)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.step += 1
        self.spent += time.perf_counter() - began
        return float(loss.detach()), soft

    @torch.no_grad()
    def soften(
        self,
        embeds: torch.Tensor,
        mask: torch.Tensor,
        shared: int,
        places: list[tuple[int, int]],
        rng: Random,
    ) -> torch.Tensor:
        """The same embeddings (B, T, D), with mixtures at these places."""
        if not places:
            return embeds
        rows, columns = (torch.tensor(axis) for axis in zip(*places, strict=True))
        hidden = self.hidden(embeds, mask, shared)[rows, columns - 1]  # (P, D)
        weights, ids = mixtures(self.logits(hidden), rng)
        mixed = (weights.unsqueeze(-1) * self.table[ids].float()).sum(1)
        embeds = embeds.clone()
        embeds[rows, columns] = mixed.to(embeds.dtype)
        return embeds


def _positions(batch: list[Example], rng: Random) -> list[tuple[int, int]]:
    """Where mixtures are fed: all of an example's thoughts, or a part of them."""
    places = []
    for row, example in enumerate(batch):
        span = example.thinking
        if len(span) > 2 and rng.random() < 0.4:
            first, last = sorted(rng.sample(range(len(span) + 1), 2))
            span = span[first:last]
        places += [(row, column) for column in span]
    return places


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as many steps as are planned, keeping a checkpoint every now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="the GGUF")
    parser.add_argument("chat", type=Path, help="what training.distil wrote")
    parser.add_argument("out", type=Path, help="folder of checkpoint.pt and log.jsonl")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument(
        "--minutes", type=float, default=150, help="end after so long, if that is before the steps"
    )
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="of the base; float32 is much faster where the processor has no bfloat16",
    )
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="a GGUF of an adapter to train on, of this rank")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    with LlamaEngine(options.model, n_ctx=512) as engine:
        examples = make_examples(engine, options.chat, options.steps * options.batch, options.seed)
    batches = make_batches(examples, options.batch, options.seed)
    trainer, checkpoint = Trainer(options), options.out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.restore(checkpoint)
    with (options.out / "log.jsonl").open("a", encoding="utf-8") as log:
        while trainer.done < 1.0:
            batch, began = batches[trainer.step], time.perf_counter()
            loss, soft = trainer.train(batch)
            line = {
                "step": trainer.step,
                "loss": round(loss, 4),
                "soft": soft,
                "tokens": sum(len(e.tokens) for e in batch),
                "seconds": round(time.perf_counter() - began, 2),
            }
            log.write(json.dumps(line) + "\n")
            log.flush()
            if trainer.step % 25 == 0:
                trainer.save(checkpoint)
    trainer.save(checkpoint)


if __name__ == "__main__":
    main()
