"""softchat's own: soft only where a mixture can be trusted. docs/strategies.md has the figures."""

from __future__ import annotations

import numpy as np

from softchat.concept import Distribution
from softchat.repetition import Repetition
from softchat.settings import Settings
from softchat.strategies.choice import Choice, hard, keep, soft
from softchat.strategies.hard import Hard

_COPIES, _REPEATED = 2, 8  # a block twice, of so many tokens in all, is a repetition


class Adaptive:
    """Soft where one token carries the mixture, drawn hard at forks and in repetitions.

    A mixture whose heaviest token has a weight of 0.6 or more points where that token's row does;
    an evener one lies between rows, is shorter than any, and means none of them: there a token is
    drawn. And soft thinking alone cannot leave a circle, as it draws nothing: so once the text has
    repeated itself, tokens are drawn until it no longer does.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._hard = Hard(settings, rng)
        self._repetition = Repetition()

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """A mixture, or one token."""
        if self._repetition.tokens(_COPIES) >= _REPEATED:
            choice = hard(self._hard.draw(p), "repeats")
        elif p.peak < self._settings.adaptive_peak:
            choice = hard(self._hard.draw(p), "fork")
        else:
            choice = soft(keep(p, self._settings), "one leads")
        self._repetition.add(choice.token)
        return choice
