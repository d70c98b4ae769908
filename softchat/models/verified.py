"""Which files of the Hugging Face cache softchat has verified, by what models.toml says of them.

That cache gives a file its name before anybody has compared its sha256, and other programs write
to it too. So a file in it counts as here only if there is a record of it, which is written once
the whole file has been read and was right. Knows nothing of how files are fetched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from softchat.base.files import make_private, replace_file
from softchat.models.entry import HubSource
from softchat.models.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One verified file."""

    path: str
    sha256: str
    size: int


def find(source: HubSource, *, store: Store) -> Path | None:
    """The (first) file of this source, if all are verified and still have their size."""
    parts = _read(_record(source, store))
    if len(parts) != len(source.files):
        return None
    wanted = (source.sha256 or parts[0].sha256, source.size or parts[0].size)
    if wanted != (parts[0].sha256, parts[0].size):
        return None  # models.toml has changed
    return Path(parts[0].path) if all(map(_is_whole, parts)) else None


def paths(source: HubSource, *, store: Store) -> list[Path]:
    """The files that were noted, be they still there or not."""
    return [Path(part.path) for part in _read(_record(source, store))]


def note(source: HubSource, parts: Sequence[Part], *, store: Store) -> Path:
    """Write down that these are the files of this source; the path of the first."""
    record = {"repository": source.repository, "parts": [asdict(part) for part in parts]}
    file = _record(source, store)
    make_private(file.parent)
    replace_file(file, json.dumps(record, indent=1) + "\n")
    return Path(parts[0].path)


def forget(source: HubSource, *, store: Store) -> None:
    """Take back what was noted."""
    _record(source, store).unlink(missing_ok=True)


def _record(source: HubSource, store: Store) -> Path:
    # Hashed, so whatever the names hold it is one file in one folder.
    told = "\0".join((source.repository, source.revision, source.file))
    return store.root / "hub" / (hashlib.sha256(told.encode()).hexdigest()[:16] + ".json")


def _read(record: Path) -> list[Part]:
    try:
        parts = [Part(**part) for part in json.loads(record.read_bytes())["parts"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []  # none, or damaged: then it is verified again
    return parts if all(type(p.size) is int and type(p.path) is str for p in parts) else []


def _is_whole(part: Part) -> bool:
    try:
        return Path(part.path).stat().st_size == part.size
    except (OSError, ValueError):
        return False
