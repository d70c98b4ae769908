"""`softchat sessions`: what was said in earlier sessions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from softchat.text import printable

app = typer.Typer(help="Earlier sessions: list, remove, export.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> None:
    """List earlier sessions, the newest first."""
    if context.invoked_subcommand is not None:
        return
    from softchat.sessions import list_sessions
    from softchat.views.wording import plural

    found = list_sessions(_folder())
    if not found:
        typer.echo("no session yet", err=True)
    for saved in found:
        turns = plural(len(saved.turns), "turn")
        title = printable(" ".join(saved.title.split()), newlines=False)
        name = printable(saved.model.rpartition("/")[2], newlines=False)
        when = saved.updated[:16].replace("T", " ")
        typer.echo(f"{saved.id}  {when}  {name[:16]:16}  {turns:>9}  {title[:60]}")


@app.command()
def rm(ids: Annotated[list[str], typer.Argument(metavar="ID…")]) -> None:
    """Delete sessions, each by its id or the beginning of it."""
    from softchat.sessions import remove_session

    for name in ids:
        typer.echo(f"removed {remove_session(_folder(), name)}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="ID")],
    file: Annotated[Path, typer.Argument(metavar="FILE")],
) -> None:
    """Write a session to FILE: Markdown if it ends in .md, else JSON."""
    from softchat.sessions import load_session, write_file

    write_file(file, load_session(_folder(), name))


def _folder() -> Path:
    from softchat.models.folders import state_folder

    return state_folder(os.environ) / "sessions"
