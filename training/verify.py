"""Whether llama.cpp runs what was trained: `python -m training.verify MODEL CHECKPOINT ADAPTER`.

Compares the logits of transformers with the low-rank layers to those of llama.cpp with the GGUF of
them, on a few worked problems. llama.cpp rounds activations to 8 bits for a quantised model, so the
two differ a little even without an adapter: that difference is shown beside it, and how far the
adapter itself moves the logits, which is what a mistake in the export would amount to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from peft.utils import set_peft_model_state_dict

from softchat.engine.llama import LlamaEngine
from training.engine import open_engine
from training.examples import split
from training.prompt import CLOSE, make_question_prompt
from training.train import add_adapter, load_base

Logits = npt.NDArray[np.float32]
_PROBLEMS = 6


def _by_llama(engine: LlamaEngine, tokens: list[int], first: int) -> Logits:
    """Logits behind each token from `first` on, (n, V)."""
    engine.rollback(0)
    engine.decode_tokens(tokens[:first])
    return np.stack([engine.decode_tokens([token]).copy() for token in tokens[first:]])


@torch.no_grad()
def _by_torch(model: torch.nn.Module, tokens: list[int], first: int) -> Logits:
    out: Logits = model(torch.tensor([tokens])).logits[0, first:].float().numpy()
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the differences; status 1 if the adapter is not the same to llama.cpp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("adapter", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    texts = []
    with open_engine(options.model, None) as engine:
        for _, problem in islice(split("dev"), _PROBLEMS):
            prompt = list(make_question_prompt(engine, problem.question).tokens)
            worked = engine.tokenize("\n".join(problem.steps) + CLOSE + problem.answer)
            texts.append((prompt + worked, len(prompt)))
        llama_bare = [_by_llama(engine, *text) for text in texts]
    with open_engine(options.model, options.adapter) as engine:
        llama_with = [_by_llama(engine, *text) for text in texts]
    model = load_base(options.model, torch.float32)
    torch_bare = [_by_torch(model, *text) for text in texts]
    state = torch.load(options.checkpoint, weights_only=True)
    add_adapter(model, state["rank"])
    set_peft_model_state_dict(model, state["adapter"])
    torch_with = [_by_torch(model, *text) for text in texts]
    pairs = {
        "without it, llama.cpp to transformers": (llama_bare, torch_bare),
        "with it, llama.cpp to transformers": (llama_with, torch_with),
        "what it changes, in llama.cpp": (llama_with, llama_bare),
    }
    gaps = {}
    for name, (a, b) in pairs.items():
        gaps[name] = float(np.mean([np.abs(x - y).mean() for x, y in zip(a, b, strict=True)]))
        same = np.mean(
            np.concatenate([x.argmax(1) == y.argmax(1) for x, y in zip(a, b, strict=True)])
        )
        print(f"{name}: mean |Δ logit| {gaps[name]:.3f}, same likeliest token {same:.1%}")
    bare, trained, change = gaps.values()
    return 0 if trained < max(2 * bare, 0.2 * change) else 1


if __name__ == "__main__":
    sys.exit(main())
