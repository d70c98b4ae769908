"""The runs of an evaluation on a fake engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softchat.evaluate.answers import Reader, make_reader
from softchat.evaluate.evaluate import Outcome, Plan, Result, evaluate, judge, one_by_one, seeded
from softchat.evaluate.plan import make_runs
from softchat.evaluate.questions import Question
from softchat.evaluate.samples import clustered_share
from softchat.evaluate.summary import summarise
from softchat.testing import FakeEngine

LETTERS = [chr(code) for code in range(32, 127)]
VOCABULARY = ["<end>", "\n", "<think>", "</think>", *LETTERS]
# Two steps of thinking, the closing tag, and the answer 7.
SCRIPT = [{"a": 0.6, "b": 0.4}, {"c": 1.0}, {"</think>": 1.0}, {"7": 1.0}, {"<end>": 1.0}]


def fresh(script=SCRIPT, **more):
    """A pool in which each job has a fake of its own, so that the script begins anew."""

    def pool(jobs):
        for number, job in enumerate(jobs):
            yield number, job(FakeEngine(VOCABULARY, script, n_ctx=400, **more))

    return pool


def plan_of(*answers: str, runs=None) -> Plan:
    return Plan(
        questions=[
            Question(index=index, text=f"q{index}", answer=answer)
            for index, answer in enumerate(answers)
        ],
        runs=runs or make_runs({"seed": 0, "max_answer": 5}, {"strategy": ["hard", "soft"]}),
        reader=make_reader("number"),
    )


def test_every_run_has_every_question():
    """A question goes to all runs before the next, and answers are read and compared."""
    results = list(evaluate(fresh(), plan_of("7", "8")))
    assert [(r.run, r.index, r.correct) for r in results] == [
        ("hard", 0, True), ("soft", 0, True), ("hard", 1, False), ("soft", 1, False),
    ]  # fmt: skip
    assert {r.given for r in results} == {"7"}
    assert {r.outcome.steps for r in results} == {3}
    assert {r.outcome.halted for r in results} == {"closed"}


def test_what_is_done_is_not_done_again():
    """A resumed evaluation does the rest only, with the seeds that it would have had."""
    plan = plan_of("7", "8")
    whole = {r.key: r.seed for r in evaluate(fresh(), plan)}
    done = {("hard", 0, 0), ("soft", 1, 0)}
    rest = {r.key: r.seed for r in evaluate(fresh(), plan, done=done)}
    assert rest == {key: seed for key, seed in whole.items() if key not in done}


def test_seeds_are_of_the_question():
    """Runs that are compared draw alike on a question, and otherwise on the next."""
    hard, soft = plan_of("7").runs
    first, second = (Question(index=i, text="q", answer="7") for i in (0, 1))
    assert seeded(hard.settings, first).seed == seeded(soft.settings, first).seed
    assert seeded(hard.settings, first).seed != seeded(hard.settings, second).seed


@pytest.mark.parametrize("length", [500, 5_000_000])
def test_a_run_that_fails_is_wrong(length):
    """A prompt that does not fit, or no template may write, is an error of that question alone.

    It counts against the run.
    """
    plan = plan_of("7", "7")
    long = Question(index=1, text="q" * length, answer="7")
    plan = Plan(questions=[plan.questions[0], long], runs=plan.runs, reader=plan.reader)
    summary = summarise(plan.runs, evaluate(fresh(), plan))
    hard = summary.runs[0]
    assert (hard.questions, hard.right, hard.failed) == (2, 1, 1)
    assert hard.accuracy is not None
    assert hard.accuracy.value == 0.5
    assert hard.steps == 3
    assert hard.halted == {"closed": 1}


def test_a_run_that_fails_is_wrong_whatever_is_right():
    """An empty text, too, may be read as an answer, and be the same as the one that is wanted."""
    anything = Reader(name="any", extract=lambda text: text, same=lambda given, wanted: True)
    plan = replace(plan_of("7"), reader=anything)
    result = judge(plan, plan.runs[0], plan.questions[0], 0, Outcome(error="too long"))
    assert result.correct is False


def test_cancelling():
    """A run that was stopped half way leaves nothing, and no other begins."""
    asked = iter([False] * 12 + [True] * 100)
    results = list(evaluate(fresh(), plan_of(*"7777"), cancelled=lambda: next(asked)))
    assert 0 < len(results) < 8
    assert all(r.outcome.finished == "stop" for r in results)


def test_one_engine_for_all():
    """`one_by_one` gives each job the engine emptied."""
    engine = FakeEngine(VOCABULARY, SCRIPT)
    seen = []

    def job(given):
        seen.append(given.position)
        given.decode_tokens([5, 6])

    list(one_by_one(engine, [job, job]))
    assert seen == [0, 0]


def test_figures():
    """Differences are of the same questions, second less first."""
    plan = plan_of("7", "7", "8")
    results = list(evaluate(fresh(), plan))
    summary = summarise(plan.runs, results[:-1])  # soft has two of three
    assert [run.questions for run in summary.runs] == [3, 2]
    difference = summary.differences[0]
    assert (difference.first, difference.second, difference.questions) == ("hard", "soft", 2)
    assert difference.accuracy is not None
    assert difference.accuracy.value == 0
    assert difference.steps.value == 0
    assert np.isfinite(difference.steps.high)


def test_figures_without_answers():
    """Questions without an answer have steps and no accuracy; JSON has no NaN."""
    plan = plan_of("", "")
    summary = summarise(plan.runs, evaluate(fresh(), plan))
    assert summary.runs[0].accuracy is None
    assert summary.runs[0].steps == 3
    assert summary.differences[0].mcnemar is None
    empty = summarise(plan.runs, []).to_dict()
    assert empty["runs"][0]["steps"] is None
    assert empty["differences"][0]["steps"]["high"] is None


@pytest.mark.parametrize("reason", ["closed", "step_limit"])
def test_reasons_are_counted(reason):
    """Why the thinking ended is counted by reason."""
    limit = {"closed": 64, "step_limit": 1}[reason]
    runs = make_runs({"seed": 0, "max_answer": 5}, {"strategy": ["soft"], "max_think": [limit]})
    plan = plan_of("7", "7", runs=runs)
    assert summarise(runs, evaluate(fresh(), plan)).runs[0].halted == {reason: 2}


def test_samples_differ_in_their_seeds():
    """The first is what one alone would be; the others have seeds of their own, each time."""
    question = Question(index=3, text="q", answer="7")
    settings = plan_of("7").runs[0].settings
    seeds = [seeded(settings, question, sample).seed for sample in range(8)]
    assert seeds[0] == seeded(settings, question).seed
    assert len(set(seeds)) == 8
    assert seeds == [seeded(settings, question, sample).seed for sample in range(8)]


def test_every_run_answers_every_question_so_often():
    """A question has all its answers before the next; those that are there are not made again."""
    plan = replace(plan_of("7", "8"), samples=3)
    results = list(evaluate(fresh(), plan, done={("hard", 0, 1)}))
    assert [r.key for r in results][:5] == [
        ("hard", 0, 0), ("hard", 0, 2), ("soft", 0, 0), ("soft", 0, 1), ("soft", 0, 2),
    ]  # fmt: skip
    assert len(results) == 11
    assert {r.key for r in results} | {("hard", 0, 1)} == set(plan.keys)


def answered(run, index, *given):
    """Answers to a question whose answer is 7."""
    return [
        Result(
            run=run, index=index, seed=0, given=text, correct=text == "7", sample=sample,
            outcome=Outcome(steps=10, answer_tokens=2, probe_tokens=3),
        )
        for sample, text in enumerate(given)
    ]  # fmt: skip


def test_figures_of_samples_by_hand():
    """Two questions, four answers each: 7 7 8 9 and 8 8 7 -."""
    runs = make_runs({"seed": 0}, {"strategy": ["hard", "soft"]})
    results = [
        *answered("hard", 0, "7", "7", "8", "9"),
        *answered("hard", 1, "8", "8", "7", None),
        *answered("soft", 0, "7", "7", "7", "7"),
        *answered("soft", 1, "7", "7", "8", "8"),
    ]
    summary = summarise(runs, results)
    hard, soft = summary.runs
    assert (hard.questions, hard.answers, hard.right, hard.tokens) == (2, 8, 3, 15)
    assert hard.accuracy is not None
    assert hard.accuracy.value == pytest.approx(3 / 8)
    # Shares ½ and ¼: V = (1/32) / 2, and 15/64 / V = 15, of which there are 8.
    assert hard.accuracy == clustered_share([0.5, 0.25], 8)
    assert hard.pass_at == pytest.approx(
        ((2 / 4 + 1 / 4) / 2, (5 / 6 + 3 / 6) / 2, (1 + 3 / 4) / 2, 1.0)
    )
    assert hard.majority_at[3] == 0.5  # 7 wins the first, 8 the second
    assert soft.majority_at[3] == (1 + 0.5) / 2
    difference = summary.differences[0]
    assert difference.accuracy is not None
    assert difference.accuracy.value == pytest.approx((0.5 + 0.25) / 2)
    assert difference.mcnemar is None
    one = summarise(runs, [r for r in results if r.sample == 0]).runs[0]
    assert (one.pass_at, one.majority_at) == ((), ())
