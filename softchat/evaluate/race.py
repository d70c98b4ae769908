"""A race of ways of thinking on a set of questions: successive halving, then a proof on others.

    split       questions to choose with, and questions that prove; none is in both
    halving     how many questions each round has seen, and how many candidates go on from it
    best        who goes on: the most right, then the fewest tokens
    prove       the one that is left against every control, on questions it was not chosen with

Successive halving is Jamieson and Talwalkar's (arXiv 1502.07943): all candidates have few
questions, those that are left have more. The interval of a proof is Bonferroni's for all the
comparisons that were made on the questions that prove. Knows results, and no engines.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softchat.evaluate.evaluate import Result
from softchat.evaluate.questions import Question
from softchat.evaluate.statistics import Estimate, mean_difference, share_difference

_CHOOSING = 1 / 3
"""Share of the questions that choose: to see a difference takes more of them than to choose."""
_FEWEST = 4
"""Questions that a candidate has before it can be out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of choosing."""

    questions: int
    """How many questions those in it have had by its end, this round's among them."""
    survivors: int
    """How many candidates go on from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate less a control, on the same questions."""

    control: str
    right: float
    """The control's share of right answers."""
    accuracy: Estimate
    """The difference, with an interval corrected for all comparisons."""
    tokens: Estimate
    """The difference in tokens a question, thoughts and answer together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a race has shown of its winner."""

    winner: str
    right: float
    """Its share of right answers."""
    questions: int
    comparisons: tuple[Comparison, ...]
    """With every control."""
    tries: int
    """How many comparisons were made on these questions; the intervals are corrected for them."""

    @property
    def is_better(self) -> bool:
        """Whether it is shown to be right more often than each of the controls."""
        return bool(self.comparisons) and all(one.accuracy.low > 0 for one in self.comparisons)

    @property
    def hardest(self) -> Comparison:
        """The comparison with the best of the controls."""
        return max(self.comparisons, key=lambda one: one.right)


def split(questions: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """Those that choose and those that prove, in an order of the seed's."""
    shuffled = list(questions)
    random.Random(seed).shuffle(shuffled)
    count = round(len(shuffled) * _CHOOSING)
    return shuffled[:count], shuffled[count:]


def halving(candidates: int, questions: int) -> list[Round]:
    """The rounds after which one of so many candidates is left, the last one on all questions."""
    count = max(1, math.ceil(math.log2(candidates))) if candidates > 1 else 0
    rounds = []
    for left in range(count - 1, -1, -1):
        candidates = math.ceil(candidates / 2)
        seen = max(min(_FEWEST, questions), questions // 2**left)
        rounds.append(Round(questions=seen, survivors=candidates))
    return rounds


def best(names: Sequence[str], results: Sequence[Result], count: int) -> list[str]:
    """The best of these runs on the questions that all of them have, in the order of `names`.

    The more right answers the better; among equals the fewer tokens, and then who comes first.
    """
    shared = _shared(names, results)
    ranks = {name: (-_right(shared[name]), _tokens(shared[name])) for name in names}
    chosen = sorted(names, key=ranks.__getitem__)[:count]
    return [name for name in names if name in chosen]


def prove(
    winner: str, controls: Sequence[str], results: Sequence[Result], *, tries: int
) -> Proof | None:
    """The winner against each control on the questions that all of them have; None: there are none.

    Args:
        winner: the run.
        controls: runs.
        results: of questions that the winner was not chosen with.
        tries: how many comparisons were made on these questions.

    """
    shared = _shared([winner, *controls], results)
    ours = shared[winner]
    if not ours:
        return None
    comparisons = []
    for control in controls:
        theirs = shared[control]
        comparisons.append(
            Comparison(
                control=control,
                right=_right(theirs) / len(theirs),
                accuracy=share_difference(
                    [bool(one.correct) for one in theirs],
                    [bool(one.correct) for one in ours],
                    tries=tries,
                ),
                tokens=mean_difference(
                    [_cost(one) for one in theirs], [_cost(one) for one in ours]
                ),
            )
        )
    return Proof(
        winner=winner,
        right=_right(ours) / len(ours),
        questions=len(ours),
        comparisons=tuple(comparisons),
        tries=tries,
    )


def _shared(names: Sequence[str], results: Sequence[Result]) -> Mapping[str, list[Result]]:
    """The results of each run, on the questions that all of the runs have, in one order."""
    by_run: dict[str, dict[int, Result]] = {name: {} for name in names}
    for one in results:
        if one.run in by_run:
            by_run[one.run][one.index] = one
    indices = sorted(set.intersection(*(set(found) for found in by_run.values())))
    return {name: [found[index] for index in indices] for name, found in by_run.items()}


def _right(results: Sequence[Result]) -> int:
    return sum(bool(one.correct) for one in results)


def _tokens(results: Sequence[Result]) -> int:
    return sum(map(_cost, results))


def _cost(result: Result) -> int:
    return result.outcome.steps + result.outcome.answer_tokens
