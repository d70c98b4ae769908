"""`softchat log`: every question that was asked, in sessions too; `softchat last`: the newest."""

from __future__ import annotations

import datetime
import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.local_time import local
from softchat.base.text import inert_json, is_unicode, one_line, printable
from softchat.cli import EMPTY
from softchat.cli.idle import refuse_idle
from softchat.cli.outputs import Markdown, Outputs
from softchat.cli.resume import open_log, sessions_folder
from softchat.errors import UsageError
from softchat.prompt.attached import in_short

if TYPE_CHECKING:
    from softchat.record.log import Logged

_ALL = 2**31
_LONGEST = 200  # cells of a line where no terminal bounds it

Code = Annotated[bool, typer.Option("--code", "-x", help="Its code blocks alone.")]

app = typer.Typer(help="Questions that were asked: list, search, show.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def log(
    context: typer.Context,
    words: Annotated[
        str | None,
        typer.Option("--query", "-q", metavar="WORDS", help="Those that hold all these words."),
    ] = None,
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="N", min=0, help="So many; 0: all.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, in full.")] = False,
) -> None:
    """List what was asked, the newest first, of one-shots and sessions alike."""
    if context.invoked_subcommand is not None:
        beside = f"before {context.invoked_subcommand}"
        refuse_idle(context, "words", "number", "as_json", beside=beside)
        return
    if words is not None and not words.strip():
        raise UsageError("no word to look for", hint=EMPTY)
    found = open_log().newest(number or _ALL, words=words or "")
    if not found:
        typer.echo("nothing found" if words else "nothing has been asked yet", err=True)
    for one in found:
        typer.echo(_as_json(one) if as_json else _line(one))


@app.command()
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="As 'softchat log' has it.")],
    markdown: Markdown = None,
    code: Code = False,
) -> None:
    """Print a question and its answer."""
    _refuse_markdown(context, code=code)
    _show(open_log().number(number), markdown, code=code)


@app.command("rm")
def rm(numbers: Annotated[list[int], typer.Argument(metavar="N…", min=1)]) -> None:
    """Delete questions, each with all of its session."""
    from softchat.record.sessions import remove_sessions

    index = open_log()
    sessions = [index.number(number).session for number in numbers]
    for session in remove_sessions(sessions_folder(), sessions):
        typer.echo(one_line(f"removed {session}"))
    index.refresh()


def last(context: typer.Context, markdown: Markdown = None, code: Code = False) -> None:
    """Print the last answer again, and on stderr its question."""
    _refuse_markdown(context, code=code)
    found = open_log().newest(1)
    if not found:
        raise UsageError("nothing has been asked yet", hint="softchat ask QUESTION")
    _show(found[0], markdown, code=code)


def _refuse_markdown(context: typer.Context, *, code: bool) -> None:
    if code:
        refuse_idle(context, "markdown", beside="with --code")


def _show(one: Logged, markdown: bool | None, *, code: bool) -> None:
    from softchat.cli.model import user_config
    from softchat.events import Answer

    config = user_config()
    text = _code_of(one.answer) if code else one.answer
    told = f"{one.number}  {_when(one)}  {_model(one)}  --resume {one.session}"
    for line in (told, f"> {in_short(one.question)}"):
        print(printable(line), file=sys.stderr)
    sys.stderr.flush()
    shown = Outputs(quiet=True, markdown=False if code else markdown)
    with shown.after(config).view() as view:
        view.show(Answer(text=text))


def _code_of(answer: str) -> str:
    from softchat.views.markdown import code_blocks

    blocks = code_blocks(answer)
    if not blocks:
        raise UsageError("this answer has no code block", hint="without --code: all of it")
    return "".join(blocks)


def _line(one: Logged) -> str:
    from softchat.views.wording import in_a_line

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _LONGEST
    head = f"{one.number:5}  {_when(one)}  {printable(_model(one)[:16]):16}  "
    return head + in_a_line(in_short(one.question), max(20, width - 1 - len(head)))


def _when(one: Logged) -> str:
    try:
        when = local(datetime.datetime.fromisoformat(one.time))
    except (ValueError, OverflowError):
        return "-" * 16
    return when.strftime("%Y-%m-%d %H:%M")


def _model(one: Logged) -> str:
    return one.model.rpartition("/")[2]


def _as_json(one: Logged) -> str:
    return inert_json(json.dumps(asdict(one), ensure_ascii=not is_unicode(sys.stdout.encoding)))
