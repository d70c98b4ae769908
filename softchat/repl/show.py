"""What slash commands print, as rich renderables. Knows turns and settings; prints nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from softchat.base.text import printable
from softchat.config.file import OPTIONS
from softchat.settings import KNOBS
from softchat.talk.conversation import Turn
from softchat.views.comparison import reason
from softchat.views.wording import duration, rate

_WIDEST = 24  # cells of a value in the table of settings: a system prompt is longer


def settings_table(settings: Mapping[str, tuple[Any, str]], *, helped: bool = True) -> Table:
    """Every setting and option, its value, where that comes from, and if `helped` what it does."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("setting" if KNOBS.keys() & settings else "option", no_wrap=True)
    table.add_column("value", no_wrap=True, max_width=_WIDEST)
    table.add_column("from", no_wrap=True)
    if helped:
        table.add_column("", overflow="fold")
    for name, (value, origin) in settings.items():
        plain = origin in ("built in", "drawn for each turn")
        drawn = name == "seed" and origin.startswith("drawn")
        shown = "" if drawn or value is None else printable(" ".join(str(value).split()))
        table.add_row(
            Text(name, "" if plain else "bold"),
            Text(shown, "" if plain else "bold"),
            Text(origin, "dim"),
            *([Text(help_of(name), "dim")] if helped else []),
        )
    return table


def commands_table(commands: Mapping[str, str]) -> Table:
    """Every command as it is written, and what it does."""
    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for usage, help_ in commands.items():
        table.add_row(Text(usage), Text(help_))
    return table


def help_of(name: str) -> str:
    """What a setting or an option does."""
    return str(KNOBS[name].metadata["help"]) if name in KNOBS else OPTIONS[name]


def stats_table(turns: Sequence[Turn]) -> Table:
    """What each turn took."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("turn", "steps", "steps/s", "ended", "tokens", "tokens/s", "total"):
        words = name == "ended"  # these give way in a narrow window, no number does
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    for index, turn in enumerate(turns, 1):
        finished = turn.finished
        if finished is None:
            ended = "died" if turn.failed else "-"
            table.add_row(str(index), "-", "-", ended, "-", "-", "-")
            continue
        table.add_row(
            str(index),
            str(finished.steps),
            rate(finished.steps, finished.think_s) or "-",
            reason(turn.events),
            str(finished.answer_tokens),
            rate(finished.answer_tokens, finished.answer_s) or "-",
            duration(finished.total_s),
        )
    return table
