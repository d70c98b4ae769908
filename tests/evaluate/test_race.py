"""A race on results made by hand: who goes on, on what the winner is proven, and how surely."""

from __future__ import annotations

import math

import pytest

from softchat.evaluate.evaluate import Outcome, Result
from softchat.evaluate.questions import Question
from softchat.evaluate.race import Round, best, halving, prove, split


def results(run, right, tokens=10):
    """A result for each of `right`: 1 is right, 0 is wrong, None is not there."""
    return [
        Result(
            run=run, index=index, seed=0, given="", correct=bool(ok),
            outcome=Outcome(steps=tokens - 2, answer_tokens=2),
        )
        for index, ok in enumerate(right)
        if ok is not None
    ]  # fmt: skip


def test_a_third_chooses_and_the_rest_proves():
    """No question does both; the seed says which."""
    questions = [Question(index=i, text="q", answer="7") for i in range(30)]
    choosing, proving = split(questions, 1)
    assert (len(choosing), len(proving)) == (10, 20)
    assert {q.index for q in (*choosing, *proving)} == set(range(30))
    assert split(questions, 1) == (choosing, proving)
    assert split(questions, 2) != (choosing, proving)


def test_halving_by_hand():
    """Twelve on 8, six on 16, three on 32; the half is rounded up until one is left."""
    assert halving(12, 64) == [
        Round(questions=8, survivors=6),
        Round(questions=16, survivors=3),
        Round(questions=32, survivors=2),
        Round(questions=64, survivors=1),
    ]
    assert halving(2, 33) == [Round(questions=33, survivors=1)]
    assert halving(1, 33) == []


def test_nobody_is_out_after_one_question():
    """With few questions, each round has four at least, or all there are."""
    assert [one.questions for one in halving(12, 9)] == [4, 4, 4, 9]
    assert [one.questions for one in halving(4, 3)] == [3, 3]


def test_the_best_go_on():
    """The most right; among equals the one that thinks less; in the order in which they stand."""
    found = [
        *results("a", [1, 0, 1]), *results("b", [1, 1, 1]), *results("c", [0, 1, 1], tokens=9),
    ]  # fmt: skip
    assert best(["a", "b", "c"], found, 1) == ["b"]
    assert best(["a", "b", "c"], found, 2) == ["b", "c"]
    assert best(["c", "a"], found, 2) == ["c", "a"]


def test_only_shared_questions_count():
    """Whoever has had more questions is not the better for it."""
    found = [*results("a", [0, 1, 1, 1, 1]), *results("b", [1, None, None])]
    assert best(["a", "b"], found, 1) == ["b"]


def test_a_proof_by_hand():
    """30 to 4 of 60, for one try and for six: only the width differs."""
    ours = [1] * 30 + [0] * 4 + [1] * 26
    theirs = [0] * 30 + [1] * 4 + [1] * 26
    found = [*results("soft", ours, tokens=12), *results("hard", theirs)]
    proof = prove("soft", ["hard"], found, tries=1)
    assert proof is not None
    assert (proof.questions, proof.right, proof.hardest.right) == (60, 56 / 60, 30 / 60)
    assert proof.hardest.accuracy.value == pytest.approx(26 / 60)
    spread = math.sqrt((36 / 62 - (26 / 62) ** 2) / 62)
    assert proof.hardest.accuracy.low == pytest.approx(26 / 62 - 1.959964 * spread, abs=1e-6)
    assert proof.hardest.tokens.value == 2
    assert proof.is_better
    wide = prove("soft", ["hard"], found, tries=6)
    assert wide is not None
    # The 1 - 0.025/6 quantile of the normal distribution.
    assert wide.hardest.accuracy.low == pytest.approx(26 / 62 - 2.638257 * spread, abs=1e-6)


def test_better_is_better_than_every_control():
    """To beat two of three is not enough, and a tie is no win."""
    ours, weak = [1] * 40, [0] * 30 + [1] * 10
    found = [*results("soft", ours), *results("drawn", weak), *results("argmax", ours)]
    proof = prove("soft", ["drawn", "argmax"], found, tries=2)
    assert proof is not None
    assert proof.comparisons[0].accuracy.low > 0
    assert not proof.is_better
    assert proof.hardest.control == "argmax"


def test_without_shared_questions_there_is_no_proof():
    """A race that was stopped before it came to that says nothing."""
    assert prove("soft", ["hard"], results("soft", [1, 1]), tries=1) is None
