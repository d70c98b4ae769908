"""Mixture of Inputs (Text Generation Beyond Discrete Token Sampling, arXiv 2505.14827)."""

from __future__ import annotations

import math

import numpy as np

from softchat.events import Mode
from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.sampling import sample
from softchat.thinking.strategies.choice import Choice, Strategy, keep, weighted


class MixedInput(Strategy):
    """A token y is drawn as usual; what is fed is the posterior mean, given p and that draw.

    With a Dirichlet prior H p and β + 1 - H observations of y:

        w = (H p + (β + 1 - H) [y]) / (β + 1)

    H is the entropy of the n kept tokens as a share of log n, its greatest value, as in the
    authors' code: 0 feeds the token alone, and the larger it is the more the distribution counts.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self._most = math.log(settings.topn)

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The kept tokens, with the drawn one made heavier."""
        kept = keep(p, self._settings)
        token = sample(kept, self._rng)
        weights = kept.weights.astype(np.float64)
        share = -float(weights @ np.log(weights)) / self._most if len(weights) > 1 else 0.0
        weights *= share
        weights[kept.ids == token] += self._settings.mixed_beta + 1.0 - share
        return Choice(concept=weighted(kept.ids, weights), mode=Mode.SOFT, token=token)
