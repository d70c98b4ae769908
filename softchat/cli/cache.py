"""`softchat cache`: long prompts that are kept on disk, as KV caches."""

from __future__ import annotations

import os
import time
from pathlib import Path

import typer

from softchat.base.text import one_line

app = typer.Typer(help="Long prompts that are kept for later runs: list, clear.")


@app.callback(invoke_without_command=True)
def cache(context: typer.Context) -> None:
    """List the prompts that are kept, the last used first."""
    if context.invoked_subcommand is not None:
        return
    from softchat.base.files import files_in, shown_size
    from softchat.talk.prompt_cache import entries

    files_in(_folder(), "")  # told if one may not look there
    found = entries(_folder())
    if not found:
        typer.echo("no prompt is kept", err=True)
    for entry in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        line = f"{when}  {len(entry.tokens):>6} tokens  {shown_size(entry.bytes):>8}  {entry.model}"
        typer.echo(one_line(line))
    if found:
        total = shown_size(sum(entry.bytes for entry in found))
        typer.echo(one_line(f"{total} in {_folder()}; softchat cache clear"), err=True)


@app.command()
def clear() -> None:
    """Remove them all; they are read anew when they are needed."""
    from softchat.talk.prompt_cache import clear as remove

    count = remove(_folder())
    typer.echo(f"removed {count}")


def _folder() -> Path:
    from softchat.models.folders import prompt_cache_folder

    return prompt_cache_folder(os.environ)
