"""Soft Thinking (arXiv 2505.15778)."""

from __future__ import annotations

from softchat.settings import Settings
from softchat.thinking.concept import Distribution
from softchat.thinking.strategies.choice import Choice, Strategy, keep, soft


class Soft(Strategy):
    """The whole concept token is fed back: w = p over what passes the filters, / Σ."""

    draws = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def choose(self, p: Distribution, entropy: float) -> Choice:
        """The heaviest `topn` tokens that pass the filters, renormalised."""
        return soft(keep(p, self._settings))
