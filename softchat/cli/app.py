"""The commands, by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from softchat.base.version import __version__
from softchat.cli.ask import ask
from softchat.cli.bench import bench
from softchat.cli.cache import app as cache
from softchat.cli.chat import chat
from softchat.cli.compare import compare
from softchat.cli.completion import mend_zsh
from softchat.cli.doctor import doctor
from softchat.cli.evaluate import eval_
from softchat.cli.grouped import GroupedCommand
from softchat.cli.models import app as models
from softchat.cli.plot import plot
from softchat.cli.replay import replay
from softchat.cli.rpc_server import rpc_server
from softchat.cli.sessions import app as sessions
from softchat.cli.show import show
from softchat.cli.sweep import sweep
from softchat.cli.tune import tune


class _ChatByDefault(TyperGroup):
    """Without a command, `softchat` is `softchat chat`, with its flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # click's
        own = {name for param in self.params for name in param.opts}
        own |= set(ctx.help_option_names)
        # While Tab completes, the word that is being typed is not among the arguments.
        if (args[0].startswith("-") and args[0] not in own) if args else not ctx.resilient_parsing:
            args = ["chat", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401  # click's
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.commands["chat"]
            with command.make_context("chat", [], parent=ctx, resilient_parsing=True) as chat_:
                known = {item.value for item in found}
                more = command.shell_complete(chat_, incomplete)
                found += [item for item in more if item.value not in known]
        return found


mend_zsh()
app = typer.Typer(
    name="softchat",
    help="Chat with a local model that thinks in concept tokens, and watch it happen.",
    epilog="Every option can be given as a variable: --top-k 20 is SOFTCHAT_TOP_K=20.",
    context_settings={"help_option_names": ["-h", "--help"]},
    cls=_ChatByDefault,
    rich_markup_mode=None,  # plain help: rich would double the time it takes
    pretty_exceptions_enable=False,
)
app.command(cls=GroupedCommand)(chat)
app.command(cls=GroupedCommand)(ask)
app.add_typer(models, name="models")
app.add_typer(sessions, name="sessions")
app.add_typer(cache, name="cache")
app.command()(replay)
app.command()(show)
app.command()(plot)
app.command(cls=GroupedCommand)(compare)
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
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Its version.")
    ] = False,
) -> None:
    """Chat with a local model that thinks in concept tokens, and watch it happen."""
