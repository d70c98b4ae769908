"""How often a fault is tried: a few times in CI, in full with SOAK=1."""

from __future__ import annotations

import os


def times(few: int, full: int) -> int:
    """`few` in CI, `full` in a soak; what `docs/reliability.md` tells was measured in one."""
    return full if os.environ.get("SOAK") == "1" else few
