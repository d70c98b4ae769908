"""What steps are thought with. Knows no order of things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softchat.engine.protocol import Engine
from softchat.thinking.feed import Feed
from softchat.thinking.lens import LookAhead
from softchat.thinking.mind import Mind
from softchat.thinking.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What thinking takes, whoever says how it goes on."""

    engine: Engine
    """Stands where the next step is to be fed."""
    mind: Mind
    """Makes the steps."""
    lens: LookAhead | None
    """Looks ahead."""
    feed: Feed
    """Feeds them."""
    tally: Tally
    """Told of each."""
    cancelled: Callable[[], bool]
    """Asked before each step; True stops the run."""
    answer_now: Callable[[], bool]
    """Asked before each step; True ends the thinking."""
