"""ThinkRouter (arXiv 2602.11683): soft where the model is confident, hard where it is not."""

from __future__ import annotations

import numpy as np

from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.strategies.choice import Choice, Strategy, hard, keep, soft
from softchat.thinking.strategies.hard import Hard


class ThinkRouter(Strategy):
    """A token is drawn where the likeliest has a probability under `router_peak`; else it mixes.

    As `adaptive` does at forks, but without its way out of repetitions.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._hard = Hard(settings, rng)

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """A mixture, or one token."""
        if p.peak < self._settings.router_peak:
            return hard(self._hard.draw(p), "unsure")
        return soft(keep(p, self._settings), "confident")
