"""KV caches of long prompts on disk, so that a later process need not read the same text again.

A file holds what llama.cpp's memory held when a turn ended, and the tokens that it was made of. It
is found again by the longest beginning that a new prompt shares with it. Private to the user, as
it holds what was said. The oldest go when the folder grows beyond its bound.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from softchat.base.files import make_private, open_file, replace_file, sweep
from softchat.engine.kv_cache import CachedSequence, Item
from softchat.errors import ContextError, DecodeError

LEAST = 256
"""Tokens that reading must be spared for a file to be worth its room."""
MOST_BYTES = 2**30
"""Of all files together."""
_MAGIC = b"softchat prompt cache 1\n"
_MOST_POSITIONS = 2**31
_LONGEST_HEAD = 2**22  # bytes; a million tokens
_SIZE = 4  # bytes that say how long the head is
_SUFFIX = ".kv"
_NAME = re.compile(rf"\d+-[0-9a-f]{{8}}{re.escape(_SUFFIX)}")


@runtime_checkable
class Restorable(Protocol):
    """An engine whose KV cache can be copied out and put back."""

    @property
    def state_key(self) -> str:
        """The same for two engines if, and only if, one can go on with what the other held."""
        ...

    def save_state(self) -> bytes:
        """All that the sequence holds."""
        ...

    def load_state(self, state: bytes, position: int) -> None:
        """Hold this instead, with so many positions. Raises DecodeError, and holds nothing then."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the cache."""

    path: Path
    key: str
    model: str
    tokens: tuple[int, ...]
    """Up to the first soft position."""
    positions: int
    """How many there are in all."""
    bytes: int
    used: float
    """When it was last of use, in seconds since the epoch."""


class PromptCache:
    """The files of one folder, for one engine.

    Args:
        folder: made when there is something to keep.
        engine: whose sequence is kept and restored.
        most_bytes: of all files together.

    """

    def __init__(self, folder: Path, engine: Restorable, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._engine, self._most = folder, engine, most_bytes
        self._held: tuple[int, ...] = ()  # what is on disk of what the sequence holds

    def restore(self, sequence: CachedSequence, wanted: Sequence[Item], *, model: str) -> int:
        """Put back the longest known beginning of `wanted`, if that spares enough reading.

        Returns how many positions `sequence` shares with `wanted` afterwards, at the most. A file
        that is damaged is removed.
        """
        tokens = _tokens(wanted)
        here = _shared(_tokens(sequence.items), tokens)
        found = [
            (_shared(entry.tokens, tokens), entry)
            for entry in entries(self._folder)
            if entry.key == self._key(model)
        ]
        for shared, entry in sorted(found, key=lambda one: one[0], reverse=True):
            if shared < here + LEAST:
                break
            try:
                sequence.restore(entry.tokens, partial(self._load, entry))
            except (OSError, ValueError, DecodeError, ContextError):
                with suppress(OSError):
                    entry.path.unlink()
                continue
            self._held = entry.tokens
            with suppress(OSError):
                entry.path.touch()
            return shared
        return here

    def keep(self, sequence: CachedSequence, *, model: str) -> None:
        """Write down what the sequence holds, if that is much more than what is on disk of it.

        A disk that is full, or a folder that is closed, costs nothing but the time it would spare.
        """
        tokens = _tokens(sequence.items)
        if len(tokens) < LEAST + _shared(self._held, tokens):
            return
        with suppress(OSError):
            make_private(self._folder)
            sweep(self._folder)
            state = self._engine.save_state()
            head = {
                "key": self._key(model),
                "model": model,
                "tokens": tokens,
                "positions": sequence.position,
                "crc32": zlib.crc32(state),
                "bytes": len(state),
            }
            text = json.dumps(head).encode()
            data = _MAGIC + len(text).to_bytes(_SIZE, "little") + text + state
            if len(data) > self._most:
                return
            self._make_room(len(data), tokens)
            name = f"{int(time.time())}-{secrets.token_hex(4)}{_SUFFIX}"
            replace_file(self._folder / name, data, durable=False)
            self._held = tokens

    def _key(self, model: str) -> str:
        return hashlib.sha256(f"{model}\0{self._engine.state_key}".encode()).hexdigest()[:32]

    def _load(self, entry: Entry) -> int:
        with _open(entry.path) as file:
            head = _read_head(file)
            state = file.read()
        if len(state) != head.bytes or zlib.crc32(state) != head.crc32:
            raise ValueError("damaged")
        self._engine.load_state(state, entry.positions)
        return entry.positions

    def _make_room(self, size: int, tokens: tuple[int, ...]) -> None:
        """Remove what the new file makes needless, then the oldest, until there is room for it."""
        left: list[Entry] = []
        for entry in sorted(entries(self._folder), key=lambda one: one.used, reverse=True):
            covered = entry.tokens == tokens[: len(entry.tokens)]
            if covered and size + sum(one.bytes for one in left) + entry.bytes > self._most // 2:
                entry.path.unlink(missing_ok=True)
            else:
                left.append(entry)
        while left and size + sum(one.bytes for one in left) > self._most:
            left.pop().path.unlink(missing_ok=True)


def entries(folder: Path) -> list[Entry]:
    """The files that can be read, the last used first."""
    found = []
    for path in _files(folder):
        with suppress(OSError, ValueError):
            with _open(path) as file:
                status = os.fstat(file.fileno())
                head = _read_head(file)
            found.append(
                Entry(
                    path=path,
                    key=head.key,
                    model=head.model,
                    tokens=head.tokens,
                    positions=head.positions,
                    bytes=status.st_size,
                    used=status.st_mtime,
                )
            )
    return sorted(found, key=lambda one: one.used, reverse=True)


def clear(folder: Path) -> int:
    """Remove every file; how many there were."""
    paths = _files(folder)
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _files(folder: Path) -> list[Path]:
    """All that have such a name; what others have put there is theirs."""
    found: list[Path] = []
    with suppress(OSError):  # a folder that one may not look into
        found += (path for path in folder.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.name))
    return [path for path in found if not path.is_dir()]


def _open(path: Path) -> BinaryIO:
    return os.fdopen(open_file(path), "rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a file begins with."""

    key: str
    model: str
    tokens: tuple[int, ...]
    positions: int
    crc32: int
    bytes: int


def _read_head(file: BinaryIO) -> _Head:
    """The head of a file. Raises ValueError if it is none."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("no prompt cache")
    size = int.from_bytes(file.read(_SIZE), "little")
    if size > _LONGEST_HEAD:
        raise ValueError("damaged")
    try:
        values = json.loads(file.read(size))
    except RecursionError as error:
        raise ValueError("damaged") from error
    match values:
        case {
            "key": str(key),
            "model": str(model),
            "tokens": list(tokens),
            "positions": int(positions),
            "crc32": int(crc32),
            "bytes": int(length),
        } if set(map(type, tokens)) <= {int} and len(tokens) <= positions < _MOST_POSITIONS:
            return _Head(
                key=key,
                model=model,
                tokens=tuple(tokens),
                positions=positions,
                crc32=crc32,
                bytes=length,
            )
    raise ValueError("damaged")


def _tokens(items: Sequence[Item]) -> tuple[int, ...]:
    """The tokens up to the first soft position."""
    tokens = []
    for item in items:
        if not isinstance(item, int):
            break
        tokens.append(item)
    return tuple(tokens)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
