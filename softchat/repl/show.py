"""What slash commands print, as rich renderables. Knows turns and settings; prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from softchat.config import OPTIONS
from softchat.conversation import Turn
from softchat.events import Event, Finished, Halted, Step
from softchat.settings import KNOBS
from softchat.text import printable
from softchat.views.steps import sparkline
from softchat.views.wording import REASONS, Glyphs, duration, number, plural, rate

_WIDEST = 24  # cells of a value in the table of settings: a system prompt is longer


def settings_table(settings: Mapping[str, tuple[Any, str]]) -> Table:
    """Every setting and option, its value, where that comes from, and what it does."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("setting" if KNOBS.keys() & settings else "option", no_wrap=True)
    table.add_column("value", no_wrap=True, max_width=_WIDEST)
    table.add_column("from", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, (value, origin) in settings.items():
        plain = origin in ("built in", "drawn for each turn")
        drawn = name == "seed" and origin.startswith("drawn")
        shown = "" if drawn or value is None else printable(" ".join(str(value).split()))
        table.add_row(
            Text(name, "" if plain else "bold"),
            Text(shown, "" if plain else "bold"),
            Text(origin, "dim"),
            Text(help_of(name), "dim"),
        )
    return table


def help_of(name: str) -> str:
    """What a setting or an option does."""
    return str(KNOBS[name].metadata["help"]) if name in KNOBS else OPTIONS[name]


def stats_table(turns: Sequence[Turn]) -> Table:
    """What each turn took."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("turn", "steps", "steps/s", "ended", "answer", "tokens/s", "total"):
        table.add_column(name, justify="left" if name == "ended" else "right", no_wrap=True)
    for index, turn in enumerate(turns, 1):
        finished = turn.finished
        if finished is None:
            table.add_row(str(index), *["-"] * 6)
            continue
        table.add_row(
            str(index),
            str(finished.steps),
            rate(finished.steps, finished.think_s) or "-",
            _reason(turn.events),
            plural(finished.answer_tokens, "token"),
            rate(finished.answer_tokens, finished.answer_s) or "-",
            duration(finished.total_s),
        )
    return table


def comparison(runs: Mapping[str, Sequence[Event]], *, width: int, glyphs: Glyphs) -> Table:
    """Runs side by side: how each one thought, and what it answered."""
    table = Table(box=None, padding=(0, 2, 0, 0), width=width, header_style="bold")
    table.add_column("", style="dim", no_wrap=True)
    for name in runs:
        table.add_column(name, overflow="fold", ratio=1)
    room = max(8, (width - 12) // max(1, len(runs)) - 3)
    rows: dict[str, list[Text]] = {}
    for events in runs.values():
        for label, text in _facts(events, room, glyphs).items():
            rows.setdefault(label, []).append(text)
    for label, cells in rows.items():
        table.add_row(label, *cells)
    return table


def _facts(events: Sequence[Event], width: int, glyphs: Glyphs) -> dict[str, Text]:
    steps = [event for event in events if isinstance(event, Step)]
    finished = next((event for event in events if isinstance(event, Finished)), None)
    tau = number(getattr(events[0], "settings", {}).get("tau")) if events else 0.0
    entropies = [step.entropy for step in steps]
    mean = f"{sum(entropies) / len(entropies):.2f} nats" if entropies else "-"
    return {
        "steps": Text(str(len(steps))),
        "ended": Text(_reason(events)),
        "entropy": Text(sparkline(entropies, tau=tau, width=width, glyphs=glyphs), "magenta"),
        "mean H": Text(mean),
        "thinking": Text(duration(finished.think_s) if finished else "-"),
        "answering": Text(duration(finished.answer_s) if finished else "-"),
        "answer": Text(glyphs.text(printable(finished.answer.strip())) if finished else "-"),
    }


def _reason(events: Sequence[Event]) -> str:
    halted = next((event for event in events if isinstance(event, Halted)), None)
    return REASONS[halted.reason] if halted else "-"
