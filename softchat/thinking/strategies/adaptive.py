"""softchat's own: soft only where a mixture can be trusted. docs/strategies.md has the figures."""

from __future__ import annotations

import numpy as np

from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.repetition import Repetition
from softchat.thinking.sampling import sample
from softchat.thinking.strategies.choice import Choice, Strategy, hard, keep, soft, weighted
from softchat.thinking.strategies.hard import Hard

# A block twice over, of so many tokens in all, is a repetition. Fewer would forbid the zeros of a
# large number, or a line of verse.
_COPIES, _REPEATED = 2, 16


class Adaptive(Strategy):
    """Soft where one token carries the mixture, hard at forks and in repetitions.

    A mixture whose heaviest token has most of the weight points where that token's row does; an
    evener one lies between rows, is shorter than any, and means none of them: there a token is
    drawn, of all that passes the filters. And a circle is left by force, since the model is surest
    where it repeats itself: any of the likeliest tokens is drawn but the one that goes on with it.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self._hard = Hard(settings, rng)
        self._repetition = Repetition()

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """A mixture, or one token."""
        if self._repetition.tokens(_COPIES) >= _REPEATED:
            choice = hard(self._draw_other(p, self._repetition.next_token(_COPIES)), "repeats")
        elif p.peak < self._settings.adaptive_peak:
            choice = hard(self._hard.draw(p), "fork")
        else:
            choice = soft(keep(p, self._settings), "one leads")
        self._repetition.add(choice.token)
        return choice

    def follow(self, token: int, entropy: float) -> None:
        """As `Strategy`: what was said can repeat itself."""
        self._repetition.add(token)

    def _draw_other(self, p: Distribution, token: int) -> int:
        """One of the likeliest tokens but this one; at temperature 0 the likeliest all the same."""
        kept = p.keep(topn=self._settings.topn + 1)
        others = kept.ids != token
        if not others.any():
            return token
        return sample(weighted(kept.ids[others], kept.weights[others]), self._rng)
