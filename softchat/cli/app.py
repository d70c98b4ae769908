"""The commands, by name."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from softchat.base.text import one_line
from softchat.base.version import __version__
from softchat.cli.ask import ask
from softchat.cli.bench import bench
from softchat.cli.cache import app as cache
from softchat.cli.chat import chat
from softchat.cli.compare import compare
from softchat.cli.completion import mend_zsh
from softchat.cli.default import elsewhere, is_alone, meant, mistyped
from softchat.cli.doctor import doctor
from softchat.cli.evaluate import eval_
from softchat.cli.fork import fork
from softchat.cli.grouped import GroupedCommand
from softchat.cli.log import app as log
from softchat.cli.log import last
from softchat.cli.models import app as models
from softchat.cli.plot import plot
from softchat.cli.prompts import prompts
from softchat.cli.replay import replay
from softchat.cli.rpc_server import rpc_server
from softchat.cli.sessions import app as sessions
from softchat.cli.show import show
from softchat.cli.sweep import sweep
from softchat.cli.tune import tune
from softchat.cli.variables import unread
from softchat.errors import UsageError
from softchat.models.folders import expand, is_file

_ASK = """\
softchat ask "I leave at 9:40 and walk for 35 minutes. When do I arrive?"
softchat show last                                  what it thought
cat notes.txt | softchat ask "Who sends the contract?"
softchat ask -c "And when?"                         go on
softchat ask -m smollm2-plain "How do I learn to play the piano?"
softchat ask --topn 1 "What is 12 times 9?"         mix nothing: greedy decoding
softchat ask -m gemma3:270m "Hello?"                a model that ollama has"""
_FORK = """\
softchat fork last --at 14 --take patience
softchat fork last --at 14 --all
softchat fork run.jsonl --at 14 --strategy hard --trace both.jsonl"""
_COMPARE = """\
softchat compare -m smollm2-plain "How do I learn to play the piano?"
softchat compare "What is 12 times 9?" --topn 1,5,10"""


class _AskOrChat(TyperGroup):
    """Without a command, a question is asked, and there is a chat where there is none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # click's
        flags = {name for param in self.params for name in param.opts}
        flags |= set(ctx.help_option_names)
        if ctx.resilient_parsing:  # Tab: the word that is being typed is not among the arguments
            if args and args[0].startswith("-") and args[0] not in flags:
                args = ["chat", *args]
            return super().parse_args(ctx, args)
        for line in unread(os.environ, self):
            print(f"note: {line}", file=sys.stderr)
        if args and " " not in args[0]:
            _refuse_mistyped(args)
        whole = meant(
            args,
            flags=flags,
            asks=lambda arguments: self._asks(ctx, list(arguments)),
            terminal=sys.stdin.isatty() and sys.stdout.isatty(),
        )
        return super().parse_args(ctx, whole)

    def _asks(self, ctx: Any, args: list[str]) -> bool:  # noqa: ANN401  # click's
        try:
            command = self.commands["ask"]
            with command.make_context("ask", args, parent=ctx, resilient_parsing=True) as ask_:
                return bool(ask_.params["question"] or ask_.params["file"])
        except TyperException:  # it has a flag that only `chat` knows, or none
            return False

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401  # click's
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.commands["chat"]
            with command.make_context("chat", [], parent=ctx, resilient_parsing=True) as chat_:
                known = {item.value for item in found}
                more = command.shell_complete(chat_, incomplete)
                found += [item for item in more if item.value not in known]
        return found


def _refuse_mistyped(args: list[str]) -> None:
    """Raise UsageError if the first word is hardly the beginning of a question."""
    word = args[1] if args[0] == "help" and len(args) == 2 else args[0]
    shown = one_line(word)
    if near := elsewhere(args) or mistyped(word, alone=is_alone(args)):
        raise UsageError(
            f"no command '{shown}'",
            hint=f"did you mean 'softchat {near}'? To ask this: softchat ask {shown} …",
        )
    if len(args) == 1 and not word.startswith("-") and is_file(expand(word)):
        hint = f"to ask about it: softchat -f {shown} QUESTION; as a model: softchat -m {shown}"
        raise UsageError(f"{shown} is a file, and no question", hint=hint)


mend_zsh()
app = typer.Typer(
    name="softchat",
    help="Chat with a local model that thinks in concept tokens, and watch it happen.",
    epilog="Most options can be given as a variable: --top-k 20 is SOFTCHAT_TOP_K=20.",
    context_settings={"help_option_names": ["-h", "--help"]},
    cls=_AskOrChat,
    rich_markup_mode=None,  # plain help: rich would double the time it takes
    pretty_exceptions_enable=False,
)
app.command(cls=GroupedCommand)(chat)
app.command(cls=GroupedCommand, epilog=_ASK)(ask)
app.add_typer(models, name="models")
app.command()(last)
app.add_typer(log, name="log")
app.add_typer(sessions, name="sessions")
app.add_typer(cache, name="cache")
app.command()(prompts)
app.command()(replay)
app.command()(show)
app.command()(plot)
app.command(cls=GroupedCommand, epilog=_FORK)(fork)
app.command(cls=GroupedCommand, epilog=_COMPARE)(compare)
app.command("eval", cls=GroupedCommand)(eval_)
app.command(cls=GroupedCommand)(sweep)
app.command(cls=GroupedCommand)(tune)
app.command()(bench)
app.command()(doctor)
app.command("rpc-server")(rpc_server)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softchat {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Its version."),
    ] = False,
) -> None:
    """Chat with a local model that thinks in concept tokens, and watch it happen."""
