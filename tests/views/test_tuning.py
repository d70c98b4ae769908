"""What a race's table and verdict say, of results made by hand."""

from __future__ import annotations

import io

from rich.console import Console

from softchat.evaluate.evaluate import Outcome, Result
from softchat.evaluate.plan import make_runs
from softchat.evaluate.questions import Question
from softchat.evaluate.race import Race
from softchat.views.tuning import race_line, race_table, verdict
from softchat.views.wording import UNICODE


def race_of(skill, *, count=90):
    """A race that is over, in which each run is right on this share of the questions."""
    questions = [Question(index=i, text="q", answer="7") for i in range(count)]
    names = [name for name in skill if not name.startswith("hard")]
    race = Race(
        controls=make_runs({}, {}, [f"{name}: hard" for name in skill if name not in names]),
        candidates=make_runs({}, {}, [f"{name}: soft" for name in names]),
        choosing=questions[: count // 3],
        proving=questions[count // 3 :],
        results=[],
    )

    def answer(runs, asked):
        for question in asked:
            for run in runs:
                right = (question.index * 37 % 100) < 100 * skill[run.name]
                yield Result(
                    run=run.name, index=question.index, seed=0, given="7", correct=right,
                    outcome=Outcome(steps=10 + 2 * (run.name in names), answer_tokens=2),
                )  # fmt: skip

    list(race.go(answer, lambda: 1.0))
    return race


def test_a_win_is_said_with_what_it_is_worth():
    """What to use, by how much, how surely, on what, and what it takes."""
    race = race_of({"hard": 0.3, "hard argmax": 0.5, "wide": 0.9, "plain": 0.4})
    said = verdict(race, race.proof())
    assert said.startswith("Use wide. wide was right on 88.3% of 60 questions that it was ")
    assert "not chosen with, hard argmax, the best of the controls, on 50.0%: +38.3 points" in said
    assert "points (95%: +" in said
    assert "corrected for 2 comparisons, with +2.0 tokens a question." in said


def test_no_win_is_said_too():
    """And how large a difference could have been seen."""
    race = race_of({"hard": 0.5, "soft": 0.5})
    said = verdict(race, race.proof())
    assert said.startswith("Nothing that was tried is shown to beat ordinary decoding.")
    assert "Of 1 candidate, soft was right on" in said
    assert "can't be told from chance." in said
    race.is_cut = True
    assert verdict(race, race.proof()).endswith("the same command goes on.")
    assert verdict(race, None).startswith("No verdict")


def test_the_table_says_where_each_stands():
    """Controls, who is out and after how many questions, and who was chosen."""
    race = race_of({"hard": 0.5, "wide": 0.9, "\x1b[2J[red]": 0.4})
    out = io.StringIO()
    Console(file=out, width=120).print(race_table(race, UNICODE))
    lines = out.getvalue().splitlines()
    assert "control" in lines[1]
    assert "chosen" in lines[2]
    assert "out after 30" in lines[3]
    assert "[red]" in lines[3]
    assert "\x1b" not in out.getvalue()
    assert lines[3].rstrip().endswith("-     -    14.0")
    assert race_line(race, UNICODE) == "proving wide"
