"""The same soft trace by softchat on llama.cpp and by transformers on PyTorch: how far apart?

Not a test, as it needs gigabytes: `pip install -e '.[dev,crosscheck]'`, then
`python -m tests.crosscheck`. Exits with 1 beyond the tolerance.

transformers loads the very file that llama.cpp does, computes in float32 without a cache, and is
fed the concept tokens that softchat says it fed: left to itself, a random model amplifies the
smallest difference. Tolerance: llama.cpp keeps keys and values as float16, a relative error of 5e-4
each.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from softchat.engine.llama import LlamaEngine
from softchat.events import Step
from softchat.settings import resolve
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests import tiny, zoo

MODELS = ["llama", "qwen2", "qwen3", "gemma3", "starcoder2", "mamba"]
STEPS, TOPN, TEMPERATURE = 24, 5, 0.8
PROMPT = [1, 17, 42, 5]
_QKV = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
_BIASES = {"qwen2": ("output.bias", "attn_output.bias"), "qwen3": _QKV, "gemma3": _QKV}
TOLERANCE = 1e-2  # nats, of weights, and as a share of the logits' range


class Listener(LlamaEngine):
    """An engine that remembers all logits it gave, and whose text never ends."""

    def listen(self):
        self.heard = []
        return self

    def is_end(self, token):
        return False

    def decode_tokens(self, tokens):
        return self._hear(super().decode_tokens(tokens))

    def decode_embedding(self, embedding):
        return self._hear(super().decode_embedding(embedding))

    def _hear(self, logits):
        if hasattr(self, "heard"):
            self.heard.append(logits.copy())
        return logits


def main() -> int:
    """Print the largest differences for each model; 1 if one is beyond the tolerance."""
    torch.set_num_threads(1)
    failed = False
    print("| model | logits, of their range | entropy, nats | weights | same top n |")
    print("|---|---|---|---|---|")
    for model in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            worst, same = compare(write(Path(folder) / "tiny.gguf", model))
        print(f"| {model} | {' | '.join(f'{gap:.1e}' for gap in worst)} | {same} of {STEPS} |")
        failed |= max(worst) > TOLERANCE
    return int(failed)


def write(path: Path, model: str) -> Path:
    """The tests' tiny Llama, or the zoo's model without what transformers would pass over.

    That is biases that an architecture need not have. And of Qwen3 and Gemma 3 it does not read
    what a head's width, the scale of its scores or the pattern of its windows is: these are the
    real models'.
    """
    if model == "llama":
        return tiny.write(path)
    if model in _BIASES:
        width = {"qwen2": zoo.HEAD, "qwen3": 128, "gemma3": 256}[model]
        sizes = {"attention.key_length": width, "attention.value_length": width}
        sizes["attention.sliding_window_pattern"] = 6  # Gemma 3's: both layers have a window
        return zoo.write(path, model, without=_BIASES[model], **sizes)
    return zoo.write(path, model)


def compare(path: Path) -> tuple[list[float], int]:
    """The largest differences of logits, entropies and weights, and how many top n are the same."""
    steps, heard, scale = soft_trace(path)
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    table = model.get_input_embeddings().weight.detach()
    inputs = [model.get_input_embeddings()(torch.tensor(token)) for token in PROMPT]
    scale_there = float((inputs[0] / table[PROMPT[0]]).mean())  # Gemma's embedding layer scales
    assert abs(scale_there - scale) < 1e-3 * scale, (scale_there, scale)
    worst, same = np.zeros(3), 0
    for step, mine in zip(steps, heard, strict=False):
        with torch.no_grad():
            logits = model(inputs_embeds=torch.stack(inputs)[None], use_cache=False).logits[0, -1]
        theirs = logits.double().numpy()
        p = np.exp((theirs - theirs.max()) / TEMPERATURE)
        p /= p.sum()
        ids = [entry.id for entry in step.concept]
        weights = np.array([entry.weight for entry in step.concept])
        # Given the same tokens: of two nearly equal ones either may be the n-th.
        gaps = (
            np.abs(mine - theirs).max() / np.ptp(theirs),
            abs(step.entropy + float((p * np.log(p)).sum())),
            np.abs(weights - p[ids] / p[ids].sum()).max(),
        )
        worst = np.maximum(worst, gaps)
        same += set(ids) == set(np.argsort(-p)[:TOPN].tolist())
        inputs.append(torch.tensor(weights, dtype=torch.float32) @ (table[ids] * scale_there))
    return worst.tolist(), same


def soft_trace(path: Path) -> tuple[list[Step], list[np.ndarray], float]:
    """softchat's steps, the logits before each, and the scale of its rows."""
    asked = {"tau": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "topn": TOPN}
    asked |= {"loop_steps": 0, "drift_steps": 0}
    settings = resolve(
        {}, asked | {"temperature": TEMPERATURE, "max_think": STEPS, "max_answer": 1}
    )
    prompt = Prompt(tokens=tuple(PROMPT), close="", inject="一")
    with Listener(path, n_ctx=64, n_threads=1) as engine:
        events = list(think(engine.listen(), prompt, settings))
        steps = [event for event in events if isinstance(event, Step)]
        return steps, engine.heard, engine.scale


if __name__ == "__main__":
    sys.exit(main())
