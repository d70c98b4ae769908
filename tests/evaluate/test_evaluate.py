"""The runs of an evaluation on a fake engine."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.evaluate.answers import make_reader
from softchat.evaluate.evaluate import Plan, evaluate, one_by_one, seeded
from softchat.evaluate.plan import make_runs
from softchat.evaluate.questions import Question
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
    whole = {(r.run, r.index): r.seed for r in evaluate(fresh(), plan)}
    done = {("hard", 0), ("soft", 1)}
    rest = {(r.run, r.index): r.seed for r in evaluate(fresh(), plan, done=done)}
    assert rest == {key: seed for key, seed in whole.items() if key not in done}


def test_seeds_are_of_the_question():
    """Runs that are compared draw alike on a question, and otherwise on the next."""
    hard, soft = plan_of("7").runs
    first, second = (Question(index=i, text="q", answer="7") for i in (0, 1))
    assert seeded(hard.settings, first).seed == seeded(soft.settings, first).seed
    assert seeded(hard.settings, first).seed != seeded(hard.settings, second).seed


def test_a_run_that_fails_is_wrong():
    """A prompt that does not fit is an error of that question, and counts against the run."""
    plan = plan_of("7", "7")
    long = Question(index=1, text="q" * 500, answer="7")
    plan = Plan(questions=[plan.questions[0], long], runs=plan.runs, reader=plan.reader)
    summary = summarise(plan.runs, evaluate(fresh(), plan))
    hard = summary.runs[0]
    assert (hard.questions, hard.right, hard.failed) == (2, 1, 1)
    assert hard.accuracy is not None
    assert hard.accuracy.value == 0.5
    assert hard.steps == 3
    assert hard.halted == {"closed": 1}


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
