"""Whether a model fits this machine, and how it is quantised: told from sizes and names alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from softchat.engine.devices import Device

_QUANTISATION = re.compile(
    r"[-._]((?:UD-)?(?:I?Q[0-9](?:_[0-9A-Z]+)*|TQ[12]_0|MXFP4(?:_MOE)?|BF16|F16|F32))"
    r"(?:-[0-9]{5}-of-[0-9]{5})?\.gguf$",
    re.IGNORECASE,
)
# Beside the weights: a cache of a few thousand positions, buffers, and everything else that runs.
_SHARE, _REST = 1.2, 500_000_000  # of the file's size, bytes


def memory_bytes() -> int | None:
    """The memory of this machine; None where the system does not tell it (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def has_room(devices: Iterable[Device], memory: int | None) -> int | None:
    """The memory of this machine with that of devices which have their own; None: can't be told."""
    own = sum(one.free for one in devices if one.has_own_memory)
    return memory + own if memory else None


def fits(size: int, memory: int | None) -> bool | None:
    """Whether a model of this many bytes runs in this much memory; None: it can't be told."""
    return size * _SHARE + _REST <= memory if size and memory else None


def quantisation(file: str) -> str:
    """What the name of a file says of its quantisation (`Q4_K_M`), or nothing."""
    found = _QUANTISATION.search(file)
    return found[1].upper() if found else ""
