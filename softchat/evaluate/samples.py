"""Several answers to each question: pass@k, majority@k, and means whose questions are clusters.

Answers to one question are alike, so K of them tell less than K answers to as many questions. Each
interval here is therefore of the questions, not of the answers. Knows numbers only.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from softchat.evaluate.statistics import Estimate, wilson

_SUBSETS = 100
"""Sets of k answers that are looked at; where there are more, so many of them are drawn."""


def pass_at(right: int, total: int, k: int) -> float:
    """The chance that of k answers, drawn from the `total` that there are, one is right at least.

    1 - C(total - right, k) / C(total, k), which is unbiased (Codex, arXiv 2107.03374).
    """
    return 1.0 - math.comb(total - right, k) / math.comb(total, k)


def majority_at(groups: Sequence[int | None], right: Sequence[bool], k: int) -> float:
    """The chance that the commonest of k answers, drawn from all that there are, is right.

    Args:
        groups: of each answer, a number that those have which say the same; None: none was read,
            so it does not vote.
        right: whether each answer is right.
        k: how many vote. Of several commonest groups, each wins with the same chance.

    """
    shares = [_majority(groups, right, chosen) for chosen in _subsets(len(groups), k)]
    return statistics.fmean(shares)


def _majority(groups: Sequence[int | None], right: Sequence[bool], chosen: Sequence[int]) -> float:
    votes = Counter(groups[place] for place in chosen if groups[place] is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    winners = {group for group, count in votes.items() if count == most}
    verdict = {group: ok for group, ok in zip(groups, right, strict=True) if group in winners}
    return sum(verdict.values()) / len(winners)


def _subsets(total: int, k: int) -> Iterator[tuple[int, ...]]:
    """All sets of k of `total` places; where they are too many, some, the same ones always."""
    if math.comb(total, k) <= _SUBSETS:
        yield from itertools.combinations(range(total), k)
        return
    draw = random.Random(k)
    for _ in range(_SUBSETS):
        yield tuple(draw.sample(range(total), k))


def group(answers: Sequence[str | None], same: Callable[[str, str], bool]) -> list[int | None]:
    """Number the answers so that those which are the same have one number."""
    firsts: list[str] = []
    numbers: list[int | None] = []
    for answer in answers:
        if answer is None:
            numbers.append(None)
            continue
        found = next((n for n, first in enumerate(firsts) if same(answer, first)), len(firsts))
        if found == len(firsts):
            firsts.append(answer)
        numbers.append(found)
    return numbers


def clustered_share(shares: Sequence[float], answers: int) -> Estimate:
    """The mean of each question's share of right answers, with an interval of 95%.

    Wilson's, for as many independent answers as would be as uncertain as these are (Korn and
    Graubard, 1998): p (1 - p) / V, where V is the variance of the mean over questions. So it does
    not collapse where all questions are the same; there, each question counts as one answer.

    Args:
        shares: of each question, the share of its answers that are right.
        answers: to all questions together; no more than that are ever counted.

    """
    n = len(shares)
    if n < 2:
        return wilson(sum(shares), n)
    p, variance = statistics.fmean(shares), statistics.variance(shares) / n
    effective = min(p * (1 - p) / variance, answers) if variance > 0 else n
    return wilson(p * effective, effective)
