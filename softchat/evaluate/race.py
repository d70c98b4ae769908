"""A race of ways of thinking on a set of questions: successive halving, then a proof on others.

    split       questions to choose with, and questions that prove; none is in both
    halving     how many questions each round has seen, and how many candidates go on from it
    best        who goes on: the most right, then the fewest tokens
    prove       the one that is left against every control, on questions it was not chosen with
    race        all of that, one result after another, within a time

Successive halving is Jamieson and Talwalkar's (arXiv 1502.07943): all candidates have few
questions, the better half goes on to as many more. (Theirs doubles them; of a few dozen, the first
round would then have four, on which all are equal.) The interval of a proof is Bonferroni's for all
the comparisons that were made on the questions that prove. Knows results, no engines or clocks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from softchat.evaluate.evaluate import Result
from softchat.evaluate.plan import Run
from softchat.evaluate.questions import Question
from softchat.evaluate.statistics import Estimate, mean_difference, share_difference

_CHOOSING = 1 / 3
"""Share of the questions that choose: to see a difference takes more of them than to choose."""
_FEWEST = 4
"""Questions that a candidate has before it can be out."""


_CHOOSING_TIME = 0.45
"""Share of the time after which there is no more choosing."""
_BATCH = 24
"""Answers between two looks at the clock, at the least."""


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
    for number in range(1, count + 1):
        candidates = math.ceil(candidates / 2)
        seen = max(min(_FEWEST, questions), questions * number // count)
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
    outcome = result.outcome
    return outcome.steps + outcome.answer_tokens + outcome.probe_tokens


Answer = Callable[[Sequence[Run], Sequence[Question]], Iterator[Result]]
"""Gives the results of runs on questions."""


@dataclass(slots=True, kw_only=True)
class Race:
    """A race that is going on: who is in it, and what there is to show for.

    Args:
        controls: what the candidates have to beat. They are never out.
        candidates: at least one.
        choosing: questions, see `split`.
        proving: others.
        results: of the same runs and questions, from before; new ones are added to it.

    """

    controls: Sequence[Run]
    candidates: Sequence[Run]
    choosing: Sequence[Question]
    proving: Sequence[Question]
    results: list[Result]
    alive: list[str] = field(init=False)
    """The candidates that are not out, in the order of `candidates`."""
    out: dict[str, int] = field(init=False, default_factory=dict)
    """Who is out, and after how many questions."""
    is_proving: bool = field(init=False, default=False)
    is_cut: bool = field(init=False, default=False)
    """Whether the time did not suffice for all questions."""

    def __post_init__(self) -> None:
        self.alive = [run.name for run in self.candidates]

    def go(
        self,
        answer: Answer,
        left: Callable[[], float],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Result]:
        """Run it; each result as it comes.

        Args:
            answer: gives the results of runs on questions, but those that are there already.
            left: the share of the time that is left, from 1 to 0 and below.
            cancelled: True stops it where it is.

        """
        rounds = halving(len(self.candidates), len(self.choosing))
        done = 0
        for number, one in enumerate(rounds, 1):
            until = 1 - _CHOOSING_TIME * number / len(rounds)
            questions = self.choosing[done : one.questions]
            yield from self._ask(questions, answer, left, until)
            if cancelled():
                return
            done = one.questions
            # Of an earlier race that went on from here there may be results that prove, too.
            places = {question.index for question in self.choosing}
            found = [result for result in self.results if result.index in places]
            survivors = best(self.alive, found, one.survivors)
            had = min(self.counts(name)[0][1] for name in self.alive)
            self.out |= {name: had for name in self.alive if name not in survivors}
            self.alive = survivors
        self.is_proving = True
        yield from self._ask(self.proving, answer, left, 0.0)

    def _ask(
        self,
        questions: Sequence[Question],
        answer: Answer,
        left: Callable[[], float],
        until: float,
    ) -> Iterator[Result]:
        """All who are in the race, on these questions, while more than `until` of the time is."""
        runs = [*self.controls, *(run for run in self.candidates if run.name in self.alive)]
        size = max(1, -(-_BATCH // len(runs)))
        for start in range(0, len(questions), size):
            if left() <= until:
                self.is_cut = True
                return
            for result in answer(runs, questions[start : start + size]):
                self.results.append(result)
                yield result

    def counts(self, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """A run's right answers and all of its answers, of questions that choose and that prove."""
        own = [one for one in self.results if one.run == name]
        pairs = []
        for questions in (self.choosing, self.proving):
            places = {question.index for question in questions}
            found = [one for one in own if one.index in places]
            pairs.append((_right(found), len(found)))
        return pairs[0], pairs[1]

    def mean_tokens(self, name: str) -> float | None:
        """What a run takes a question; None: it has had none."""
        own = [one for one in self.results if one.run == name]
        return _tokens(own) / len(own) if own else None

    def proof(self) -> Proof | None:
        """What it has shown; None: it has not come to that.

        Whoever was put to the proof before, in a race that went on from there, counts as a try.
        """
        if not self.is_proving:
            return None
        places = {question.index for question in self.proving}
        found = [one for one in self.results if one.index in places]
        names = [run.name for run in self.candidates]
        tried = {one.run for one in found} & set(names)
        controls = [run.name for run in self.controls]
        return prove(self.alive[0], controls, found, tries=len(controls) * max(1, len(tried)))


def controls(defaults: Mapping[str, object]) -> list[str]:
    """What every candidate has to beat, as `--run` has it, for a model with these settings.

    Ordinary chain of thought, drawn and at its likeliest; and with the cold stop, lest a gain that
    is only that of halting be taken for one of thinking.
    """
    tau, patience = defaults.get("tau", 0.01), defaults.get("patience", 256)
    return [
        "hard: hard tau=0 halt=none",
        "hard argmax: hard temperature=0 tau=0 halt=none",
        f"hard, cold stop: hard tau={tau} patience={patience} halt=none",
    ]


CANDIDATES = (
    "soft",
    "soft topn=3",
    "soft temperature=0.3",
    "soft temperature=1 top_p=1",
    "soft halt=sure",
    "gumbel",
    "dirichlet",
    "mixed-input",
    "adaptive",
    "selar",
    "multiplex",
    "switching",
)
"""What is tried if nobody says what, as `--run` has it."""
