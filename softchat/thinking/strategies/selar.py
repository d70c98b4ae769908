"""SeLaR (arXiv 2604.08299): soft only where the model is unsure, and away from its first choice."""

from __future__ import annotations

import math

import numpy as np

from softchat.events import Mode
from softchat.settings import Settings
from softchat.thinking.concept import Concept, Distribution
from softchat.thinking.strategies.choice import Choice, Strategy, keep
from softchat.thinking.strategies.hard import Hard


class Selar(Strategy):
    """A drawn token where the model is sure; elsewhere a mixture, pushed off its likeliest token.

    w are the k likeliest tokens, renormalised, and h = H(w) / log k, a share of what k tokens can
    have at the most. A step is soft if h is `selar_threshold` or more. What is fed then is

        s + c h (s - E[top]),  s = Σ w_j E[v_j]

    which is a mixture with the weights (1 + c h) w, less c h for the likeliest token: they sum to
    1, and that token's can be negative. The token of the text is drawn at every step.
    """

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._hard = Hard(settings, rng)

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """A mixture with a push, or one token."""
        settings = self._settings
        token = self._hard.draw(p)
        kept = keep(p, settings, topn=settings.selar_k)
        share = _entropy(kept.weights) / math.log(settings.selar_k)
        if len(kept.ids) == 1 or share < settings.selar_threshold:
            return Choice(
                concept=Concept.one_hot(token), mode=Mode.HARD, token=token, why=f"h {share:.2f}"
            )
        push = settings.selar_strength * share
        weights = (1.0 + push) * kept.weights.astype(np.float64)
        weights[0] -= push
        return Choice(
            concept=Concept(ids=kept.ids, weights=weights.astype(np.float32)),
            mode=Mode.SOFT,
            token=token,
            why=f"h {share:.2f}",
        )


def _entropy(weights: np.ndarray) -> float:
    """H in nats of weights that sum to 1."""
    w = weights.astype(np.float64)
    return max(0.0, -float(w @ np.log(w)))
