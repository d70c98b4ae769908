"""Results → figures: each run, and each against the first. Knows no files, prints nothing."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from softchat.evaluate.evaluate import Result
from softchat.evaluate.plan import Run
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
    right: int
    accuracy: Estimate | None
    """Wilson's interval; None if the questions have no answers."""
    failed: int
    """Questions that gave an error; they count as wrong, and not in the means below."""
    steps: float
    answer_tokens: float
    seconds: float
    """Means over questions."""
    halted: dict[str, int]
    """Questions by the reason why the thinking ended, the commonest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A run less the first one, on the questions that both have."""

    first: str
    second: str
    questions: int
    accuracy: Estimate | None
    """Bonett and Price's interval for paired shares."""
    mcnemar: McNemar | None
    steps: Estimate
    """Normal interval of the mean of per-question differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All figures of an evaluation."""

    runs: tuple[RunSummary, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can carry it: a number that does not exist is null."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain


def summarise(runs: Sequence[Run], results: Iterable[Result]) -> Summary:
    """The figures of these runs."""
    by_run: dict[str, dict[int, Result]] = {run.name: {} for run in runs}
    for result in results:
        if result.run in by_run:
            by_run[result.run][result.index] = result
    first = runs[0].name
    return Summary(
        runs=tuple(_summary(run, list(by_run[run.name].values())) for run in runs),
        differences=tuple(
            _difference(first, run.name, by_run[first], by_run[run.name]) for run in runs[1:]
        ),
    )


def _summary(run: Run, results: Sequence[Result]) -> RunSummary:
    whole = [result.outcome for result in results if not result.outcome.error]
    judged = [result.correct for result in results if result.correct is not None]
    halted = Counter(outcome.halted for outcome in whole)
    return RunSummary(
        name=run.name,
        settings=run.settings.to_dict(),
        questions=len(results),
        right=sum(judged),
        accuracy=wilson(sum(judged), len(judged)) if judged else None,
        failed=len(results) - len(whole),
        steps=_mean(outcome.steps for outcome in whole),
        answer_tokens=_mean(outcome.answer_tokens for outcome in whole),
        seconds=_mean(outcome.total_s for outcome in whole),
        halted=dict(halted.most_common()),
    )


def _difference(
    first: str, second: str, ours: Mapping[int, Result], theirs: Mapping[int, Result]
) -> Difference:
    pairs = [(ours[index], theirs[index]) for index in sorted(ours.keys() & theirs.keys())]
    judged = [
        (a.correct, b.correct) for a, b in pairs if a.correct is not None and b.correct is not None
    ]
    right = [a for a, _ in judged], [b for _, b in judged]
    whole = [(a.outcome, b.outcome) for a, b in pairs if not (a.outcome.error or b.outcome.error)]
    return Difference(
        first=first,
        second=second,
        questions=len(pairs),
        accuracy=share_difference(*right) if judged else None,
        mcnemar=mcnemar(*right) if judged else None,
        steps=mean_difference([a.steps for a, _ in whole], [b.steps for _, b in whole]),
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.fmean(listed) if listed else math.nan


def _finite(value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
