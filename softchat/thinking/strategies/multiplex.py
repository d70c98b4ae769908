"""Multiplex Thinking (arXiv 2601.08808): the mean of K drawn tokens."""

from __future__ import annotations

import numpy as np

from softchat.events import Mode
from softchat.settings import MultiplexWeights, Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.sampling import sample
from softchat.thinking.strategies.choice import Choice, Strategy, hard, keep, weighted


class Multiplex(Strategy):
    """K tokens are drawn with replacement, of all that passes the filters.

        w_v = n_v / K                  n_v draws of token v
        w_v = n_v p_v / Σ n_u p_u      with `multiplex_weights` probability

    The first one drawn is that of the text. With K = 1 it is `hard`, draw for draw.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The mean of the drawn tokens."""
        kept = keep(p, self._settings, topn=p.size)
        drawn = [sample(kept, self._rng) for _ in range(self._settings.multiplex_k)]
        if len(drawn) == 1:
            return hard(drawn[0])
        ids, counts = np.unique(drawn, return_counts=True)
        weights = counts.astype(np.float64)
        if self._settings.multiplex_weights is MultiplexWeights.PROBABILITY:
            order = np.argsort(kept.ids)
            weights *= kept.weights[order[np.searchsorted(kept.ids, ids, sorter=order)]]
        return Choice(concept=weighted(ids, weights), mode=Mode.SOFT, token=drawn[0])
