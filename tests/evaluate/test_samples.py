"""Figures of several answers to each question, against numbers worked out by hand."""

from __future__ import annotations

import itertools
import statistics
from math import comb

import pytest

from softchat.evaluate.answers import same
from softchat.evaluate.samples import clustered_share, group, majority_at, pass_at
from softchat.evaluate.statistics import wilson


def test_pass_at_k_by_hand():
    """Two of five are right: one drawn 2/5, two drawn 1 - 3/10, four drawn always."""
    assert pass_at(2, 5, 1) == pytest.approx(0.4)
    assert pass_at(2, 5, 2) == pytest.approx(0.7)
    assert pass_at(2, 5, 4) == 1.0
    assert pass_at(0, 5, 5) == 0.0
    assert pass_at(5, 5, 1) == 1.0


def test_pass_at_k_is_the_mean_over_all_sets_of_k():
    """It is what drawing k answers gives on average: unbiased, unlike 1 - (1 - c/n)^k."""
    right = [True, False, False, True, False, False]
    for k in range(1, 7):
        sets = list(itertools.combinations(right, k))
        assert pass_at(2, 6, k) == pytest.approx(sum(map(any, sets)) / len(sets))


def test_majority_by_hand():
    """7, 7, 8: of one answer 2/3 are right, two are 7 and 7 or a tie, three are a majority."""
    groups, right = [0, 0, 1], [True, True, False]
    assert majority_at(groups, right, 1) == pytest.approx(2 / 3)
    assert majority_at(groups, right, 2) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert majority_at(groups, right, 3) == 1.0


def test_what_was_not_read_does_not_vote():
    """One answer beats any number of texts without one; and none at all is wrong."""
    assert majority_at([None, None, 0], [False, False, True], 3) == 1.0
    assert majority_at([None, None], [False, False], 2) == 0.0


def test_many_sets_are_drawn_the_same_each_time():
    """C(24, 12) is 2.7 million: 100 of them, seeded, are near the truth and repeat themselves."""
    groups = [0] * 14 + [1] * 10
    right = [True] * 14 + [False] * 10
    one = majority_at(groups, right, 12)
    assert one == majority_at(groups, right, 12)
    # Hypergeometric: P(more than 6 of 12 are of the 14) + half of P(6 are).
    ways = [comb(14, i) * comb(10, 12 - i) for i in range(13)]
    exact = (sum(ways[7:]) + ways[6] / 2) / sum(ways)
    assert one == pytest.approx(exact, abs=0.08)


def test_answers_are_grouped_by_what_they_say():
    """1,000 and 1000.0 are one answer; what was not read is none."""
    assert group(["1,000", None, "7", "1000.0", "7."], same) == [0, None, 1, 0, 1]


def test_a_clustered_interval_by_hand():
    """Four questions with 1, 1, 0, 0: V = (1/3) / 4, so 0.25 / V = 3 answers' worth."""
    found = clustered_share([1.0, 1.0, 0.0, 0.0], 32)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.5, wilson(1.5, 3).low, wilson(1.5, 3).high)
    )


def test_answers_that_vary_within_questions_tell_more():
    """Where each question has half of its answers right, all answers count, and no more."""
    shares = [0.5, 0.5, 0.6, 0.4]
    assert statistics.variance(shares) > 0
    assert clustered_share(shares, 40).low == pytest.approx(wilson(20, 40).low)


def test_a_clustered_interval_never_collapses():
    """All right, or all the same: as many answers as there are questions."""
    assert clustered_share([1.0] * 10, 80).low == pytest.approx(wilson(10, 10).low)
    assert clustered_share([0.5] * 10, 80).high == pytest.approx(wilson(5, 10).high)
    assert clustered_share([0.5], 8).high == pytest.approx(wilson(0.5, 1).high)
