"""Train one adapter: `python -m training.superposition.train FOLDER OUT`. Killed, it goes on.

FOLDER is what `training.superposition.pack` made: the base, the adapter that there is already, the
vocabulary, and examples of today's families and of ordinary answers. The adapter is added to the
frozen matrices; new low-rank layers learn beside it, so that what it can do stays. Runs on a CPU,
on two with --world 2 (start both, --number 0 and --number 1), or on a card.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, distributed

from training.superposition.families import make_of
from training.superposition.model import Model
from training.superposition.pack import Pack
from training.superposition.rehearsal import by_length, draw, rehearsal_loss
from training.superposition.rows import Encoder, Row, Style
from training.superposition.stage import Stage, mixture

SHARES = {
    "reach": 6.0,
    "trade": 3.0,
    "key": 3.0,
    "kinds": 2.0,
    "lights": 2.0,
    "closed": 1.5,
    "signed": 1.0,
}
_LATER = ("closed", "signed")  # when the others are under way
_OTHER_PORT = 29517


def depths(done: float) -> dict[int, float]:
    """How likely each depth is when so much of the training is done."""
    if done < 0.03:
        return {1: 1}
    if done < 0.35:
        return {1: 1, 2: 4}
    if done < 0.7:
        return {1: 0.4, 2: 3, 3: 5}
    return {2: 2, 3: 6, 4: 1.5}


def short_share(done: float) -> float:
    """In which share of the problems moves are told in the fewest letters."""
    return 0.7 if done < 0.3 else 0.0


def own_share(done: float) -> float:
    """In which share of the steps its own mixtures are fed."""
    return 0.7 * min(1.0, max(0.0, (done - 0.4) / 0.3))


def rate(done: float) -> float:
    """The learning rate's factor: a short rise, then half a cosine."""
    return min(1.0, done / 0.03) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Trainer:
    """The model, what trains it, and how far it is."""

    def __init__(self, pack: Pack, options: argparse.Namespace) -> None:
        self.pack, self.options = pack, options
        self.rehearsed = by_length(pack.rehearsed)
        self.encoder = Encoder(pack.vocabulary, Style(options.style))
        torch.manual_seed(options.seed)
        self.model = make_model(
            pack, options.lora_rank, options.first, options.device, options.dtype
        )
        self.weights = list(self.model.lora.values())
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=options.lr, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.step, self.spent, self.positions = 0, 0.0, 0

    @property
    def done(self) -> float:
        """How much of the time, or of the steps, is behind us."""
        o = self.options
        return max(self.spent / 60 / o.minutes, self.step / o.steps if o.steps else 0.0)

    @property
    def stage(self) -> float:
        """How far the curriculum is, which can be begun in its course and goes to its end."""
        begin: float = self.options.begin
        return begin + (1 - begin) * self.done

    def rows(self, rng: Random) -> list[Row]:
        """The problems of one step, all of one depth."""
        likely = depths(self.stage)
        (depth,) = rng.choices(list(likely), list(likely.values()))
        early = self.stage < 0.2
        shares = SHARES | self.options.shares
        shares = {k: v for k, v in shares.items() if not (early and k in _LATER)}
        names = rng.choices(list(shares), list(shares.values()), k=self.options.batch)
        puzzles = [
            make_of(
                rng,
                "train",
                name,
                depth,
                short=rng.random() < short_share(self.stage),
                freely=rng.random() < self.options.freely,
            )
            for name in names
        ]
        return [self.encoder.row(p, rng, lookups=self.options.lookups) for p in puzzles]

    def search_loss(self, rng: Random) -> tuple[Tensor, dict[str, Any]]:
        """Of problems of search."""
        rows = self.rows(rng)
        stage = Stage(self.model, self.pack.vocabulary.prefix, rows)
        most, own = max(len(b.fed) for b in stage.branches), None
        if self.encoder.style is Style.FRONTIER and rng.random() < own_share(self.stage):
            way = partial(mixture, temperature=rng.choice([0.8, 1.0, 1.0, 1.3]))
            own = stage.think(way, most)
        loss, figures = stage.loss(own)
        self.positions += sum(
            len(b.tokens) + len(b.fed) + len(b.tail) + len(b.lookups) for b in stage.branches
        ) + sum(len(row.told) for row in rows)
        return loss, {"thoughts": most, "own": own is not None, **figures}

    def rehearsal_loss(self, rng: Random) -> tuple[Tensor, dict[str, Any]]:
        """Of examples of what the adapter beneath can do."""
        batch = draw(self.rehearsed, 2 * self.options.batch, rng)
        self.positions += sum(len(one.tokens) for one in batch)
        return rehearsal_loss(self.model, batch, rng, self.options.hint, self.options.truth)

    def train(self) -> dict[str, Any]:
        """One step, shared with the other process if there is one."""
        o, began = self.options, time.perf_counter()
        rng = Random(f"{o.seed} {self.step} {o.number}")
        due = int((self.step + 1) * o.rehearse) > int(self.step * o.rehearse)
        loss, figures = (
            self.rehearsal_loss(rng) if due and self.rehearsed else self.search_loss(rng)
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = o.lr * rate(self.done)
        if o.world > 1:
            self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.step += 1
        took = torch.tensor([time.perf_counter() - began])
        if o.world > 1:
            distributed.broadcast(took, 0)  # so that both are as far
        self.spent += float(took)
        line = {"step": self.step, "loss": round(float(loss.detach()), 3), **figures}
        return line | {
            "seconds": round(float(took), 2),
            "positions": self.positions,
            "done": round(self.done, 4),
        }

    def _share_gradients(self) -> None:
        grads = [w.grad if w.grad is not None else torch.zeros_like(w) for w in self.weights]
        flat = torch.cat([grad.view(-1) for grad in grads])
        distributed.all_reduce(flat)
        parts = (flat / self.options.world).split([w.numel() for w in self.weights])
        for weight, part in zip(self.weights, parts, strict=True):
            weight.grad = part.view_as(weight)

    def save(self, path: Path) -> None:
        """All that is needed to go on."""
        state = {
            "adapter": self.model.adapter(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "positions": self.positions,
            "rank": self.options.lora_rank,
            "first": self.options.first,
            "style": self.options.style,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def save_adapter(self, path: Path) -> None:
        """What was learned, in half the bits: to measure, or for another training to start from."""
        adapter = {key: (a.half(), b.half()) for key, (a, b) in self.model.adapter().items()}
        state = {
            "adapter": adapter,
            "rank": self.options.lora_rank,
            "first": self.options.first,
            "style": self.options.style,
            "positions": self.positions,
        }
        torch.save(state, path)

    def start_from(self, path: Path) -> None:
        """Begin with an adapter that `save_adapter` or `training.superposition.release` wrote."""
        if path.suffix == ".gguf":
            from training.superposition.adapters import apart, read_adapter

            self.model.load(apart(read_adapter(path), self.pack.beneath))
            return
        state = torch.load(path, weights_only=True, map_location=self.model.device)
        self.model.load(state["adapter"])
        self.positions = state["positions"]

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        state = torch.load(path, weights_only=True, map_location=self.model.device)
        self.model.load(state["adapter"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.spent = state["step"], state["spent"]
        self.positions = state["positions"]


def make_model(pack: Pack, rank: int, first: int, device: str, dtype: str | None = None) -> Model:
    """The base with the adapter beneath and new low-rank layers."""
    held: torch.dtype | None = getattr(torch, dtype) if dtype else None
    return Model(pack.weights, rank, first, beneath=pack.beneath, device=device, dtype=held)


def _shares(text: str) -> dict[str, float]:
    shares = {
        name: float(share) for name, _, share in (one.partition("=") for one in text.split(","))
    }
    if unknown := shares.keys() - SHARES.keys():
        raise argparse.ArgumentTypeError(
            f"no kind that is trained on: {', '.join(sorted(unknown))}"
        )
    return shares


def parser_of() -> argparse.ArgumentParser:
    """The options of a training, without its files."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--steps", type=int, default=0, help="at the most; 0: as time allows")
    parser.add_argument("--batch", type=int, default=4, help="problems of two questions, a step")
    parser.add_argument("--lookups", type=int, default=10, help="a question")
    parser.add_argument(
        "--freely",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the problems, told in phrases that are put together anew",
    )
    parser.add_argument(
        "--rehearse",
        type=float,
        default=1 / 12,
        metavar="SHARE",
        help="of the steps, for what the adapter beneath can do",
    )
    parser.add_argument(
        "--hint", type=float, default=20.0, help="what the layers' outputs count there"
    )
    parser.add_argument(
        "--truth", type=float, default=0.0, help="what the problems' own tokens count there"
    )
    parser.add_argument("--style", default="frontier", choices=[str(style) for style in Style])
    parser.add_argument("--lora-rank", type=int, default=16)
    parser.add_argument("--first", type=int, default=0, help="the first layer that learns")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="of the frozen matrices; without it bfloat16 on a card, float32 on a CPU",
    )
    parser.add_argument("--start", type=Path, help="an adapter to begin with, .pt or .gguf")
    parser.add_argument("--begin", type=float, default=0.0, help="where the curriculum begins, 0–1")
    parser.add_argument(
        "--shares",
        type=_shares,
        default={},
        help="of kinds that are not as usual: reach=2,signed=8",
    )
    parser.add_argument("--number", type=int, default=0, help="which of the processes this is")
    parser.add_argument("--world", type=int, default=1, help="how many there are")
    return parser


def run(pack: Pack, out: Path, options: argparse.Namespace) -> None:
    """Train until time or steps are over, with a checkpoint every now and then."""
    torch.set_num_threads(options.threads)
    if options.device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = True
    out.mkdir(parents=True, exist_ok=True)
    if options.world > 1 and not distributed.is_initialized():
        distributed.init_process_group(
            "gloo",
            init_method=f"tcp://127.0.0.1:{_OTHER_PORT}",
            rank=options.number,
            world_size=options.world,
        )
    trainer, checkpoint = Trainer(pack, options), out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.restore(checkpoint)
    elif options.start:
        trainer.start_from(options.start)
    with (out / f"log-{options.number}.jsonl").open("a", encoding="utf-8") as log:
        while trainer.done < 1.0:
            log.write(json.dumps(trainer.train()) + "\n")
            log.flush()
            if trainer.step % 20 == 0 and options.number == 0:
                trainer.save(checkpoint)
    if options.number == 0:
        trainer.save(checkpoint)
        trainer.save_adapter(out / "adapter.pt")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, parents=[parser_of()])
    parser.add_argument("folder", type=Path, help="what training.superposition.pack made")
    parser.add_argument("out", type=Path, help="folder of checkpoint.pt and the log")
    options = parser.parse_args(arguments)
    run(Pack.read(options.folder), options.out, options)


if __name__ == "__main__":
    main()
