"""What a strategy is asked and what it answers. Knows nothing of engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from softchat.events import HaltReason, Mode
from softchat.settings import Settings
from softchat.thinking.concept import Concept, Distribution

# What weighs less than this share of the heaviest changes no bit of a mixture in float32.
_LEAST_SHARE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What stands at the next position of the thoughts, and why."""

    concept: Concept
    mode: Mode
    """`SOFT`: the mean of the concept's rows is fed; `HARD`: the one token that it holds."""
    token: int
    """The token of this step in the text of the thoughts, in which closing tags are looked for."""
    why: str = ""
    """Why this mode, in a few words; empty if the strategy never does otherwise."""
    halt: HaltReason | None = None
    """Set if the strategy ends the thinking here; the concept is then not fed."""
    opening: str = ""
    """With `halt`: how the answer begins."""
    noise: float = 0.0
    """σ of Gaussian noise on the mixture, as a share of the RMS of embedding rows' entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTokens:
    """The thinking tags as the model's tokens; empty where a tag is not known."""

    open: tuple[int, ...] = ()
    close: tuple[int, ...] = ()


class Strategy(ABC):
    """Chooses, step by step, what stands at the next position of the thoughts."""

    draws: ClassVar[bool] = True
    """Whether it has any use for randomness."""

    @abstractmethod
    def choose(self, p: Distribution, entropy: float) -> Choice:
        """What to make of this step's distribution, whose entropy is `entropy` nats."""

    def follow(self, token: int, entropy: float) -> None:  # noqa: B027  # most remember nothing
        """Remember a step that was made before as if it had been chosen here.

        Args:
            token: of the step in the text of the thoughts.
            entropy: of its distribution, in nats.

        """


def keep(p: Distribution, settings: Settings, topn: int | None = None) -> Concept:
    """The heaviest `topn` tokens (the setting's, unless given) that pass the filters."""
    return p.keep(
        topn=settings.topn if topn is None else topn,
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
    )


def soft(concept: Concept, why: str = "") -> Choice:
    """The whole concept token; its heaviest token is that of the text."""
    return Choice(concept=concept, mode=Mode.SOFT, token=concept.argmax, why=why)


def hard(token: int, why: str = "") -> Choice:
    """One token."""
    return Choice(concept=Concept.one_hot(token), mode=Mode.HARD, token=token, why=why)


def weighted(ids: npt.NDArray[np.intp], weights: npt.NDArray[np.floating]) -> Concept:
    """These tokens with these weights (positive, of any sum), as a concept token."""
    kept = np.flatnonzero(weights >= _LEAST_SHARE * weights.max())
    order = kept[np.argsort(-weights[kept], kind="stable")]
    return Concept(
        ids=ids[order], weights=(weights[order] / weights[order].sum()).astype(np.float32)
    )


def from_scores(ids: npt.NDArray[np.intp], scores: npt.NDArray[np.float64]) -> Concept:
    """These tokens with the weights softmax(scores)."""
    return weighted(ids, np.exp(scores - scores.max()))
