"""A race on results made by hand: who goes on, on what the winner is proven, and how surely."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from softchat.evaluate.evaluate import Outcome, Result
from softchat.evaluate.plan import make_runs
from softchat.evaluate.questions import Question
from softchat.evaluate.race import (
    CANDIDATES,
    Race,
    Round,
    best,
    controls,
    halving,
    prove,
    split,
)


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
    """Twelve on 16, six on as many more; the half is rounded up until one is left."""
    assert halving(12, 64) == [
        Round(questions=16, survivors=6),
        Round(questions=32, survivors=3),
        Round(questions=48, survivors=2),
        Round(questions=64, survivors=1),
    ]
    assert halving(2, 33) == [Round(questions=33, survivors=1)]
    assert halving(1, 33) == []


def test_nobody_is_out_after_one_question():
    """With few questions, each round has four at least, or all there are."""
    assert [one.questions for one in halving(12, 9)] == [4, 4, 6, 9]
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


# -- the whole race ----------------------------------------------------------------------------


def runs_of(*names):
    return make_runs({"seed": 0}, {}, [f"{name}: soft" for name in names])


def model(skill):
    """What answers: run by run, the share of questions it gets right, spread over all of them."""
    asked = []

    def answer(runs, questions):
        asked.append(([run.name for run in runs], [question.index for question in questions]))
        for question in questions:
            for run in runs:
                right = (question.index * 37 % 100) < 100 * skill[run.name]
                yield from (
                    replace(one, index=question.index) for one in results(run.name, [right])
                )

    return answer, asked


def raced(skill, *, left=lambda: 1.0, count=90, before=()):
    questions = [Question(index=i, text="q", answer="7") for i in range(count)]
    choosing, proving = split(questions, 0)
    names = [name for name in skill if name != "control"]
    race = Race(
        controls=runs_of("control"), candidates=runs_of(*names),
        choosing=choosing, proving=proving, results=list(before),
    )  # fmt: skip
    answer, asked = model(skill)
    list(race.go(answer, left))
    return race, asked


SKILL = {"control": 0.5, "a": 0.4, "b": 0.95, "c": 0.6, "d": 0.1}


def test_the_best_of_a_race_is_proven():
    """b wins on the questions that choose, and is better than the control on those that prove."""
    race, asked = raced(SKILL)
    assert race.alive == ["b"]
    assert set(race.out) == {"a", "c", "d"}
    proof = race.proof()
    assert proof is not None
    assert (proof.winner, proof.questions, proof.tries) == ("b", 60, 1)
    assert proof.is_better
    assert not race.is_cut
    proving = {question.index for question in race.proving}
    tried = {name for names, places in asked if proving & set(places) for name in names}
    assert tried == {"control", "b"}  # nobody else has seen a question that proves


def test_who_is_no_better_is_not_called_better():
    """The best of several equals is not, on questions that it was not chosen with."""
    race, _ = raced(dict.fromkeys(SKILL, 0.5))
    proof = race.proof()
    assert proof is not None
    assert not proof.is_better


def test_a_race_within_a_time():
    """When the time for choosing is over there is a winner all the same, and the rest is proof."""
    clock = iter(1 - n / 7 for n in range(99))
    race, _ = raced(SKILL, left=lambda: next(clock))
    assert race.is_cut
    assert race.alive == ["b"]
    proof = race.proof()
    assert proof is not None
    assert 0 < proof.questions < 60


def test_a_race_that_is_stopped_goes_no_further():
    """Nobody is out on less than they were to have, and nothing is proven."""
    questions = [Question(index=i, text="q", answer="7") for i in range(90)]
    race = Race(
        controls=runs_of("control"), candidates=runs_of("a", "b", "c", "d"),
        choosing=questions[:30], proving=questions[30:], results=[],
    )  # fmt: skip
    answer, asked = model(SKILL)
    list(race.go(answer, lambda: 1.0, cancelled=lambda: True))
    assert len(asked) == 3  # of the first round: 15 questions, 5 at a time
    assert (race.out, race.is_proving, race.proof()) == ({}, False, None)


def test_no_time_at_all_proves_nothing():
    """The controls and candidates have not been compared."""
    race, asked = raced(SKILL, left=lambda: 0.0)
    assert not asked
    assert race.proof() is None


def test_earlier_winners_count_as_tries():
    """Who was put to the proof in a shorter race widens the interval of the next one."""
    race, _ = raced(SKILL)
    place = race.proving[0].index
    before = [replace(one, index=place) for one in results("c", [1])]
    again, _ = raced(SKILL, before=before)
    one, two = race.proof(), again.proof()
    assert one is not None
    assert two is not None
    assert two.tries == 2 * one.tries


def test_the_standing_controls():
    """Drawn, argmax, and with the model's own cold stop; each can be read as --run has it."""
    runs = make_runs({"tau": 0.05, "patience": 40}, {}, [*controls({"tau": 0.05, "patience": 40})])
    assert [run.settings.tau for run in runs] == [0, 0, 0.05]
    assert [run.settings.temperature for run in runs] == [0.6, 0.0, 0.6]
    assert {run.settings.strategy for run in runs} == {"hard"}
    assert len(make_runs({}, {}, CANDIDATES)) == 12
