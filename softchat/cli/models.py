"""`softchat models`: which models there are, and what each one is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.text import printable

if TYPE_CHECKING:
    from softchat.models import Located
    from softchat.models.entry import ModelEntry

app = typer.Typer(help="Models: list, describe, fetch, remove.")

Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="As -m takes it.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the models that have a name, and those that other programs have on this disk."""
    if context.invoked_subcommand is None:
        _list()


@app.command("list")
def list_() -> None:
    """The same as `softchat models` alone."""
    _list()


def _list() -> None:
    from softchat.models.catalogue import default_files, load_catalogue
    from softchat.models.fetch import installed
    from softchat.models.local import local_models
    from softchat.models.store import default_store

    catalogue = load_catalogue(default_files(os.environ))
    store = default_store(os.environ)
    rows = []
    for entry in catalogue.entries.values():
        path = installed(entry, store=store)
        mark = "*" if entry.name == catalogue.default else " "
        size = path.stat().st_size if path else getattr(entry.source, "size", 0)
        here = "here" if path else "not here"
        rows.append((mark, entry.name, here, _size(size), entry.licence, entry.description))
    for local in local_models(os.environ):
        rows.append((" ", local.name, "here", _size(local.size), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        cells[3] = row[3].rjust(widths[3])
        typer.echo(_plain("  ".join([cells[0] + " " + cells[1], *cells[2:], row[5]]).rstrip()))
    typer.echo("* is used without -m; any .gguf file can be given to -m by its path", err=True)


@app.command()
def info(
    name: Name,
    ctx: Annotated[int, typer.Option(metavar="N", min=1, help="Memory at this context.")] = 4096,
    prove: Annotated[
        bool, typer.Option("--prove", help="Load it, and prove that soft thinking is exact on it.")
    ] = False,
) -> None:
    """What a model's header says; a model that is not here is fetched first."""
    from softchat.cli.model import find
    from softchat.engine.describe import describe

    found = find(name)
    about = describe(found.path)
    tags = [
        tag for tag in ("<think>", "[THINK]", "<|channel|>") if tag in (about.chat_template or "")
    ]
    memory = about.memory(ctx)
    rows = {
        "name": about.name or found.name,
        "file": str(found.path),
        "size": _size(about.file_bytes)
        + (f" (part 1 of {about.parts})" if about.parts > 1 else ""),
        "licence": about.licence or (found.entry.licence if found.entry else "") or "not said",
        "architecture": about.architecture or "not said",
        "parameters": f"{about.parameters / 1e6:,.0f} M",
        "tensor types": ", ".join(about.types),
        "layers, width": f"{_said(about.n_layer)}, {_said(about.n_embd)}",
        "vocabulary": _said(about.n_vocab),
        "token embeddings": about.table_type or "none: soft thinking needs them",
        "trained context": _said(about.context),
        f"memory at {ctx}": f"{_size(memory)} and buffers" if memory else "can't be told",
        "chat template": "yes" if about.chat_template else "none: plain words are used",
        "thinking tags": ", ".join(tags) or "none in its template: they are opened for it",
        "soft thinking": _proof(found) if prove else "proven when loaded; --prove does it now",
    }
    for label, value in rows.items():
        typer.echo(f"{label:18}{_plain(value)}")


def _proof(found: Located) -> str:
    from softchat.cli.model import open_engine
    from softchat.cli.options import Loading

    with open_engine(found, Loading(ctx=256), cancelled=lambda: False) as engine:
        return f"exact, with embedding rows scaled by {engine.scale:g}"


@app.command()
def path(name: Name) -> None:
    """The file of a model that is here; nothing is fetched."""
    entry = _entry(name)
    typer.echo(_plain(str(_here(entry) if entry else _found(name))))


@app.command()
def pull(names: Annotated[list[str], typer.Argument(metavar="NAME…")]) -> None:
    """Fetch models and verify them; what is here is not fetched again."""
    from softchat.cli.model import find

    for name in names:
        typer.echo(_plain(str(find(name).path)))


@app.command()
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete the file that softchat has fetched for a model; other files are never touched."""
    from softchat.errors import UsageError
    from softchat.models.entry import PinnedFile

    entry = _entry(name)
    if entry is None or not isinstance(entry.source, PinnedFile):
        raise UsageError(
            _plain(f"softchat has not fetched '{name}'"), hint="delete the file yourself"
        )
    file = _here(entry)
    size = file.stat().st_size
    if not yes and not typer.confirm(f"Delete {_plain(str(file))} ({_size(size)})?", err=True):
        return
    file.unlink()
    typer.echo(f"freed {_size(size)}")


def _entry(name: str) -> ModelEntry | None:
    """What models.toml says of a name; None for a path or another program's model."""
    from softchat.models.catalogue import default_files, load_catalogue
    from softchat.models.local import LOCAL

    catalogue = load_catalogue(default_files(os.environ))
    if name.startswith(LOCAL) or "/" in name or name.endswith(".gguf"):
        return catalogue.get(name)
    return catalogue.find(name)


def _here(entry: ModelEntry) -> Path:
    from softchat.errors import ModelNotFoundError
    from softchat.models.fetch import installed
    from softchat.models.store import default_store

    path = installed(entry, store=default_store(os.environ))
    if path is None:
        raise ModelNotFoundError(
            f"model '{entry.name}' is not here", hint=f"softchat models pull {entry.name}"
        )
    return path


def _found(name: str) -> Path:
    from softchat.models import find_model

    return find_model(name).path  # a path, or another program's: nothing to fetch


def _size(size: int | None) -> str:
    if not size:
        return "-"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _said(value: int | None) -> str:
    return "not said" if value is None else str(value)


def _plain(text: str) -> str:
    return printable(text, newlines=False)
