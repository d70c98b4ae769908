"""What an evaluation's tables say, and how far it is."""

from __future__ import annotations

import io

from rich.console import Console

from softchat.evaluate.evaluate import Outcome, Result
from softchat.evaluate.plan import make_runs
from softchat.evaluate.summary import summarise
from softchat.views.comparison import comparison
from softchat.views.evaluation import (
    ProgressBar,
    differences_table,
    ends_table,
    runs_table,
    samples_table,
)
from softchat.views.wording import UNICODE, glyphs_for
from tests.recordings import run_of, step

RUNS = make_runs({"seed": 0}, {}, ["hard", "[red]x[/red]\x1b[2J: soft"])


def results(index: int, *right: bool | None, error: str = ""):
    for run, correct in zip(RUNS, right, strict=True):
        outcome = Outcome(error=error) if error else Outcome(steps=10 + index, halted="closed")
        yield Result(run=run.name, index=index, seed=0, given="7", correct=correct, outcome=outcome)


def text_of(table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()


def summary_of(*lists):
    return summarise(RUNS, [result for one in lists for result in one])


def test_figures_are_shown():
    """Counts, percent with intervals, and means."""
    summary = summary_of(results(0, True, False), results(1, True, True), results(2, False, False))
    shown = text_of(runs_table(summary, UNICODE))
    assert "2/3  66.7 (20.8 to 93.9)   11.0" in shown
    assert "1/3   33.3 (6.1 to 79.2)" in shown
    shown = text_of(differences_table(summary, UNICODE))
    assert "-33.3 (" in shown
    assert "0 : 1" in shown
    assert "+0.0 (+0.0 to +0.0)" in shown
    assert "3" in text_of(ends_table(summary, UNICODE)).splitlines()[1]


def test_right_is_of_what_was_judged():
    """A question without an answer counts for steps, not beside accuracy."""
    summary = summary_of(results(0, True, False), results(1, None, None))
    assert [(run.right, run.judged, run.questions) for run in summary.runs] == [
        (1, 1, 2), (0, 1, 2),
    ]  # fmt: skip
    assert "1/1  100.0 (20.7 to 100.0)   10.5" in text_of(runs_table(summary, UNICODE))
    assert "-/1" in text_of(runs_table(summary_of(results(0, None, None)), UNICODE))


def test_samples_are_shown_for_powers_of_two():
    """Shares in percent by k, and what so many answers take; nothing with one answer each."""
    several = [
        Result(
            run=run.name, index=0, seed=0, given=given, correct=given == "7", sample=sample,
            outcome=Outcome(steps=10, answer_tokens=2),
        )
        for run in RUNS
        for sample, given in enumerate(("7", "7", "8"))
    ]  # fmt: skip
    shown = text_of(samples_table(summary_of(several), UNICODE)).splitlines()
    assert " ".join(shown[0].split()) == "of k answers k = 1 k = 2 k = 3"
    assert shown[1].split() == ["hard", "one", "is", "right,", "%", "66.7", "100.0", "100.0"]
    assert shown[2].split()[-3:] == ["66.7", "66.7", "100.0"]
    assert shown[3].split() == ["tokens", "12", "24", "36"]
    one = summary_of(results(0, True, False))
    assert not samples_table(one, UNICODE).row_count


def test_what_was_looked_ahead_at_is_told():
    """A column more, where a rule has looked."""
    looked = [
        Result(
            run=run.name, index=0, seed=0, given="7", correct=True,
            outcome=Outcome(steps=10, answer_tokens=2, probe_tokens=tokens),
        )
        for run, tokens in zip(RUNS, (0, 7), strict=True)
    ]  # fmt: skip
    assert "looked ahead" in text_of(runs_table(summary_of(looked), UNICODE))
    assert "looked ahead" not in text_of(runs_table(summary_of(looked[:1]), UNICODE))


def test_names_are_harmless():
    """A run's name is text: no markup, and nothing that a terminal obeys."""
    summary = summary_of(results(0, True, False))
    for table in (
        runs_table(summary, UNICODE),
        differences_table(summary, UNICODE),
        ends_table(summary, UNICODE),
        comparison({RUNS[1].name: []}, width=100, glyphs=glyphs_for("utf-8")),
    ):
        shown = text_of(table)
        assert "[red]x[/red]" in shown
        assert "\x1b" not in shown


def test_mixed_places_are_marked_in_a_comparison():
    """As in the panel and in /think: both words, whatever the colours."""
    steps = [step(0, _cake=0.6, _moon=0.4), step(1, _is=1.0)]
    table = comparison({"soft": run_of(*steps)}, width=100, glyphs=glyphs_for("utf-8"))
    assert "cake|moon is" in text_of(table)


def test_what_there_is_not():
    """No answers, no results, and failures are said as such."""
    assert "-/1" in text_of(runs_table(summary_of(results(0, None, None)), UNICODE))
    assert "-/0" in text_of(runs_table(summary_of(), UNICODE))
    assert "failed" not in text_of(ends_table(summary_of(results(0, True, True)), UNICODE))
    failed = summary_of(results(0, False, False, error="too long"))
    assert "failed" in text_of(ends_table(failed, UNICODE))


def test_progress_in_a_pipe():
    """A line every half minute, with the time left of what is being done now."""
    now = [0.0]
    stream = io.StringIO()
    with ProgressBar(stream, done=10, total=20, clock=lambda: now[0]) as bar:
        for _ in range(7):
            now[0] += 8
            bar.step("hard 3/5\x1b")
    # The fourth new result is there after 32 s; the other six will take 48.
    assert stream.getvalue() == "14 of 20, 48.0 s left: hard 3/5␛\n"
