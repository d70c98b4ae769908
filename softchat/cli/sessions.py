"""`softchat sessions`: what was said in earlier sessions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from softchat.base.text import printable
from softchat.cli.completion import session_ids

app = typer.Typer(help="Earlier sessions: list, remove, export.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> None:
    """List earlier sessions, the newest first."""
    if context.invoked_subcommand is not None:
        return
    from softchat.record.sessions import list_sessions
    from softchat.views.wording import plural

    found = list_sessions(_folder())
    if not found:
        typer.echo("no session yet", err=True)
    for saved in found:
        turns = plural(len(saved.turns), "turn")
        title = " ".join(saved.title.split())[:60]
        name = saved.model.rpartition("/")[2][:16]
        when = saved.updated[:16].replace("T", " ")
        line = f"{saved.id}  {when}  {name:16}  {turns:>9}  {title}"
        typer.echo(printable(line, newlines=False))


@app.command()
def rm(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", autocompletion=session_ids)],
) -> None:
    """Delete sessions, each by its id or the beginning of it."""
    from softchat.record.sessions import remove_session

    for name in ids:
        typer.echo(printable(f"removed {remove_session(_folder(), name)}", newlines=False))


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="ID", autocompletion=session_ids)],
    file: Annotated[Path, typer.Argument(metavar="FILE")],
) -> None:
    """Write a session to FILE: Markdown if it ends in .md, else JSON."""
    from softchat.record.sessions import load_session, write_file

    write_file(file, load_session(_folder(), name))


def _folder() -> Path:
    from softchat.models.folders import state_folder

    return state_folder(os.environ) / "sessions"
