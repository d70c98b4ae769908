"""`softchat models`: which models there are, and which of them are here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.files import shown_size
from softchat.base.text import one_line
from softchat.cli.completion import model_names
from softchat.cli.info import Name, info
from softchat.cli.options import ModelsFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from softchat.errors import ModelNotFoundError, SoftchatError
    from softchat.models.catalogue import Catalogue
    from softchat.models.entry import ModelEntry
    from softchat.models.store import Store

app = typer.Typer(help="Models: list, describe, fetch, add, choose, remove.")
app.command()(info)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context, models_file: ModelsFile = None) -> None:
    """List the models that have a name, and those that other programs have on this disk."""
    if context.invoked_subcommand is None:
        _list()


@app.command("list")
def list_(models_file: ModelsFile = None) -> None:
    """The same as `softchat models` alone."""
    _list()


def _list() -> None:
    from softchat.cli.model import devices_here, user_config
    from softchat.models.fetch import installed
    from softchat.models.local import local_models
    from softchat.models.machine import has_room, memory_bytes

    catalogue, store = _mine()
    config = user_config()
    default = catalogue.get(config.model or catalogue.default)
    memory = has_room(devices_here(config), memory_bytes())
    here = {name: installed(entry, store=store) for name, entry in catalogue.entries.items()}
    rows = [_Row.of(entry, here[name]) for name, entry in catalogue.entries.items()]
    named = max(len(row.name) for row in rows)
    if default and default.caution and sys.stderr.isatty():
        typer.echo(one_line(f"{default.name} is {default.caution}"), err=True)
    typer.echo(f"  {'NAME':{named}}  HERE  {_Row.FIGURES}  LICENCE")
    for row in rows:
        mark = "*" if default and row.name == default.name else " "
        where = "yes" if row.path else "no"
        line = f"{mark} {row.name:{named}}  {where:4}  {row.figures(memory)}  {row.licence}"
        typer.echo(one_line(line).rstrip())
    # Another program's model that has a name is listed by its name.
    known = {path for path in here.values() if path is not None}
    others = [model for model in local_models(os.environ) if model.path not in known]
    if others:
        typer.echo(f"\nof other programs:\n  {_Row.FIGURES}  NAME")
    for model in others:  # their names are long, so they come last
        row = _Row(name=model.name, path=model.path, file=model.path.name, size=model.size)
        typer.echo(one_line(f"  {row.figures(memory)}  {row.name}"))
    fits = f"; FITS: in {shown_size(memory)}" if memory else ""
    typer.echo(f"\n* is used without -m, which takes any .gguf file too{fits}", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the list says of a model."""

    FIGURES = f"{'SIZE':>7}  {'QUANT':9}  FITS"

    name: str
    path: Path | None
    file: str
    size: float
    """Bytes; 0: not known."""
    licence: str = ""

    @classmethod
    def of(cls, entry: ModelEntry, path: Path | None) -> _Row:
        from softchat.models.entry import parts_of

        size = entry.told_size
        if path is not None:
            parts = [path.with_name(part) for part in parts_of(path.name)]
            size = sum(part.stat().st_size for part in parts if part.is_file())
        return cls(
            name=entry.name, path=path, file=entry.source.file, size=size, licence=entry.licence
        )

    def figures(self, memory: int | None) -> str:
        """Size, quantisation, and whether it fits."""
        from softchat.models.machine import fits, quantisation

        fitting = {True: "yes", False: "no", None: "-"}[fits(int(self.size), memory)]
        quant = quantisation(self.file) or "-"
        return f"{shown_size(self.size or None):>7}  {quant[:9]:9}  {fitting:4}"


@app.command()
def path(name: Name, models_file: ModelsFile = None) -> None:
    """The file of a model that is here; nothing is fetched."""
    typer.echo(one_line(str(_here(name))))


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", autocompletion=model_names)],
    models_file: ModelsFile = None,
) -> None:
    """Fetch models and verify them; what is here is not fetched again."""
    from softchat.cli.model import find

    for name in names:
        typer.echo(one_line(str(find(name, agree=lambda _: True).path)))


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A new name.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file; ORG/REPO[/FILE.gguf] of the Hugging Face Hub; or https://…/FILE.gguf.",
        ),
    ],
    models_file: ModelsFile = None,
) -> None:
    """Give a model a name: it is written into your models.toml.

    A file behind an https address is fetched now, as its size and sha256 are written down with it.
    """
    from softchat.cli.model import progress_bar, tell_of_hub
    from softchat.models.catalogue import own_file
    from softchat.models.entry import HubSource, UrlSource
    from softchat.models.fetch import fetch_new
    from softchat.models.own import add_model, check_free, read_source
    from softchat.models.store import default_store

    file = own_file(os.environ)
    check_free(file, name)
    tell_of_hub(source)
    found = read_source(source, os.environ)
    if isinstance(found, UrlSource):
        with progress_bar() as progress:
            found = fetch_new(name, found.url, store=default_store(os.environ), progress=progress)
    add_model(file, name, found)
    typer.echo(one_line(f"'{name}' is in {file}"))
    more = f"softchat models pull {name}" if isinstance(found, HubSource) else f"softchat -m {name}"
    typer.echo(f"next: {more}", err=True)


@app.command()
def use(name: Name, models_file: ModelsFile = None) -> None:
    """Make a model the one that is used without -m; one that has no name is given one."""
    from softchat.cli.model import user_config
    from softchat.models.catalogue import own_file
    from softchat.models.fetch import installed
    from softchat.models.own import use_model

    catalogue, store = _mine()
    entry = catalogue.get(name)
    if entry is None:
        entry = _named(name)
    use_model(own_file(os.environ), entry.name)
    typer.echo(f"'{entry.name}' is used without -m")
    if stronger := user_config().model:
        typer.echo(one_line(f"but config.toml names '{stronger}', which is stronger"), err=True)
    if installed(entry, store=store) is None:
        typer.echo(f"next: softchat models pull {entry.name}", err=True)


@app.command()
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=model_names)],
    yes: Yes = False,
    models_file: ModelsFile = None,
) -> None:
    """Delete what was fetched for a model, and a name you added.

    A file that you have put somewhere yourself is never touched.
    """
    from softchat.errors import SoftchatError, UsageError
    from softchat.models.catalogue import load_catalogue, own_file, shipped_file
    from softchat.models.entry import HubSource, PathSource
    from softchat.models.fetch import installed, remove
    from softchat.models.own import forget_model

    catalogue, store = _mine()
    entry = _entry(name, catalogue)
    if entry is None:
        raise _not_fetched(name)
    added = load_catalogue([shipped_file()]).get(entry.name) is None
    if added and entry.name == catalogue.default:
        hint = "choose another first: softchat models use NAME"
        raise UsageError(f"'{entry.name}' is the model that is used without -m", hint=hint)
    file = installed(entry, store=store)
    fetched = None if isinstance(entry.source, PathSource) else file
    if fetched is None and not added:
        raise _not_fetched(name) if file else _not_here(entry)
    size = _Row.of(entry, fetched).size if fetched else 0
    others = [
        one.name
        for one in catalogue.entries.values()
        if fetched is not None and one is not entry and installed(one, store=store) == fetched
    ]
    asked = _question(entry, fetched, size, added=added, others=others)
    if not yes and not typer.confirm(asked, err=True):
        typer.echo("kept", err=True)
        raise typer.Exit(1)
    if fetched is not None:
        try:
            remove(entry, store=store)
        except OSError as error:
            message = f"cannot delete {fetched}: {error.strerror or error}"
            raise SoftchatError(one_line(message)) from error
        rest = " of the Hugging Face cache" if isinstance(entry.source, HubSource) else ""
        typer.echo(f"freed {shown_size(size)}{rest}")
        if others:
            typer.echo(f"{' and '.join(others)} had the same file", err=True)
    if added and forget_model(own_file(os.environ), entry.name):
        typer.echo(f"'{entry.name}' is no name any more")


def _named(name: str) -> ModelEntry:
    """The entry of a model that is on this disk; if it has none, written down now."""
    from softchat.models import find_model
    from softchat.models.catalogue import own_file
    from softchat.models.entry import HubSource, PathSource
    from softchat.models.fetch import installed
    from softchat.models.own import add_model, name_for, place_model

    found, (known, store) = find_model(name), _mine()
    own = own_file(os.environ)
    if found.entry is not None and known.get(found.entry.name) is not None:
        if installed(found.entry, store=store) is not None:
            return found.entry
        place_model(own, found.entry.name, found.path.absolute())  # or it would be fetched again
        typer.echo(one_line(f"'{found.entry.name}' is in {own}, with this file"))
        return _mine()[0].find(found.entry.name)
    given = name_for(found.name)
    while known.get(given) is not None:
        given += "-mine"
    source = found.entry.source if found.entry else None
    if not isinstance(source, HubSource):
        source = PathSource(path=found.path.absolute())
    add_model(own, given, source)
    typer.echo(one_line(f"'{given}' is in {own}"))
    return _mine()[0].find(given)


def _question(
    entry: ModelEntry,
    fetched: Path | None,
    size: float,
    *,
    added: bool,
    others: Sequence[str],
) -> str:
    from softchat.models.entry import HubSource

    if fetched is None:
        return f"Forget the name '{entry.name}'?"
    where = ", in the cache that other programs share" * isinstance(entry.source, HubSource)
    where += f", the file of {' and '.join(others)} too" if others else ""
    name = f", and forget the name '{entry.name}'" * added
    return one_line(f"Delete {fetched} ({shown_size(size)}{where}){name}?")


def _mine() -> tuple[Catalogue, Store]:
    from softchat.models.catalogue import user_catalogue
    from softchat.models.store import default_store

    return user_catalogue(os.environ), default_store(os.environ)


def _entry(name: str, catalogue: Catalogue) -> ModelEntry | None:
    """What models.toml says of a name; None for a path or another program's model."""
    from softchat.models.local import LOCAL
    from softchat.models.locate import is_path

    if name.startswith(LOCAL) or is_path(name, catalogue):
        return catalogue.get(name)
    return catalogue.find(name)


def _here(name: str) -> Path:
    """The file of a model that is here."""
    from softchat.models import find_model
    from softchat.models.fetch import installed

    catalogue, store = _mine()
    entry = _entry(name, catalogue)
    if entry is None:
        return find_model(name).path  # a path, or another program's: nothing to fetch
    file = installed(entry, store=store)
    if file is None:
        raise _not_here(entry)
    return file


def _not_fetched(name: str) -> SoftchatError:
    from softchat.errors import UsageError

    message = one_line(f"softchat has not fetched '{name}'")
    return UsageError(message, hint="delete the file yourself: softchat models path NAME")


def _not_here(entry: ModelEntry) -> ModelNotFoundError:
    from softchat.errors import ModelNotFoundError
    from softchat.models.entry import PathSource

    if isinstance(entry.source, PathSource):
        return ModelNotFoundError(
            one_line(f"no file {entry.source.path}"), hint=f"'{entry.name}' is gone from there"
        )
    message = f"model '{entry.name}' is not here"
    return ModelNotFoundError(message, hint=f"softchat models pull {entry.name}")
