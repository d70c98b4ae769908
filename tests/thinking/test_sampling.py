"""Drawing one token."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.thinking.concept import Concept
from softchat.thinking.sampling import sample


class Drawn:
    """A generator whose numbers are known, and counted."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)


HALVES = Concept(ids=np.array([7, 3, 9], np.intp), weights=np.array([0.5, 0.25, 0.25], np.float32))


def test_a_token_has_the_share_of_its_weight():
    """Of the numbers from 0 up to 1, each token gets as many as it weighs, the heaviest first."""
    draws = {0.0: 7, 0.49: 7, 0.5: 3, 0.74: 3, 0.75: 9, 0.999: 9}
    assert {number: sample(HALVES, Drawn(number)) for number in draws} == draws


def test_weights_that_do_not_sum_to_one_are_shares_all_the_same():
    """Float32 rounds: the last token takes no more and no less than its share of the sum."""
    twice = Concept(ids=HALVES.ids, weights=HALVES.weights * np.float32(2))
    draws = {0.0: 7, 0.49: 7, 0.5: 3, 0.74: 3, 0.75: 9, 0.999: 9}
    assert {number: sample(twice, Drawn(number)) for number in draws} == draws


def test_the_last_token_is_the_last():
    """A number that rounds up to 1 draws it, and nothing beyond."""
    assert sample(HALVES, Drawn(1.0)) == 9


def test_a_single_token_needs_no_chance():
    """No number is drawn for it, so the numbers of what follows stay the same."""
    assert sample(Concept.one_hot(5), Drawn()) == 5


def test_draws_come_as_often_as_they_weigh():
    """10,000 draws of a seed of numpy's."""
    rng = np.random.default_rng(0)
    drawn = [sample(HALVES, rng) for _ in range(10_000)]
    shares = [drawn.count(token) / len(drawn) for token in (7, 3, 9)]
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.015)


def test_many_small_weights_are_summed_exactly():
    """100,000 equal tokens: the middle of the numbers is the middle of the tokens."""
    n = 100_000
    flat = Concept(ids=np.arange(n), weights=np.full(n, 1 / n, np.float32))
    assert sample(flat, Drawn(0.5)) == pytest.approx(n // 2, abs=1)
    assert sample(flat, Drawn(np.nextafter(1.0, 0.0))) == n - 1
