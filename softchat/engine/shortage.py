"""Too little memory: how it is recognised, and the way out. Knows nothing of models."""

from __future__ import annotations

import re

from softchat.base.files import shown_size

# What is said where memory ends: by llama.cpp, ggml, OpenMP, Python, OpenBLAS, the linker.
_SAID = re.compile(
    r"(?i:(cannot|unable to|failed to|attempted to) allocate|memory allocation|out of memory)"
    "|bad_alloc|MemoryError|mem_buffer|failed to map|Resource temporarily unavailable"
    "|can't start new thread"
)

CLOSE = "close other programs"


def is_shortage(message: str) -> bool:
    """Whether a failure is one of too little memory, by what was said of it."""
    return _SAID.search(message) is not None


def way_out(needed: int, n_ctx: int = 0) -> str:
    """What needs less than these bytes, which a context of `n_ctx` takes; 0: the weights alone."""
    what = f"with a context of {n_ctx} it needs" if n_ctx else "its weights alone need"
    needs = f"{what} {shown_size(needed)}, and buffers"
    return f"{needs}; a smaller --ctx needs less, and so does a smaller model"
