"""Intervals and tests for shares and for paired differences. Knows numbers only.

All intervals are of 95%; of several comparisons together where `tries` says how many.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z = statistics.NormalDist().inv_cdf(0.975)  # 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Questions on which two runs differ, and how likely so uneven a split is by chance."""

    only_first: int
    only_second: int
    p: float
    """Two-sided, exact (binomial)."""


def wilson(right: float, total: float) -> Estimate:
    """A share with Wilson's score interval; counts may be those of a smaller, fair sample."""
    if not total:
        return Estimate(value=math.nan, low=0.0, high=1.0)
    share, zz = right / total, _Z * _Z / total
    middle = (share + zz / 2) / (1 + zz)
    half = _Z * math.sqrt(share * (1 - share) / total + zz / (4 * total)) / (1 + zz)
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def share_difference(
    first: Sequence[float], second: Sequence[float], *, tries: int = 1
) -> Estimate:
    """Second share less first, of the same questions, with Bonett and Price's interval (2012).

    It is Wald's for paired shares, with one question added to each of the two kinds on which they
    differ, so that it does not collapse where they (nearly) never do. With several `tries` it is as
    much wider that all their intervals hold at once in 95% of cases (Bonferroni).

    Args:
        first: of each question, whether it was answered rightly, or the share of its right answers.
        second: the same, of the other run.
        tries: how many such differences are looked at together.

    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    n, total = len(differences), sum(differences)
    middle = total / (n + 2)
    square = (sum(d * d for d in differences) + 2) / (n + 2)  # a question gained, and one lost
    z = statistics.NormalDist().inv_cdf(1 - 0.025 / tries)
    half = z * math.sqrt((square - middle**2) / (n + 2))
    return Estimate(
        value=total / n if n else math.nan,
        low=max(-1.0, middle - half),
        high=min(1.0, middle + half),
    )


def mcnemar(first: Sequence[float], second: Sequence[float]) -> McNemar:
    """On how many questions only one of two runs is right, and the exact test of McNemar."""
    only_first = sum(bool(a) and not b for a, b in zip(first, second, strict=True))
    only_second = sum(bool(b) and not a for a, b in zip(first, second, strict=True))
    n, k = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return McNemar(only_first=only_first, only_second=only_second, p=min(1.0, 2 * tail))


def mean_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Second mean less first, of the same questions: normal interval of their differences' mean."""
    differences = [b - a for a, b in zip(first, second, strict=True)]
    if not differences:
        return Estimate(value=math.nan, low=-math.inf, high=math.inf)
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return Estimate(value=mean, low=-math.inf, high=math.inf)
    half = _Z * statistics.stdev(differences) / math.sqrt(len(differences))
    return Estimate(value=mean, low=mean - half, high=mean + half)
