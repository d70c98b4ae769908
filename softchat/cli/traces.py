"""What the commands about recorded runs share: which trace, which of its runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.text import printable
from softchat.errors import UsageError

if TYPE_CHECKING:
    from softchat.record.runs import Run

TraceFile = Annotated[
    Path, typer.Argument(metavar="TRACE", help="A file that --trace, or /trace, has written.")
]
Turn = Annotated[
    int | None,
    typer.Option("--turn", metavar="N", min=1, help="Of several runs the Nth only."),
]


def read_runs(path: Path, turn: int | None) -> list[Run]:
    """The runs of a trace, or the one that is wanted; a line that was cut off is told of.

    Raises:
        UsageError: there is no such trace, or no such run in it.

    """
    from softchat.record.runs import split_runs
    from softchat.record.trace import replay

    runs = list(split_runs(replay(path, warn=_warn)))
    shown = printable(str(path), newlines=False)
    if not runs:
        raise UsageError(f"{shown} is empty", hint="softchat ask --trace FILE writes a trace")
    if turn is None:
        return runs
    if turn > len(runs):
        held = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        raise UsageError(f"no run {turn} in {shown}", hint=f"it holds {held}")
    return [runs[turn - 1]]


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
