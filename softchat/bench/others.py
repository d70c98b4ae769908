"""Other ways to do it, measured where they are installed; None where they aren't.

transformers and torch are no dependencies of softchat: they are imported if they are here.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ONE_LINE = "What is the capital of France?"


def ask_to_llm(repeats: int) -> float | None:
    """Wall time of `softchat ask` for a one-line answer, as a share of that of `llm -m SmolLM2`."""
    llm = shutil.which("llm")
    if llm is None:
        return None
    softchat = [sys.executable, "-m", "softchat", "ask", "--quiet", _ONE_LINE]
    pairs = [
        (_wall_s(softchat), _wall_s([llm, "-m", "SmolLM2", _ONE_LINE])) for _ in range(repeats)
    ]
    return round(statistics.median(ours / theirs for ours, theirs in pairs), 3)


def _wall_s(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - began


def transformers_step_s(path: Path, tokens: list[int], steps: int) -> float | None:
    """Seconds a soft step takes on transformers (CPU, float32), with the weights of this GGUF."""
    needed = ("torch", "transformers", "accelerate", "gguf")
    if any(importlib.util.find_spec(name) is None for name in needed):
        return None
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    load = transformers.AutoModelForCausalLM.from_pretrained
    try:
        model = load(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    except Exception:  # noqa: BLE001  # whatever it raises for a model that it does not know
        return None
    table = model.get_input_embeddings().weight
    times = []
    with torch.inference_mode():
        out = model(torch.tensor([tokens]), use_cache=True)
        for _ in range(steps):
            p = torch.softmax(out.logits[0, -1] / 0.6, -1)
            weights, ids = p.topk(10)
            s = (weights / weights.sum()) @ table[ids]
            out = model(inputs_embeds=s[None, None], past_key_values=out.past_key_values)
            times.append(time.perf_counter())
    return (times[-1] - times[0]) / (len(times) - 1)
