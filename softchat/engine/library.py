"""llama.cpp's library, through llama-cpp-python: the one place where it is loaded."""

from __future__ import annotations

import os

from softchat.base.text import one_line
from softchat.errors import SoftchatError

_ANEW = "install it anew: pip install --force-reinstall --no-cache-dir llama-cpp-python"
_ELSEWHERE = "LLAMA_CPP_LIB_PATH"  # where llama-cpp-python looks, if it is set

try:
    import llama_cpp
except (ImportError, OSError, RuntimeError) as error:
    wrong = f"is {_ELSEWHERE} right? else " if os.environ.get(_ELSEWHERE) else ""
    raise SoftchatError(
        one_line(f"llama.cpp can't be loaded: {error}"), hint=f"{wrong}{_ANEW}"
    ) from error

__all__ = ["llama_cpp"]
