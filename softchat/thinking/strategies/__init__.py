"""Strategies: how a thinking step turns a distribution into a concept token, or a token.

One file a strategy; `choice` has what they share; docs/strategies.md has the formulas.
Knows nothing of engines.
"""

from __future__ import annotations

import numpy as np

from softchat.settings import Settings, StrategyName
from softchat.thinking.strategies.adaptive import Adaptive
from softchat.thinking.strategies.choice import Choice, Strategy, TagTokens
from softchat.thinking.strategies.hard import Hard
from softchat.thinking.strategies.mixed_input import MixedInput
from softchat.thinking.strategies.multiplex import Multiplex
from softchat.thinking.strategies.noise import Dirichlet, Gaussian, Gumbel
from softchat.thinking.strategies.router import ThinkRouter
from softchat.thinking.strategies.selar import Selar
from softchat.thinking.strategies.soft import Soft
from softchat.thinking.strategies.switching import Switching

__all__ = ["Choice", "Strategy", "TagTokens", "make_strategy"]


def make_strategy(settings: Settings, rng: np.random.Generator, tags: TagTokens) -> Strategy:
    """The strategy that the settings name; `rng` is where its randomness comes from."""
    match settings.strategy:
        case StrategyName.SOFT:
            return Soft(settings)
        case StrategyName.HARD:
            return Hard(settings, rng)
        case StrategyName.GUMBEL:
            return Gumbel(settings, rng)
        case StrategyName.DIRICHLET:
            return Dirichlet(settings, rng)
        case StrategyName.GAUSSIAN:
            return Gaussian(settings)
        case StrategyName.MULTIPLEX:
            return Multiplex(settings, rng)
        case StrategyName.MIXED_INPUT:
            return MixedInput(settings, rng)
        case StrategyName.SWITCHING:
            return Switching(settings, rng, tags)
        case StrategyName.SELAR:
            return Selar(settings, rng)
        case StrategyName.ADAPTIVE:
            return Adaptive(settings, rng)
        case StrategyName.THINKROUTER:
            return ThinkRouter(settings, rng)
