"""The questions of search to measure by. The same each time; none is ever trained on.

`python -m training.data FOLDER` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from training.superposition.families import DEEPEST, KINDS, Puzzle, Question, make_of

_TRAINED = tuple(name for name, kind in KINDS.items() if not kind.held_out)
_HELD_OUT = tuple(name for name, kind in KINDS.items() if kind.held_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A set of questions."""

    count: int
    families: tuple[str, ...] = _TRAINED
    depths: tuple[int, ...] = (2, 3)
    split: str = "test"
    held_out: bool = False
    """Whether they are told in wordings that are not trained on."""


SETS = {
    "search-dev": Asked(count=280, split="dev"),
    "search-test": Asked(count=560),
    "search-depth": Asked(count=280, depths=(DEEPEST,)),
    "search-deeper": Asked(count=280, depths=(DEEPEST + 1,)),
    "search-wordings": Asked(count=560, held_out=True),
    "search-kinds": Asked(count=560, families=_HELD_OUT, held_out=True),
}


def questions(name: str) -> Iterator[tuple[Puzzle, Question]]:
    """The questions of a set, families and depths in turn, each problem with one of its own."""
    asked, rng, seen = SETS[name], Random(name), set()
    kinds = [(family, depth) for depth in asked.depths for family in asked.families]
    while len(seen) < asked.count:
        family, depth = kinds[len(seen) % len(kinds)]
        puzzle = make_of(rng, asked.split, family, depth, held_out=asked.held_out)
        question = rng.choice(puzzle.questions)
        if (puzzle.told, question.ask) not in seen:
            seen.add((puzzle.told, question.ask))
            yield puzzle, question
