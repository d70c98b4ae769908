"""Which earlier session is gone on with, and with which model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.cli import warn
from softchat.cli.completion import session_ids
from softchat.errors import ModelNotFoundError, UsageError
from softchat.models.folders import state_folder

if TYPE_CHECKING:
    from softchat.models import Located
    from softchat.record.log import Log
    from softchat.record.session_format import SessionRecord

Resume = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Go on with a session of 'softchat sessions' or 'log', or 'last'.",
        autocompletion=session_ids,
    ),
]
Continue = Annotated[
    bool, typer.Option("--continue", "-c", help="Go on with what was said last: --resume last.")
]


def refuse_both_earlier(context: typer.Context) -> None:
    """Raise UsageError if two sessions are to be gone on with."""
    if context.params["continue_"] and context.params["resume"]:
        raise UsageError("--continue and --resume exclude each other", hint="choose one")


def sessions_folder() -> Path:
    """The folder of all sessions, those of one question too."""
    return state_folder(os.environ) / "sessions"


def log_files() -> tuple[Path, Path]:
    """The log's index, and what SQLite keeps beside it while it writes; be they there or not."""
    index = state_folder(os.environ) / "log.sqlite3"
    return index, index.with_name(f"{index.name}-journal")


def open_log() -> Log:
    """The log of all that was asked."""
    from softchat.record.log import Log

    return Log(log_files()[0], sessions_folder(), warn=warn)


def earlier(resume: str | None, *, last: bool) -> SessionRecord | None:
    """The session to go on with; None for a new one.

    Args:
        resume: its id, or the beginning of it.
        last: the newest, but for chats that are open now.

    Raises:
        UsageError: there is no such session.

    """
    from softchat.record.sessions import load_session, newest_session

    if resume not in (None, "last"):
        return load_session(sessions_folder(), resume)
    return newest_session(sessions_folder(), idle=True) if last or resume else None


def model_of(session: SessionRecord, find: Callable[[str], Located], command: str) -> Located:
    """The model that a session had. Raises ModelNotFoundError if it has gone."""
    try:
        return find(session.model)
    except ModelNotFoundError as error:
        other = f"with another model: softchat {command} --resume {session.id} -m NAME"
        raise ModelNotFoundError(error.message, hint=other) from error


def warn_not_kept(error: OSError) -> None:
    """Tell of a session that can't be written."""
    from softchat.record.session_file import what_is_lost

    where = f"{error.filename}: " if error.filename else ""
    why = f"{where}{error.strerror or error}"
    warn(f"{what_is_lost(error, 'this')} can't be kept: {why} (--no-log: nothing is)")
