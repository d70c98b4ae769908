"""Runs of one question side by side, as a rich table. Knows events, prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from softchat.base.text import one_line, printable
from softchat.events import Event
from softchat.record.runs import Run
from softchat.views.steps import sparkline
from softchat.views.tables import PlainTable
from softchat.views.thoughts import thought, thoughts
from softchat.views.wording import REASONS, Glyphs, duration, number


def comparison(runs: Mapping[str, Sequence[Event]], *, width: int, glyphs: Glyphs) -> Table:
    """Runs side by side: how each one thought, and what it answered."""
    table = PlainTable(width=width, header_style="bold")
    table.add_column("", style="dim", no_wrap=True)
    for name in runs:
        shown = Text(glyphs.text(one_line(name)))
        table.add_column(shown, overflow="fold", ratio=1)
    room = max(8, (width - 12) // max(1, len(runs)) - 3)
    rows: dict[str, list[Text]] = {}
    for events in runs.values():
        for label, text in _facts(events, room, glyphs).items():
            rows.setdefault(label, []).append(text)
    for label, cells in rows.items():
        table.add_row(label, *cells)
    return table


def _facts(events: Sequence[Event], width: int, glyphs: Glyphs) -> dict[str, Text]:
    run = Run.of(events)
    finished = run.finished
    tau = number(run.settings.get("tau"))
    entropies = [step.entropy for step in run.steps]
    mean = f"{sum(entropies) / len(entropies):.2f} nats" if entropies else "-"
    return {
        "steps": Text(str(len(run.steps))),
        "ended": Text(reason(events)),
        "entropy": Text(sparkline(entropies, tau=tau, width=width, glyphs=glyphs), "magenta"),
        "mean H": Text(mean),
        "thinking": Text(duration(finished.think_s) if finished else "-"),
        "answering": Text(duration(finished.answer_s) if finished else "-"),
        "thoughts": thoughts(thought(run.steps, run.halted), glyphs, line=True),
        "answer": Text(glyphs.text(printable(finished.answer.strip())) if finished else "-"),
    }


def reason(events: Sequence[Event]) -> str:
    """Why the thinking ended, in words."""
    halted = Run.of(events).halted
    return REASONS[halted.reason] if halted else "-"
