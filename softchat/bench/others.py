"""Other ways to do it, measured where they are installed; None where they aren't.

transformers and torch are no dependencies of softchat: they are imported if they are here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TRANSFORMERS_NEEDS = ("torch", "transformers", "accelerate", "gguf")
_ONE_LINE = "What is the capital of France?"


def ask_to_llm(repeats: int) -> float | None:
    """Wall time of `softchat ask` for a one-line answer, as a share of that of `llm -m SmolLM2`.

    None where there is no `llm`, or it does not have that model.
    """
    llm = shutil.which("llm")
    if llm is None:
        return None
    theirs = [llm, "-m", "SmolLM2", _ONE_LINE]
    try:
        _wall_s(theirs)
    except subprocess.CalledProcessError:
        return None
    softchat = [sys.executable, "-m", "softchat", "ask", "--quiet", _ONE_LINE]
    ratios = [_wall_s(softchat) / _wall_s(theirs) for _ in range(repeats)]
    return round(statistics.median(ratios), 3)


def _wall_s(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - began


class TransformersLoop:
    """Soft steps on transformers (CPU, float32), with the weights of this GGUF."""

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # it would draw bars of its own
        self._torch: Any = importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
        transformers.logging.set_verbosity_error()
        load = transformers.AutoModelForCausalLM.from_pretrained
        self._model = load(str(path.parent), gguf_file=path.name, dtype=self._torch.float32)

    @classmethod
    def of(cls, path: Path) -> TransformersLoop | None:
        """None if it is not installed, or does not know the model."""
        if any(importlib.util.find_spec(name) is None for name in TRANSFORMERS_NEEDS):
            return None
        try:
            return cls(path)
        except Exception:  # noqa: BLE001  # whatever it raises for a model that it does not know
            return None

    def step_s(self, tokens: list[int], steps: int) -> float:
        """Seconds a step takes behind this prompt."""
        torch, model = self._torch, self._model
        table = model.get_input_embeddings().weight
        times = []
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # old and new names of the same argument
            out = model(torch.tensor([tokens]), use_cache=True)
            for _ in range(steps):
                p = torch.softmax(out.logits[0, -1] / 0.6, -1)
                weights, ids = p.topk(10)
                s = (weights / weights.sum()) @ table[ids]
                out = model(inputs_embeds=s[None, None], past_key_values=out.past_key_values)
                times.append(time.perf_counter())
        return (times[-1] - times[0]) / (len(times) - 1)
