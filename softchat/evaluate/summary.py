"""Results → figures: each run, and each against the first. Knows no files, prints nothing."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from softchat.evaluate.answers import same
from softchat.evaluate.evaluate import Result
from softchat.evaluate.plan import Run
from softchat.evaluate.samples import clustered_share, group, majority_at, pass_at
from softchat.evaluate.statistics import (
    Estimate,
    McNemar,
    mcnemar,
    mean_difference,
    share_difference,
    wilson,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What one run has achieved."""

    name: str
    settings: dict[str, Any]
    questions: int
    answers: int
    """As many as questions, unless each is asked several times."""
    right: int
    judged: int
    """Answers that are right or wrong: those to questions that have an answer."""
    accuracy: Estimate | None
    """Share of right ones among them, with Wilson's interval, clustered by question if there are
    several answers to each; None if the questions have no answers."""
    failed: int
    """Answers that are an error; they count as wrong, and not in the means below."""
    steps: float
    answer_tokens: float
    probe_tokens: float
    seconds: float
    """Means over answers."""
    halted: dict[str, int]
    """Answers by the reason why the thinking ended, the commonest first."""
    pass_at: tuple[float, ...] = ()
    """By k from 1, the chance that one of k answers is right; empty with one answer a question."""
    majority_at: tuple[float, ...] = ()
    """By k from 1, the chance that the commonest of k answers is right."""

    @property
    def tokens(self) -> float:
        """What an answer takes: steps, tokens of answer, and what was looked ahead at."""
        return self.steps + self.answer_tokens + self.probe_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A run less the first one, on the questions that both have."""

    first: str
    second: str
    questions: int
    accuracy: Estimate | None
    """Bonett and Price's interval for paired shares: of one answer to each question, or several."""
    mcnemar: McNemar | None
    """None with several answers to a question."""
    steps: Estimate
    """Normal interval of the mean of per-question differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All figures of an evaluation."""

    runs: tuple[RunSummary, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can carry it: a number that does not exist is null."""
        plain: dict[str, Any] = finite(asdict(self))
        return plain


Same = Callable[[str, str], bool]
_Answers = Mapping[int, Sequence[Result]]
"""By question, the results of one run."""


def summarise(runs: Sequence[Run], results: Iterable[Result], *, same: Same = same) -> Summary:
    """The figures of these runs.

    Args:
        runs: the first one is what the others are compared with.
        results: of the runs; others are passed over.
        same: whether two answers say the same, where several of a question are counted.

    """
    by_run: dict[str, dict[int, list[Result]]] = {run.name: {} for run in runs}
    for result in results:
        if result.run in by_run:
            by_run[result.run].setdefault(result.index, []).append(result)
    first = runs[0].name
    return Summary(
        runs=tuple(_summary(run, by_run[run.name], same) for run in runs),
        differences=tuple(
            _difference(first, run.name, by_run[first], by_run[run.name]) for run in runs[1:]
        ),
    )


def _summary(run: Run, answers: _Answers, same: Same) -> RunSummary:
    results = [result for listed in answers.values() for result in listed]
    whole = [result.outcome for result in results if not result.outcome.error]
    judged = [listed for listed in answers.values() if all(r.correct is not None for r in listed)]
    halted = Counter(outcome.halted for outcome in whole)
    several = min((len(listed) for listed in judged), default=0)
    counts = range(1, several + 1) if several > 1 else range(0)
    return RunSummary(
        name=run.name,
        settings=run.settings.to_dict(),
        questions=len(answers),
        answers=len(results),
        right=sum(map(_right, judged)),
        judged=sum(map(len, judged)),
        accuracy=_accuracy(judged),
        failed=len(results) - len(whole),
        steps=_mean(outcome.steps for outcome in whole),
        answer_tokens=_mean(outcome.answer_tokens for outcome in whole),
        probe_tokens=_mean(outcome.probe_tokens for outcome in whole),
        seconds=_mean(outcome.total_s for outcome in whole),
        halted=dict(halted.most_common()),
        pass_at=tuple(
            _mean(pass_at(_right(listed), len(listed), k) for listed in judged) for k in counts
        ),
        majority_at=_majorities(judged, counts, same),
    )


def _accuracy(judged: Sequence[Sequence[Result]]) -> Estimate | None:
    if not judged:
        return None
    answers = sum(map(len, judged))
    if answers == len(judged):
        return wilson(sum(map(_right, judged)), answers)
    return clustered_share([_right(listed) / len(listed) for listed in judged], answers)


def _majorities(
    judged: Sequence[Sequence[Result]], counts: Sequence[int], same: Same
) -> tuple[float, ...]:
    if not counts:
        return ()
    votes = [
        (group([one.given for one in listed], same), [bool(one.correct) for one in listed])
        for listed in judged
    ]
    return tuple(_mean(majority_at(groups, right, k) for groups, right in votes) for k in counts)


def _right(listed: Sequence[Result]) -> int:
    return sum(bool(result.correct) for result in listed)


def _difference(first: str, second: str, ours: _Answers, theirs: _Answers) -> Difference:
    pairs = [(ours[index], theirs[index]) for index in sorted(ours.keys() & theirs.keys())]
    judged = [(a, b) for a, b in pairs if all(result.correct is not None for result in (*a, *b))]
    shares = tuple([_right(pair[side]) / len(pair[side]) for pair in judged] for side in (0, 1))
    single = all(len(a) == len(b) == 1 for a, b in pairs)
    steps = [(_steps(a), _steps(b)) for a, b in pairs]
    whole = [(a, b) for a, b in steps if not (math.isnan(a) or math.isnan(b))]
    return Difference(
        first=first,
        second=second,
        questions=len(pairs),
        accuracy=share_difference(*shares) if judged else None,
        mcnemar=mcnemar(*shares) if judged and single else None,
        steps=mean_difference([a for a, _ in whole], [b for _, b in whole]),
    )


def _steps(listed: Sequence[Result]) -> float:
    """The mean of a question's answers; not a number if one of them is an error."""
    if any(result.outcome.error for result in listed):
        return math.nan
    return _mean(result.outcome.steps for result in listed)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.fmean(listed) if listed else math.nan


def finite(value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
    """The value with null for numbers that do not exist, and no more digits than are of use."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
