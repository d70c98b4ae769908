"""KV caches of long prompts on disk, so that a later process need not read the same text again.

A file holds what llama.cpp's memory held when a turn ended, and the tokens that it was made of. It
is found again by the longest beginning that a new prompt shares with it. Private to the user, as
it holds what was said. The oldest go when the folder grows beyond its bound.

A prompt that is all there goes on from the logits that were behind it, and what begins a session
takes whole batches of it alone: so it is answered as if nothing were on disk (see `kv_cache`).

A file is a line that says what it is, how long the head is (4 bytes), the head (JSON), the tokens
(4 bytes each), the memory, and logits behind some of its positions (4 bytes each). Of those of
other models no more than the head is read.
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
from stat import S_ISDIR
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.base.files import make_private, open_file, replace_file, sweep
from softchat.base.text import clipped
from softchat.engine.kv_cache import CachedSequence, Item
from softchat.engine.protocol import BATCH
from softchat.errors import ContextError, DecodeError

LEAST = 256
"""Tokens that reading must be spared for a file to be worth its room."""
MOST_BYTES = 2**30
"""Of all files together."""
LOOKED_AT = 1000
"""Files that are looked into, the newest: there may be more, of somebody who wants to delay all."""
_MAGIC = b"softchat prompt cache 3\n"
_MOST_POSITIONS = 2**31
_LONGEST_HEAD = 2**12  # bytes
_LONGEST_NAME = 200  # characters of a model's
_TOKEN = np.dtype("<i4")
_LOGIT = np.dtype("<f4")
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
    count: int
    """Of its tokens, up to the first soft position."""
    ends: tuple[int, ...]
    """Positions behind which it has the logits."""
    batched: int
    """Tokens that were read in whole batches, as from an empty memory."""
    bytes: int
    used: float
    """When it was last of use, in seconds since the epoch."""

    def usable(self, shared: int, wanted: int) -> int:
        """How much of what it shares with a prompt of so many tokens goes on as if it were read."""
        if shared == wanted and shared in self.ends and shared <= self.batched:
            return shared
        return min(shared, self.batched) // BATCH * BATCH


class PromptCache:
    """The files of one folder, for one engine.

    Args:
        folder: made when there is something to keep.
        engine: whose sequence is kept and restored.
        most_bytes: of all files together.

    """

    def __init__(self, folder: Path, engine: Restorable, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._engine, self._most = folder, engine, most_bytes
        self._held: Ids = np.array([], np.intp)  # what is on disk of what the sequence holds

    def restore(
        self, sequence: CachedSequence, wanted: Sequence[Item], *, model: str, exact: bool = False
    ) -> int:
        """Put back the longest known beginning of `wanted`, if that spares enough reading.

        What is to be `exact` is no longer than where an empty memory, too, would be, to the last
        bit: at the end of a batch, or of all that is wanted.

        Returns how many positions `sequence` shares with `wanted` afterwards, at the most. A file
        that is damaged is removed.
        """
        tokens = _tokens(wanted)
        here = _shared(_tokens(sequence.items), tokens)
        found = []
        for entry in entries(self._folder):
            if entry.key == self._key(model):
                with suppress(OSError, ValueError):
                    shared = _shared(_read_tokens(entry, len(tokens)), tokens)
                    found.append((entry.usable(shared, len(wanted)) if exact else shared, entry))
        for shared, entry in sorted(found, key=lambda one: one[0], reverse=True):
            if shared < here + LEAST:
                break
            try:
                positions, held, state, ends = _read(entry, sequence.info.n_vocab)
                load = partial(self._load, state, positions)
                sequence.restore(held.tolist(), load, ends, entry.batched)
                sequence.rollback(shared)
            except (OSError, ValueError, DecodeError, ContextError):
                with suppress(OSError):
                    entry.path.unlink()
                continue
            self._held = held
            with suppress(OSError):
                entry.path.touch()
            return shared
        return here

    def keep(self, sequence: CachedSequence, *, model: str) -> None:
        """Write down what the sequence holds, if that is much more than what is on disk of it.

        A disk that is full, or a folder that is closed, costs nothing but the time it would spare.
        """
        sequence.settle()
        tokens = _tokens(sequence.items)
        if len(tokens) < LEAST + _shared(self._held, tokens):
            return
        with suppress(OSError):
            make_private(self._folder)
            sweep(self._folder)
            state = self._engine.save_state()
            told = tokens.astype(_TOKEN).tobytes()
            ends = {end: one for end, one in sequence.ends.items() if end <= len(tokens)}
            logits = b"".join(one.astype(_LOGIT).tobytes() for one in ends.values())
            head = {
                "key": self._key(model),
                "model": clipped(model, _LONGEST_NAME),
                "count": len(tokens),
                "positions": sequence.position,
                "crc32": zlib.crc32(logits, zlib.crc32(state, zlib.crc32(told))),
                "bytes": len(state),
                "ends": [*ends],
                "batched": min(sequence.batched, len(tokens)),
                "logits": len(logits),
            }
            text = json.dumps(head).encode()
            data = b"".join(
                [_MAGIC, len(text).to_bytes(_SIZE, "little"), text, told, state, logits]
            )
            if len(data) > self._most:
                return
            self._make_room(len(data), tokens, self._key(model))
            name = f"{int(time.time())}-{secrets.token_hex(4)}{_SUFFIX}"
            replace_file(self._folder / name, data, durable=False)
            self._held = tokens

    def _key(self, model: str) -> str:
        return hashlib.sha256(f"{model}\0{self._engine.state_key}".encode()).hexdigest()[:32]

    def _load(self, state: bytes, positions: int) -> int:
        self._engine.load_state(state, positions)
        return positions

    def _make_room(self, size: int, tokens: Ids, key: str) -> None:
        """Remove what the new file makes needless, then the oldest, until there is room for it."""
        left = {file: status.st_size for file, status in _files(self._folder)}
        for entry in reversed(entries(self._folder)):
            if size + sum(left.values()) <= self._most // 2:
                break
            if entry.key == key and entry.count <= len(tokens):
                with suppress(OSError, ValueError):
                    if _shared(_read_tokens(entry, entry.count), tokens) == entry.count:
                        entry.path.unlink(missing_ok=True)
                        left.pop(entry.path, None)  # another softchat may just have written it
        while left and size + sum(left.values()) > self._most:
            left.popitem()[0].unlink(missing_ok=True)


def entries(folder: Path) -> list[Entry]:
    """The files that can be read, the last used first; of very many, the newest."""
    found = []
    for path, status in _files(folder)[:LOOKED_AT]:
        with suppress(OSError, ValueError):
            with _open(path) as file:
                head = _read_head(file)
            found.append(
                Entry(
                    path=path,
                    key=head.key,
                    model=head.model,
                    count=head.count,
                    ends=head.ends,
                    batched=head.batched,
                    bytes=status.st_size,
                    used=status.st_mtime,
                )
            )
    return found


def clear(folder: Path) -> int:
    """Remove every file; how many there were."""
    found = _files(folder)
    for path, _ in found:
        path.unlink(missing_ok=True)
    return len(found)


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """All that have such a name, the last used first; what others have put there is theirs."""
    found = []
    with suppress(OSError):  # a folder that one may not look into
        for path in folder.glob(f"*{_SUFFIX}"):
            if _NAME.fullmatch(path.name):
                with suppress(OSError):
                    found.append((path, path.lstat()))
    found = [(path, status) for path, status in found if not S_ISDIR(status.st_mode)]
    return sorted(found, key=lambda one: one[1].st_mtime, reverse=True)


def _open(path: Path) -> BinaryIO:
    return os.fdopen(open_file(path), "rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What a file begins with."""

    key: str
    model: str
    count: int
    positions: int
    crc32: int
    bytes: int
    """Of the memory."""
    ends: tuple[int, ...]
    batched: int
    logits: int
    """Bytes of those of all ends."""


def _read_head(file: BinaryIO) -> _Head:
    """The head of a file, which is read up to the first token. Raises ValueError if it is none."""
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
            "count": int(count),
            "positions": int(positions),
            "crc32": int(crc32),
            "bytes": int(length),
            "ends": list(ends),
            "batched": int(batched),
            "logits": int(logits),
        } if (
            0 <= count <= positions < _MOST_POSITIONS
            and min(length, logits) >= 0
            and 0 <= batched <= count
            and all(type(end) is int and 0 < end <= count for end in ends)
        ):
            return _Head(
                key=key,
                model=model,
                count=count,
                positions=positions,
                crc32=crc32,
                bytes=length,
                ends=tuple(ends),
                batched=batched,
                logits=logits,
            )
    raise ValueError("damaged")


def _read_tokens(entry: Entry, most: int) -> Ids:
    """The first of a file's tokens. Raises OSError and ValueError."""
    with _open(entry.path) as file:
        count = min(_read_head(file).count, most)
        return _as_tokens(file.read(count * _TOKEN.itemsize), count)


def _read(entry: Entry, n_vocab: int) -> tuple[int, Ids, bytes, dict[int, Floats]]:
    """How many positions a file is of, its tokens, its memory, and the logits, (V,), that it has.

    Raises:
        OSError: it can't be read.
        ValueError: it is damaged.

    """
    with _open(entry.path) as file:
        head = _read_head(file)
        size = head.count * _TOKEN.itemsize
        whole = file.tell() + size + head.bytes + head.logits
        if whole > MOST_BYTES or os.fstat(file.fileno()).st_size != whole:
            raise ValueError("damaged")
        told, state, logits = (file.read(n) for n in (size, head.bytes, head.logits))
    if zlib.crc32(logits, zlib.crc32(state, zlib.crc32(told))) != head.crc32:
        raise ValueError("damaged")
    rows = np.frombuffer(logits, _LOGIT).astype(np.float32).reshape(len(head.ends), n_vocab)
    if not np.isfinite(rows).all():
        raise ValueError("damaged")
    ends = dict(zip(head.ends, rows, strict=True))
    return head.positions, _as_tokens(told, head.count), state, ends


def _as_tokens(data: bytes, count: int) -> Ids:
    tokens = np.frombuffer(data, _TOKEN).astype(np.intp)
    if len(tokens) != count:
        raise ValueError("damaged")
    return tokens


def _tokens(items: Sequence[Item]) -> Ids:
    """The tokens up to the first soft position."""
    tokens = []
    for item in items:
        if not isinstance(item, int):
            break
        tokens.append(item)
    return np.array(tokens, np.intp)


def _shared(one: Ids, other: Ids) -> int:
    """How many tokens the two begin with that are the same."""
    count = min(len(one), len(other))
    differing = np.flatnonzero(one[:count] != other[:count])
    return int(differing[0]) if differing.size else count
