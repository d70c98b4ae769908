"""`softchat cache`: what is kept on disk to be faster: long prompts, and models with adapters."""

from __future__ import annotations

import os
import time

import typer

from softchat.base.text import clipped, one_line

_LONGEST_NAME = 100  # characters of one in a list

app = typer.Typer(help="What is kept to be faster: list, clear.")


@app.callback(invoke_without_command=True)
def cache(context: typer.Context) -> None:
    """List what is kept, the last used first: long prompts, and models made one with adapters."""
    if context.invoked_subcommand is not None:
        return
    from softchat.base.files import files_in, shown_size
    from softchat.engine.merge import merged_files
    from softchat.models.folders import merged_folder, prompt_cache_folder
    from softchat.talk.prompt_cache import entries

    prompts, models = prompt_cache_folder(os.environ), merged_folder(os.environ)
    files_in(prompts, "")  # told if one may not look there
    found = [
        (one.used, one.bytes, f"{one.count:>6} tokens", one.model, prompts)
        for one in entries(prompts)
    ]
    for file in merged_files(models):
        try:
            status = file.stat()
        except FileNotFoundError:  # another softchat has just removed it
            continue
        found.append((status.st_atime, status.st_size, " " * 13, "model and adapter", models))
    if not found:
        typer.echo("nothing is kept", err=True)
    for used, size, tokens, name, _ in sorted(found, reverse=True):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used))
        shown = clipped(name, _LONGEST_NAME)
        typer.echo(one_line(f"{when}  {tokens}  {shown_size(size):>8}  {shown}"))
    if found:
        total = shown_size(sum(size for _, size, *_ in found))
        folders = " and ".join(sorted({str(folder) for *_, folder in found}))
        typer.echo(one_line(f"{total} in {folders}; softchat cache clear"), err=True)


@app.command()
def clear() -> None:
    """Remove it all; it is made anew when it is needed."""
    from softchat.engine.merge import merged_files
    from softchat.models.folders import merged_folder, prompt_cache_folder
    from softchat.talk.prompt_cache import clear as remove

    models = merged_files(merged_folder(os.environ))
    count = remove(prompt_cache_folder(os.environ)) + len(models)
    for file in models:
        file.unlink(missing_ok=True)
    typer.echo(f"removed {count}")
