"""`softchat sessions`: what was said in earlier sessions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.text import one_line
from softchat.base.written import refuse_foreign, refuse_inside, refuse_stdout
from softchat.cli import EMPTY
from softchat.cli.completion import session_ids
from softchat.cli.resume import open_log, sessions_folder
from softchat.errors import UsageError

if TYPE_CHECKING:
    from softchat.record.session_format import SessionRecord

_TITLE = 60  # cells of a session's first question
_ALL = 2**31

app = typer.Typer(
    help="Earlier sessions: list, show, search, export, remove.", no_args_is_help=False
)
Id = Annotated[
    str,
    typer.Argument(metavar="ID|last", autocompletion=session_ids, help="An id, or its beginning."),
]


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> None:
    """List earlier sessions, the newest first. What 'ask' has asked is in 'softchat log'."""
    if context.invoked_subcommand is not None:
        return
    from softchat.record.sessions import list_sessions

    found = list_sessions(sessions_folder())
    if not found:
        typer.echo("no session yet; what ask has asked is in 'softchat log'", err=True)
    for saved in found:
        typer.echo(_line(saved))


def _line(saved: SessionRecord) -> str:
    from softchat.prompt.attached import in_short
    from softchat.views.wording import in_a_line, plural

    turns = plural(len(saved.turns), "turn")
    name = saved.model.rpartition("/")[2][:16]
    when = saved.updated[:16].replace("T", " ")
    head = one_line(f"{saved.id}  {when}  {name:16}  {turns:>9}  ")
    return head + in_a_line(in_short(saved.title), _TITLE)


@app.command()
def show(name: Id) -> None:
    """Print all that was said in a session."""
    from rich.text import Text

    from softchat.cli.outputs import terminal_console
    from softchat.record.session_format import to_markdown
    from softchat.record.sessions import load_session
    from softchat.views.paging import print_paged

    text = to_markdown(load_session(sessions_folder(), name))
    if sys.stdout.isatty():
        print_paged(terminal_console(), Text(text), lines=text.count("\n"))
    else:
        print(text, end="")


@app.command()
def search(words: Annotated[list[str], typer.Argument(metavar="WORDS…")]) -> None:
    """List sessions in which a question and its answer hold all these words."""
    from softchat.record.session_format import read_file

    if not " ".join(words).strip():
        raise UsageError("no word to look for", hint=EMPTY)
    hits = open_log().newest(_ALL, words=" ".join(words))
    found = {hit.session: None for hit in hits}  # each once, in this order
    if not found:
        typer.echo("nothing found", err=True)
    for id_ in found:
        typer.echo(_line(read_file(sessions_folder() / f"{id_}.json")))  # its steps take longer


@app.command()
def rm(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", autocompletion=session_ids)],
) -> None:
    """Delete sessions, each by its id or the beginning of it."""
    from softchat.record.sessions import remove_sessions

    for id_ in remove_sessions(sessions_folder(), ids):
        typer.echo(one_line(f"removed {id_}"))
    open_log().refresh()


@app.command()
def export(
    name: Id,
    file: Annotated[str, typer.Argument(metavar="FILE|-")],
) -> None:
    """Write a session to FILE: Markdown if it ends in .md, else JSON; '-': Markdown to stdout."""
    from softchat.cli.model import refuse_own
    from softchat.record.session_format import is_export, to_markdown, write_file
    from softchat.record.sessions import load_session

    if not file:
        raise UsageError("no file is named", hint="'-' is stdout")
    saved = load_session(sessions_folder(), name)
    if file == "-":
        print(to_markdown(saved), end="")
        return
    out = Path(file)
    refuse_own(out, by="export")
    refuse_inside(out, sessions_folder())
    refuse_stdout(out, by=one_line(file), hint="softchat sessions export ID - writes to stdout")
    refuse_foreign(out, is_export, what="exported session")
    write_file(out, saved)
