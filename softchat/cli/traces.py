"""What the commands about recorded runs share: which trace, which of its runs.

What was asked without --trace has its steps too: `last`, a number of `softchat log` and the id of a
session name them. A file of such a name is ./last.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.text import natural, one_line
from softchat.cli import EMPTY, warn
from softchat.errors import UsageError
from softchat.models.folders import is_file

if TYPE_CHECKING:
    from softchat.record.runs import Run

_KEPT = "a session keeps those of its newest turns, and none of --samples; --trace FILE keeps all"
TraceFile = Annotated[
    str,
    typer.Argument(
        metavar="TRACE|last|N|ID",
        help="A file that --trace has written; or what was asked last, or N of 'softchat log'; or "
        "a session.",
    ),
]
Turn = Annotated[
    int | None,
    typer.Option("--turn", metavar="N", min=1, help="Of several runs the Nth only."),
]


def read_runs(name: str, turn: int | None, *, forked: bool = False) -> list[Run]:
    """The runs that this names, or the one that is wanted; a line that was cut off is told of.

    Args:
        name: as in `TraceFile`.
        turn: its number, from 1; None: all.
        forked: also those, of a turn that is a fork, that it is a fork of; they come first.

    Raises:
        UsageError: there is no such trace, or no such run in it.

    """
    from softchat.record.runs import split_runs
    from softchat.record.trace import replay

    shown = one_line(name)
    if not name:
        raise UsageError("an empty name is no trace's", hint=EMPTY)
    if name == "last" or natural(name) is not None:
        runs = _asked(name, forked=forked)
    elif is_file(Path(name)) or not (runs := _runs_of_session(name, forked=forked)):
        runs = list(split_runs(replay(Path(name), warn=warn)))
    if not runs:
        raise UsageError(f"{shown} holds no run", hint="softchat ask --trace FILE writes a trace")
    if turn is None:
        return runs
    if turn > len(runs):
        held = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        raise UsageError(f"no run {turn} in {shown}", hint=f"it holds {held}")
    return [runs[turn - 1]]


def only_run(runs: list[Run]) -> Run:
    """The run that they are. Raises UsageError if they are several."""
    if len(runs) > 1:
        raise UsageError(f"the trace holds {len(runs)} runs", hint="name one with --turn")
    return runs[0]


def _asked(name: str, *, forked: bool) -> list[Run]:
    """The runs of what was asked last, or of a number of the log."""
    from softchat.cli.resume import open_log, sessions_folder
    from softchat.record.runs import Run
    from softchat.record.sessions import load_session

    number = natural(name)
    found = open_log().newest(1) if number is None else [open_log().number(number)]
    if not found:
        raise UsageError("nothing has been asked yet", hint="softchat ask QUESTION")
    turns = load_session(sessions_folder(), found[0].session).turns
    turn = turns[found[0].place]
    if not turn.events:
        raise UsageError("the steps of this were not kept", hint=_KEPT)
    return [Run.of(one.events) for one in (turn.lineage if forked else (turn,))]


def _runs_of_session(name: str, *, forked: bool) -> list[Run]:
    """The runs of the session whose id begins like this; none if there is no such session.

    Raises:
        UsageError: there is, but nothing is left of its steps.

    """
    from softchat.cli.resume import sessions_folder
    from softchat.record.runs import Run
    from softchat.record.sessions import load_session

    try:
        turns = load_session(sessions_folder(), name).turns
    except UsageError:  # a file is meant, and told to be missing
        return []
    told = [one for turn in turns for one in (turn.lineage if forked else (turn,))]
    runs = [Run.of(turn.events) for turn in told if turn.events]
    if turns and not runs:
        raise UsageError(f"the steps of session {one_line(name)} are not kept", hint=_KEPT)
    return runs
