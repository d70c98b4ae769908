"""Forks of a run beside it: where they part, how they end, what they answer. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from softchat.base.text import one_line, printable
from softchat.record.runs import Run
from softchat.views.steps import fed, sparkline
from softchat.views.tables import PlainTable
from softchat.views.thoughts import thought, thoughts
from softchat.views.wording import REASONS, Glyphs, number, plural

_LABEL = 8  # cells of the names of rows
_LINES = 6  # of thoughts that are shown


def branches(runs: Mapping[str, Run], at: int, *, width: int, glyphs: Glyphs) -> Table:
    """A run and its forks side by side, from the step on where they part.

    Args:
        runs: by their names.
        at: that step.
        width: cells.
        glyphs: signs that the terminal has.

    """
    table = PlainTable(width=width, header_style="bold")
    table.add_column("", style="dim", no_wrap=True)
    for name in runs:
        shown = Text(glyphs.text(one_line(name)))
        table.add_column(shown, overflow="fold", ratio=1)
    room = max(8, (width - _LABEL) // max(1, len(runs)) - 3)
    each = [_facts(run, at, room, glyphs) for run in runs.values()]
    for label in each[0]:
        table.add_row(label, *(facts[label] for facts in each))
    if len({_path(run) for run in runs.values()}) == 1:
        table.add_row("", *[Text("the same thoughts", "dim")] * len(runs))
    return table


def _facts(run: Run, at: int, room: int, glyphs: Glyphs) -> dict[str, Text]:
    behind = run.steps[at:]
    text = thoughts(thought(behind[1:], run.halted), glyphs, line=True)
    tau = number(run.settings.get("tau"))
    signs = sparkline([step.entropy for step in behind], tau=tau, width=room, glyphs=glyphs)
    return {
        f"step {at}": fed(behind[0], glyphs) if behind else Text("-"),
        "entropy": Text(signs, "magenta"),
        "then": _beginning(text, room * _LINES, glyphs),
        "steps": Text(str(len(run.steps))),
        "ended": Text(_ending(run)),
        "answer": Text(glyphs.text(printable(run.answer.strip()) or "-"), "bold"),
    }


def _beginning(text: Text, cells: int, glyphs: Glyphs) -> Text:
    if text.cell_len > cells:
        text.truncate(cells)
        text.append(glyphs.ellipsis)
    return text


def _ending(run: Run) -> str:
    return REASONS[run.halted.reason] if run.halted else "-"


def _path(run: Run) -> tuple[object, ...]:
    return tuple((step.mode, step.concept) for step in run.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A token of a step, and where it leads."""

    piece: str
    weight: float
    run: Run


def leads_table(leads: Sequence[Lead], glyphs: Glyphs) -> Table:
    """Each token of a step, and the answer that it leads to."""
    table = PlainTable()
    table.add_column("weight", justify="right", overflow="fold")
    table.add_column("token", overflow="fold")
    table.add_column("steps", justify="right", overflow="fold")
    table.add_column("ended", overflow="fold")
    table.add_column("answer", overflow="fold")
    for lead in leads:
        table.add_row(
            f"{lead.weight:.3f}",
            Text(glyphs.piece(lead.piece), "bold"),
            str(len(lead.run.steps)),
            _ending(lead.run),
            Text(glyphs.text(printable(lead.run.answer.strip()) or "-")),
        )
    return table


def answers_table(leads: Iterable[Lead], glyphs: Glyphs) -> Table:
    """Each answer, with the weight of the tokens that lead to it: the most first."""
    by_answer: dict[str, list[Lead]] = {}
    for lead in leads:
        by_answer.setdefault(" ".join(lead.run.answer.split()), []).append(lead)
    table = PlainTable()
    table.add_column("weight", justify="right", overflow="fold")
    table.add_column("", overflow="fold")
    table.add_column("answer", overflow="fold")
    for answer, same in sorted(
        by_answer.items(), key=lambda item: -sum(lead.weight for lead in item[1])
    ):
        table.add_row(
            f"{sum(lead.weight for lead in same):.3f}",
            plural(len(same), "token"),
            Text(glyphs.text(one_line(answer) or "-"), "bold"),
        )
    return table
