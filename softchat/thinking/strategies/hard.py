"""Ordinary chain of thought, the baseline."""

from __future__ import annotations

import numpy as np

from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.sampling import sample
from softchat.thinking.strategies.choice import Choice, Strategy, hard, keep


class Hard(Strategy):
    """One token is drawn and fed back."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """One token, drawn from all that passes the filters."""
        return hard(self.draw(p))

    def draw(self, p: Distribution) -> int:
        """The token alone."""
        return sample(keep(p, self._settings, topn=p.size), self._rng)
