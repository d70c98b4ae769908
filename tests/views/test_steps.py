"""The table of all steps, and how a long one is printed."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from softchat.events import Change, Lens, Mode
from softchat.views.paging import print_paged
from softchat.views.steps import steps_table
from softchat.views.tables import PlainTable
from softchat.views.wording import UNICODE
from tests.recordings import HOSTILE, step

PIECES = ("_a", "字漢", "word" * 9, HOSTILE, "e\u0301", "🙂", "\t\n", "_x_y")
STEPS = [
    step(
        index, entropy=index * 1.1, below=index % 3 * 41, mode=list(Mode)[index % 2],
        why="for a long reason " * (index % 4),
        **{f"{PIECES[(index + i) % 8]}{i}": 1 / (i + 1) for i in range(index % 8 + 1)},
    )
    for index in range(12)
]  # fmt: skip
STEPS[3] = replace(STEPS[3], change=Change(instead_of=STEPS[4].concept, temperature=0.5))
LENSES = [
    Lens(index=i, text="answer " * i, entropy=i / 7, whole=i % 2 == 0, elapsed_s=1.0)
    for i in range(0, 12, 3)
]


class Writes(StringIO):
    """Counts how often somebody writes to it."""

    count = 0

    def write(self, text):
        self.count += bool(text)
        return super().write(text)


def seen(renderable, width):
    """What is on the screen, and the style of each sign of it."""
    console = Console(width=width, force_terminal=True, color_system="standard")
    segments = [*console.render(renderable)]
    text = "".join(segment.text for segment in segments)
    styles = [
        (sign, str(segment.style or "").replace("none", ""))
        for segment in segments
        for sign in segment.text
        if not sign.isspace()
    ]
    return text, styles


def made_by_rich(steps, lenses):
    """The same rows, in a table that rich lays out as a whole."""
    rows = steps_table(steps, UNICODE, lenses=lenses)
    table = PlainTable(padding=(0, 1))
    for name in ("step", "H (nats)", "cold"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("mode", *(["would answer"] if lenses else [])):
        table.add_column(name, no_wrap=True)
    table.add_column("concept token", overflow="fold")
    for one in steps:
        table.add_row(*rows._row(one))
    return table


@pytest.mark.parametrize("width", [1, 7, 20, 36, 39, 47, 58, 63, 80, 1000])
@pytest.mark.parametrize("lenses", [[], LENSES])
@pytest.mark.parametrize("steps", [STEPS, []])
def test_rows_look_as_in_a_table_of_rich(steps, lenses, width):
    """To the sign and its style, however narrow it is."""
    assert seen(steps_table(steps, UNICODE, lenses=lenses), width) == seen(
        made_by_rich(steps, lenses), width
    )


def test_a_long_table_begins_at_once():
    """What is printed comes in lots, and is all of it, whole lines."""
    table = steps_table([step(i) for i in range(1500)], UNICODE)
    once, lots = StringIO(), Writes()
    Console(file=once, width=80).print(table)
    print_paged(Console(file=lots, width=80), table, lines=1500)
    assert lots.getvalue() == once.getvalue()
    assert lots.count > 5
