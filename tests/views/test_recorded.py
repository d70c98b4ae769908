"""A recorded run as a page of text."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from softchat.events import Error
from softchat.record.runs import Run
from softchat.views.recorded import run_page
from softchat.views.wording import glyphs_for
from tests.recordings import HOSTILE, run_of, started, step

STEPS = [step(0, entropy=2.0), step(1, entropy=1.0), step(2, entropy=0.1, below=1)]


def page(*events, width=100, encoding="utf-8"):
    console = Console(file=StringIO(), width=width)
    console.print(run_page(Run.of(events), width=width, glyphs=glyphs_for(encoding)))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_run_on_a_page():
    """Model and what is special about it; how the thinking went; a row a step; the answer."""
    lines = page(*run_of(*STEPS, begin=started("tiny", topn=3, seed=7)))
    assert lines == [
        "tiny · strategy soft · tau 0.5 · patience 3 · topn 3 · temperature 0.6 · seed 7",
        "thought 3 soft steps in 0.3 s (10/s) · cold stop · H 0.1 to 2.0",
        "█▄▁",
        "answered 2 tokens in 1.0 s (2.0/s) · stop",
        "",
        "a|b a|b a|b",
        "",
        " step  H (nats)  cold  mode  concept token",
        "    0     2.000        soft  ·a 0.75  ·b 0.25",
        "    1     1.000        soft  ·a 0.75  ·b 0.25",
        "    2     0.100     1  soft  ·a 0.75  ·b 0.25",
        "",
        "four legs",
    ]


def test_a_run_that_was_cut_off():
    """What there is, and that there is no more."""
    events = run_of(*STEPS)[:3]
    assert "thought 1 step, then the trace ends" in page(*events)
    assert page()[0] == "unknown"
    failed = page(events[0], Error(kind="context", message=f"too long{HOSTILE}", hint=""))
    assert any(line.startswith("failed: too long␛]52") for line in failed)


def test_no_line_is_wider_than_the_terminal():
    """Long runs and names are folded or cut."""
    many = [step(i, below=i, **{f"a_long_piece_{j}": 0.1 for j in range(9)}) for i in range(300)]
    lines = page(*run_of(*many, begin=started("long" * 50)), width=40)
    assert max(map(len, lines)) <= 40


def test_signs_that_the_terminal_does_not_have():
    """In ASCII, ASCII."""
    lines = page(*run_of(*STEPS, answer=("Ω\x1b[2J",)), encoding="ascii")
    assert all(line.isascii() for line in lines), lines
