"""`softchat models info`: all that is known about one model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.files import shown_size
from softchat.base.text import one_line
from softchat.cli.completion import model_names
from softchat.cli.options import ModelsFile

if TYPE_CHECKING:
    from softchat.cli.model import Backends
    from softchat.engine.describe import Description
    from softchat.engine.devices import Device
    from softchat.models import Located
    from softchat.models.entry import ModelEntry

Name = Annotated[
    str,
    typer.Argument(metavar="NAME|FILE", help="As -m takes it.", autocompletion=model_names),
]


def info(
    name: Name,
    ctx: Annotated[
        int, typer.Option(metavar="N", min=1, max=2**24, help="Memory at this context.")
    ] = 4096,
    prove: Annotated[
        bool, typer.Option("--prove", help="Load it, and prove that soft thinking is exact on it.")
    ] = False,
    models_file: ModelsFile = None,
) -> None:
    """What a model's header says, and models.toml. Nothing is fetched."""
    from contextlib import closing

    from softchat.cli.model import Backends, devices_here, user_config
    from softchat.models import find_model
    from softchat.models.catalogue import user_catalogue
    from softchat.models.fetch import installed
    from softchat.models.store import default_store

    entry = user_catalogue(os.environ).get(name)
    if entry is not None and installed(entry, store=default_store(os.environ)) is None:
        _print(_of_entry(entry))
        if prove:
            from softchat.errors import ModelNotFoundError

            hint = f"softchat models pull {entry.name}"
            raise ModelNotFoundError(f"model '{entry.name}' is not here", hint=hint)
        return
    found = find_model(name)
    with closing(Backends()) as backends:
        about = backends.describe(found.path)
        _print(_of_file(found, about, ctx))
        _print(_on_devices(about, ctx, devices_here(user_config())))
        told = _proof(found, backends) if prove else "proven when loaded; --prove does it now"
        _print({"soft thinking": told})


def _of_entry(entry: ModelEntry) -> dict[str, str]:
    """What models.toml says of a model that is not here."""
    from softchat.models.entry import PathSource
    from softchat.models.machine import quantisation

    gone = isinstance(entry.source, PathSource) and f"not here: no file {entry.source.path}"
    return {
        "name": entry.name,
        "file": gone or f"not here: softchat models pull {entry.name}",
        "comes from": _origin(entry),
        "size": shown_size(entry.told_size or None),
        "quantisation": quantisation(entry.source.file) or "not said",
        "licence": entry.licence or "not said",
        "description": entry.description or "none",
    }


def _of_file(found: Located, about: Description, ctx: int) -> dict[str, str]:
    """What is known of a model that is here."""
    from softchat.prompt.template import find_tags

    entry = found.entry
    memory = about.memory(ctx)
    beside = ", its adapter and buffers" if found.lora else " and buffers"
    tags = found.tags or find_tags(about.chat_template)
    rows = {
        "name": found.name,
        "description": entry.description if entry else "",
        "calls itself": about.name or "",
        "file": str(found.path),
        "comes from": _origin(entry) if entry else "",
        "adapter": _adapter(entry) if entry else "",
        "size": _size(about),
        "licence": about.licence or (entry.licence if entry else "") or "not said",
        "architecture": about.architecture or "not said",
        "parameters": f"{about.parameters / 1e6:,.0f} M",
        "tensor types": ", ".join(about.types),
        "layers, width": f"{_said(about.n_layer)}, {_said(about.n_embd)}",
        "vocabulary": _said(about.n_vocab),
        "token embeddings": about.table_type or "none: soft thinking needs them",
        "trained context": _said(about.context),
        f"memory at {ctx:,}": f"{shown_size(memory)}{beside}" if memory else "can't be told",
        "chat template": "yes"
        if about.chat_template
        else "none: a base model, which goes on with a text and hardly answers",
        "thinking tags": f"{tags.open.strip()} … {tags.close}"
        if tags
        else "none in its template: they are opened for it",
        "settings": ", ".join(f"{key} {value}" for key, value in found.defaults.items()),
    }
    return {label: value for label, value in rows.items() if value}


def _on_devices(about: Description, ctx: int, devices: Sequence[Device]) -> dict[str, str]:
    """How many layers fit on accelerators and servers, if there are some."""
    from softchat.engine.offload import Need

    if not devices:
        return {"accelerators": "none: all layers are on the processor"}
    need, free = Need.of(about, ctx, "f16"), [one.free for one in devices]
    where = ", ".join(f"{one.where} ({shown_size(one.free)} free)" for one in devices)
    return {"accelerators": f"{need.fitting(free)} of {need.layers} layers fit on {where}"}


def _size(about: Description) -> str:
    files = f", in {about.parts} files" if about.parts > 1 else ""
    if not about.missing_bytes:
        return shown_size(about.file_bytes) + files
    whole = about.file_bytes + about.missing_bytes
    here = f"{shown_size(about.file_bytes)} of {shown_size(whole)}{files}"
    return f"{here}: cut short, fetch it again"


def _adapter(entry: ModelEntry) -> str:
    if entry.lora is None:
        return ""
    return f"{entry.lora}" + ", put into the weights in a file that is made once" * entry.merge


def _origin(entry: ModelEntry) -> str:
    from softchat.models.entry import HubSource, UrlSource, WheelSource

    match entry.source:
        case HubSource(repository=repository, file=file, revision=revision):
            return f"hub: {repository}, {file}" + f" at {revision}" * (revision != "main")
        case UrlSource(url=url):
            return url
        case WheelSource(package=package, version=version):
            return f"wheel: {package} {version}"
        case _:
            return "a file of yours"


def _proof(found: Located, backends: Backends) -> str:
    from contextlib import AbstractContextManager, nullcontext

    from softchat.cli.options import Loading

    waiting: AbstractContextManager[object] = nullcontext()
    if sys.stderr.isatty():
        from rich.console import Console

        waiting = Console(stderr=True).status("loading it, and comparing logits…")
    with (
        waiting,
        backends.open(found, Loading(ctx=256), cancelled=lambda: False) as backend,
    ):
        return f"exact, with embedding rows scaled by {backend.scale:g}"


def _print(rows: dict[str, str]) -> None:
    width = max(18, *(len(label) + 2 for label in rows))
    for label, value in rows.items():
        typer.echo(f"{label:{width}}{one_line(value)}")


def _said(value: int | None) -> str:
    return "not said" if value is None else str(value)
