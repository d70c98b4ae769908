"""The commands, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from softchat import __version__
from softchat.cli.ask import ask
from softchat.cli.bench import bench

app = typer.Typer(
    name="softchat",
    help="Chat with a local model that thinks in concept tokens, and watch it happen.",
    epilog="Every option can be given as a variable: --top-k 20 is SOFTCHAT_TOP_K=20.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich would double the time it takes
    pretty_exceptions_enable=False,
)
app.command()(ask)
app.command()(bench)


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
