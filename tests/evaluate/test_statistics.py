"""Intervals and tests against values that others have published, or that a hand can compute."""

from __future__ import annotations

import math

import pytest

from softchat.evaluate.statistics import mcnemar, mean_difference, share_difference, wilson


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(right, total, low, high):
    """The score interval is that of Newcombe's table, to its four digits."""
    found = wilson(right, total)
    assert found.value == right / total
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_wilson_of_nothing():
    """Without a question anything is possible."""
    found = wilson(0, 0)
    assert (found.low, found.high) == (0, 1)
    assert math.isnan(found.value)


def pairs(both: int, only_first: int, only_second: int, neither: int):
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


def test_mcnemar():
    """6 against 2: two-sided binomial, 2 (1 + 8 + 28) / 256; none against none says nothing."""
    test = mcnemar(*pairs(10, 6, 2, 10))
    assert (test.only_first, test.only_second) == (6, 2)
    assert test.p == pytest.approx(74 / 256)
    assert mcnemar(*pairs(3, 0, 0, 3)).p == 1.0
    assert mcnemar(*pairs(0, 3, 3, 0)).p == 1.0


def test_a_difference_of_shares():
    """Bonett and Price by hand: (10 + 1) / 52 - (4 + 1) / 52, and its standard error."""
    found = share_difference(*pairs(20, 4, 10, 16))
    assert found.value == pytest.approx(0.12)
    middle, spread = 6 / 52, math.sqrt((16 / 52 - (6 / 52) ** 2) / 52)
    assert found.low == pytest.approx(middle - 1.959964 * spread, abs=1e-6)
    assert found.high == pytest.approx(middle + 1.959964 * spread, abs=1e-6)


def test_a_difference_of_shares_of_several_answers():
    """By hand: +½, 0 and +1 with +1 and -1 beside them; equal shares are not certain either."""
    found = share_difference([0.5, 1.0, 0.0], [1.0, 1.0, 1.0])
    assert found.value == pytest.approx(0.5)
    middle, spread = 1.5 / 5, math.sqrt((3.25 / 5 - 0.3**2) / 5)
    assert found.low == pytest.approx(middle - 1.959964 * spread, abs=1e-6)
    assert share_difference([0.5] * 9, [0.5] * 9).high > 0.1


def test_tries_make_it_wider():
    """Bonferroni: of 5 differences, each at 99%."""
    one = share_difference(*pairs(20, 4, 10, 16))
    five = share_difference(*pairs(20, 4, 10, 16), tries=5)
    assert (five.high - five.low) / (one.high - one.low) == pytest.approx(2.575829 / 1.959964)


def test_a_difference_of_equals_is_not_certain():
    """Two runs that agree on all of six questions may still differ: the interval has a width."""
    found = share_difference(*pairs(3, 0, 0, 3))
    assert found.value == 0
    assert found.low == -found.high
    assert 0.2 < found.high < 0.5


def test_a_difference_of_means():
    """Differences 1, 2, 3: mean 2, standard deviation 1, so 2 ± 1.96 / √3."""
    found = mean_difference([10, 20, 30], [11, 22, 33])
    assert found.value == 2
    assert found.high == pytest.approx(2 + 1.959964 / math.sqrt(3), abs=1e-6)
    assert found.low == pytest.approx(2 - 1.959964 / math.sqrt(3), abs=1e-6)
    assert math.isinf(mean_difference([1], [2]).high)
    assert math.isnan(mean_difference([], []).value)
