"""Intervals and tests for shares and for paired differences. Knows numbers only.

All intervals are of 95%.
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


def wilson(right: int, total: int) -> Estimate:
    """A share with Wilson's score interval."""
    if not total:
        return Estimate(value=math.nan, low=0.0, high=1.0)
    share, zz = right / total, _Z * _Z / total
    middle = (share + zz / 2) / (1 + zz)
    half = _Z * math.sqrt(share * (1 - share) / total + zz / (4 * total)) / (1 + zz)
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def share_difference(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """Second share less first, of the same questions, with Bonett and Price's interval (2012).

    It is Wald's for paired shares, with one question added to each of the two kinds on which they
    differ, so that it does not collapse where they (nearly) never do.
    """
    n, test = len(first), mcnemar(first, second)
    gained, lost = (test.only_second + 1) / (n + 2), (test.only_first + 1) / (n + 2)
    half = _Z * math.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
    return Estimate(
        value=(test.only_second - test.only_first) / n if n else math.nan,
        low=max(-1.0, gained - lost - half),
        high=min(1.0, gained - lost + half),
    )


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """On how many questions only one of two runs is right, and the exact test of McNemar."""
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
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
