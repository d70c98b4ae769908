"""softchat's engine with an adapter, as the tools of this folder open it."""

from __future__ import annotations

from pathlib import Path

from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Lora

_POSITIONS = 512  # enough for a short problem, its thoughts and its answer


def open_engine(
    model: Path, adapter: Path | None, *, sequences: int = 1, threads: int = 2
) -> LlamaEngine:
    """The model with the adapter put on it, or as it is; so many questions fit at once."""
    loras = [Lora(path=adapter)] if adapter else []
    return LlamaEngine(model, n_ctx=_POSITIONS, sequences=sequences, n_threads=threads, loras=loras)
