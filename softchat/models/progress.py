"""How far a fetch has come, for whoever draws it. Knows nothing of what is fetched, or how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What a fetch is doing."""

    DOWNLOAD = "downloading"
    UNPACK = "unpacking"
    VERIFY = "verifying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` bytes of one stage; a total of None is not known."""

    stage: Stage
    done: int
    total: int | None


OnProgress = Callable[[Progress], None]
