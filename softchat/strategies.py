"""How a thinking step turns a distribution into what is fed back. Knows nothing of engines."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from softchat.concept import Concept, Distribution
from softchat.events import Mode
from softchat.sampling import sample
from softchat.settings import Settings, StrategyName


class Strategy(Protocol):
    """Chooses, step by step, what stands at the next position of the thoughts."""

    def choose(self, p: Distribution) -> tuple[Concept, Mode]:
        """The concept token for this step, and whether it is fed back soft or as one hard token."""
        ...


class Soft:
    """Soft Thinking (arXiv 2505.15778): the whole concept token is fed back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def choose(self, p: Distribution) -> tuple[Concept, Mode]:
        """The heaviest `topn` tokens that pass the filters, renormalised."""
        s = self._settings
        return p.keep(topn=s.topn, top_k=s.top_k, top_p=s.top_p, min_p=s.min_p), Mode.SOFT


class Hard:
    """Ordinary chain of thought: one token is drawn and fed back."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def choose(self, p: Distribution) -> tuple[Concept, Mode]:
        """One token with weight 1, drawn from what passes the filters."""
        s = self._settings
        kept = p.keep(topn=p.size, top_k=s.top_k, top_p=s.top_p, min_p=s.min_p)
        return Concept.one_hot(sample(kept, self._rng)), Mode.HARD


def make_strategy(settings: Settings, rng: np.random.Generator) -> Strategy:
    """The strategy that the settings name; `rng` is where its randomness comes from."""
    match settings.strategy:
        case StrategyName.SOFT:
            return Soft(settings)
        case StrategyName.HARD:
            return Hard(settings, rng)
