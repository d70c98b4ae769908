"""Forks beside the run that they are of, on a recorded terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from softchat.events import Parting
from softchat.record.runs import Run
from softchat.thinking.fork import take_alone, without_heaviest
from softchat.views.branches import Lead, answers_table, branches, leads_table
from softchat.views.steps import step_in_full, steps_table
from softchat.views.wording import UNICODE, changed, glyphs_for, parted
from tests.recordings import HOSTILE, run_of, step

AT = step(1, _wait=0.5, _so=0.3, _x=0.2)
TAKEN = take_alone(AT, AT.concept[1])
BEFORE = Run.of(run_of(step(0), AT, step(2, _then=1.0), answer=("four",)))
FORK = Run.of(run_of(step(0), TAKEN, step(2, _now=1.0), step(3, _it=1.0), answer=("seven",)))


def printed(what, width=100):
    out = StringIO()
    Console(file=out, width=width).print(what)
    return out.getvalue()


def test_two_runs_side_by_side():
    """What each fed where they part, what it thought then, how it ended, what it answered."""
    text = printed(branches({"as it was": BEFORE, "fork": FORK}, 1, width=100, glyphs=UNICODE))
    rows = {line[:8].strip(): " ".join(line[8:].split()) for line in text.splitlines()}
    assert rows[""] == "as it was fork"
    assert rows["step 1"] == "·wait 0.50 ·so 0.30 ·x 0.20 ·so 1.00 ·so alone"
    assert rows["then"] == "then now it"
    assert rows["steps"] == "3 4"
    assert rows["answer"] == "four seven"
    assert "the same thoughts" not in text


def test_the_same_thoughts_are_said_to_be():
    """Nobody should have to compare two columns to see that nothing differs."""
    text = printed(branches({"as it was": BEFORE, "fork": BEFORE}, 1, width=100, glyphs=UNICODE))
    assert "the same thoughts" in text


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 40, 60, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_and_is_inert(width, encoding):
    """Whatever a trace holds."""
    evil = step(1, **{HOSTILE: 0.6, "_" + "漢" * 90: 0.4})
    bad = replace(evil, change=replace(TAKEN.change, instead_of=evil.concept))
    run = Run.of(run_of(step(0), bad, answer=(HOSTILE + "a" * 300,)))
    glyphs = glyphs_for(encoding)
    leads = [Lead(piece=HOSTILE, weight=0.5, run=run)] * 2
    for table in (
        branches({HOSTILE: run, "fork": run}, 1, width=width, glyphs=glyphs),
        leads_table(leads, glyphs),
        answers_table(leads, glyphs),
        steps_table(run.steps, glyphs),
        step_in_full(bad, tau=0.1, glyphs=glyphs),
    ):
        text = printed(table, width)
        assert all(cell_len(line) <= width for line in text.splitlines())
        assert not any(sign in text for sign in "\x1b\x07\x9b\u202e\r\x08")
        assert text.strip()
        text.encode(encoding)


@pytest.mark.parametrize("width", [1, 3, 9, 17])
def test_where_columns_have_no_room_each_cell_has_a_line(width):
    """A row's cells below one another, each below the name of its column; nothing is left out."""
    leads = [Lead(piece=" wait", weight=0.5, run=FORK), Lead(piece=" so", weight=0.3, run=BEFORE)]

    def signs(*tables):
        return "".join(printed(one, width) for one in tables).replace(" ", "").replace("\n", "")

    assert signs(leads_table(leads, UNICODE)) == (
        "weight0.500token·waitsteps4endedcoldstopanswerseven"
        "weight0.300token·sosteps3endedcoldstopanswerfour"
    )
    shown = {"as it was": BEFORE, "fork": FORK}
    text = signs(branches(shown, 1, width=width, glyphs=UNICODE))
    assert "step1asitwas·wait0.50·so0.30·x0.20fork·so1.00·soalone" in text
    assert text.endswith("answerasitwasfourforkseven")


def test_a_step_says_what_was_changed():
    """A token alone, tokens left out, a temperature; nothing if nothing was."""
    assert changed(AT) == ""
    assert changed(TAKEN) == "·so alone"
    assert changed(without_heaviest(AT)) == "without ·wait"
    warm = replace(TAKEN, change=replace(TAKEN.change, temperature=0.9))
    assert changed(warm) == "·so alone, temperature 0.9"
    assert "·so 1.00  ·so alone" in printed(steps_table([TAKEN], UNICODE))


def test_a_changed_step_in_full_has_both():
    """What was fed, and what would have been, numbered as `/fork` takes them."""
    text = printed(step_in_full(TAKEN, tau=0.1, glyphs=UNICODE))
    assert "as it was:" in text
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["1", "2", "3"]


def test_answers_are_gathered_by_weight():
    """The answer that most of the weight leads to comes first; spaces do not tell two apart."""
    runs = [BEFORE, FORK, Run.of(run_of(step(0), answer=(" seven\n",)))]
    leads = [
        Lead(piece=p, weight=w, run=r)
        for p, w, r in zip("abc", (0.4, 0.35, 0.25), runs, strict=True)
    ]
    lines = printed(answers_table(leads, UNICODE)).splitlines()[1:]
    assert [" ".join(line.split()) for line in lines] == [
        "0.600 2 tokens seven", "0.400 1 token four",
    ]  # fmt: skip


def test_where_a_fork_parts_in_words():
    """By the token, or by the settings; a hostile one is inert."""
    assert parted(Parting(step=3, taken=" so", settings={})) == "fork at step 3: ·so"
    other = Parting(step=3, settings={"strategy": "hard", "topn": 2})
    assert parted(other) == "fork at step 3: strategy hard, topn 2"
    assert "\x1b" not in parted(Parting(step=3, taken=HOSTILE, settings={HOSTILE: HOSTILE}))
