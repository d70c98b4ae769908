"""Problems as tokens: what is read, what is thought, what is learned where. Knows no weights.

A row is what is told, then each of its questions, which see what is told and themselves. Behind a
question stand its thoughts and the answer, and lookups: mixtures of states that see the question
and themselves only, and are to become the mixture of what they lead to. They cost one position
each and teach a move for any frontier, at any depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

import numpy as np
import numpy.typing as npt

from training.superposition.families import Puzzle, Question
from training.superposition.vocabulary import Vocabulary

Likely = tuple[tuple[int, ...], tuple[float, ...]]
"""A mixture: token ids and their weights, of sum 1."""
Owners = npt.NDArray[np.int64]
"""Whose each position is: its question (0: of all, NOBODY: filled up) and lookup (0: none)."""
NOBODY = -1


class Style(StrEnum):
    """What a thought is."""

    FRONTIER = "frontier"
    """All states that may be the case, evenly."""
    PATH = "path"
    """The state of one way that leads to the answer."""
    LISTING = "listing"
    """Every state of every frontier, one after the other: breadth first."""
    PAUSE = "pause"
    """The same token, as often as there are frontiers: time to think, and nothing said."""
    NONE = "none"
    """Nothing: the answer comes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A mixture that is fed by itself, at which step, and what it is to become."""

    step: int
    fed: Likely
    goal: Likely


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One question of a row."""

    tokens: tuple[int, ...]
    thoughts: tuple[Likely, ...]
    """What is to be thought."""
    fed: tuple[Likely, ...]
    """What is fed of it: at times unevenly, as a model's own mixtures are."""
    tail: tuple[int, ...]
    """The closing tag and the answer; the last is the end of the turn, learned but not fed."""
    lookups: tuple[Lookup, ...]
    answer: int
    other: int
    """The choice that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A problem in tokens."""

    family: str
    told: tuple[int, ...]
    branches: tuple[Branch, ...]


class Encoder:
    """Turns problems into rows, thoughts being of one style."""

    def __init__(self, vocabulary: Vocabulary, style: Style = Style.FRONTIER) -> None:
        self.vocabulary, self.style = vocabulary, style

    def row(self, puzzle: Puzzle, rng: Random, *, lookups: int) -> Row:
        """The row of a problem, with so many lookups a question."""
        return Row(
            family=puzzle.family,
            told=tuple(self.vocabulary.tokens(puzzle.told)),
            branches=tuple(self._branch(puzzle, q, rng, lookups) for q in puzzle.questions),
        )

    def _even(self, words: Sequence[str]) -> Likely:
        return tuple(map(self.vocabulary.state, words)), (1 / len(words),) * len(words)

    def _uneven(self, words: Sequence[str], rng: Random, least: float) -> Likely:
        weights = [rng.uniform(least, 1) for _ in words]
        total = sum(weights)
        return tuple(map(self.vocabulary.state, words)), tuple(w / total for w in weights)

    def _thoughts(self, q: Question) -> list[Likely]:
        match self.style:
            case Style.FRONTIER:
                return [self._even(level) for level in q.levels]
            case Style.PATH:
                return [self._even([state]) for state in q.path]
            case Style.LISTING:
                return [self._even([state]) for level in q.levels for state in level]
            case Style.PAUSE:
                (pause,) = self.vocabulary.tokens(".")
                return [((pause,), (1.0,))] * len(q.levels)
            case Style.NONE:
                return []

    def _branch(self, puzzle: Puzzle, q: Question, rng: Random, lookups: int) -> Branch:
        v, thoughts = self.vocabulary, self._thoughts(q)
        fed = thoughts
        if self.style is Style.FRONTIER and rng.random() < 0.5:
            fed = [self._uneven(level, rng, 0.35) for level in q.levels]
        if self.style in (Style.PAUSE, Style.NONE):
            lookups = 0  # there are no states to look up from
        return Branch(
            tokens=(*v.tokens(f" {q.ask}"), *v.suffix),
            thoughts=tuple(thoughts),
            fed=tuple(fed),
            tail=(*v.close, v.state(q.answer), *v.end),
            lookups=tuple(self._lookup(puzzle, q, rng) for _ in range(lookups)),
            answer=v.state(q.answer),
            other=v.state(next(c for c in q.choices if c != q.answer)),
        )

    def _lookup(self, puzzle: Puzzle, q: Question, rng: Random) -> Lookup:
        depth = len(puzzle.moves)
        step, kind = rng.randrange(depth), rng.random()
        moves = puzzle.moves[step]
        if kind < 0.4:  # a frontier of some question, or one with a state missing
            levels = rng.choice(puzzle.questions).levels
            level = levels[min(step, len(levels) - 1)]
            some = rng.sample(level, rng.randint(max(1, len(level) - 1), len(level)))
        elif kind < 0.9:  # any states that lead on
            inner = [state for state, to in moves.items() if to]
            some = rng.sample(inner, min(len(inner), rng.choice([1, 2, 2, 3])))
        else:  # where the search ends
            step, some = depth, list(q.levels[-1])
        if self.style is not Style.FRONTIER:
            some = some[:1]
        after = [] if step == depth else [b for a in some for b in moves.get(a, ())]
        even = rng.random() < 0.4
        close = ((self.vocabulary.close[0],), (1.0,))
        return Lookup(
            step=step,
            fed=self._even(some) if even else self._uneven(some, rng, 0.2),
            goal=self._even(tuple(dict.fromkeys(after))) if after else close,
        )


def visible(own: Owners, keys: Owners) -> npt.NDArray[np.bool_]:
    """Which of a row's keys (K,) each of its last positions (T,) may see: (T, K).

    The last T keys are those positions themselves, of which only earlier ones are seen. A lookup
    sees its question, but none of the thoughts that stand beside it.
    """
    first, places = len(keys) - len(own), np.arange(len(keys))
    mine = places == first + np.arange(len(own))[:, None]
    question = (keys[:, 0] == 0) | (keys[:, 0] == own[:, None, 0])
    lookup = (keys[:, 1] == 0) & ((own[:, None, 1] == 0) | (places < first))
    before = places < first + np.arange(len(own))[:, None]
    return (question & lookup & before & (keys[:, 0] != NOBODY)) | mine
