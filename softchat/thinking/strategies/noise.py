"""Soft thinking with noise: on the weights (arXiv 2508.03440), or on the mixture (2509.19170).

A model fed with a mixture mostly follows its heaviest token, so plain soft thinking is close to
greedy decoding. Noise on the weights lets other tokens be the heaviest at times. The noise comes
after the filters and the top n, so with one token kept there is nothing left to shake.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.strategies.choice import Choice, Strategy, from_scores, keep, soft


class Gumbel(Strategy):
    """Gumbel-softmax: w = softmax((log p + g) / T), each g drawn from Gumbel(0, 1)."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The kept tokens, weighted anew."""
        kept = keep(p, self._settings)
        noise = self._rng.gumbel(size=len(kept.ids))
        scores = (np.log(kept.weights) + noise) / self._settings.gumbel_temperature
        return soft(from_scores(kept.ids, scores))


class Dirichlet(Strategy):
    """w is drawn from Dirichlet(c p): w = γ / Σ γ, each γ drawn from Gamma(c p, 1)."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The kept tokens, weighted anew."""
        kept = keep(p, self._settings)
        shape = self._settings.dirichlet_concentration * kept.weights.astype(np.float64)
        # In logarithms: a draw from Gamma(a) is one from Gamma(a + 1) times U^(1/a), which for the
        # small a of unlikely tokens is less than any float.
        scores = np.log(self._rng.standard_gamma(shape + 1.0))
        scores -= self._rng.standard_exponential(len(shape)) / shape
        return soft(from_scores(kept.ids, scores))


class Gaussian(Strategy):
    """Soft Tokens, Hard Truths (arXiv 2509.19170): s = Σ w_j E[v_j] + σ N(0, I).

    σ is `gaussian_sigma` times the root mean square of the entries of embedding rows. The weights
    are those of `soft`; with one token kept the noise stays, which the authors call fuzzy tokens.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The kept tokens; the noise is put onto their mixture by whoever makes it."""
        kept = soft(keep(p, self._settings))
        return replace(kept, noise=self._settings.gaussian_sigma)
