"""The steps of a session's turns, in a trace beside it. Knows nothing of what else a session holds.

A turn finds its run by the run's name, a digest of its lines. So the two files need not be of the
same moment: a run that is missing, torn or changed is not found, and one that no turn names does no
harm.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from softchat.base.files import replace_file
from softchat.events import Event, Started, to_json
from softchat.record.trace import Order, parse_event

MOST = 2**23  # bytes: some ten thousand steps; half a second to read
_FIRST = f'{{"event": "{Started.event}"'.encode()

Events = tuple[Event, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    events: Events
    name: str
    size: int  # bytes


_NONE = _Run((), "", 0)


class Recall:
    """The trace of the session that is going on.

    Args:
        path: of it; there is none while there is nothing to write.
        most: bytes that it may have; of more, the newer half is kept.

    """

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        self._path = path
        self._most = most
        self._held: list[_Run] | None = None  # what the file holds; None: nobody knows

    def write(self, runs: Sequence[Events]) -> list[str]:
        """Have the file hold these runs, or the newest of them; the name of each, "" without one.

        Raises:
            OSError: it can't be written.

        """
        known = {id(run.events): run for run in self._held or ()}
        wanted = [known.get(id(events)) or _named(events) for events in runs]
        if sum(run.size for run in wanted) > self._most:
            wanted = _newest(wanted, self._most // 2)
        self._hold([run for run in wanted if run.events])
        return [run.name for run in wanted]

    def _hold(self, runs: list[_Run]) -> None:
        held, self._held = self._held, None
        if held is None or held != runs[: len(held)]:
            text = b"".join(_text(run.events) for run in runs)
            replace_file(self._path, text) if text else self._path.unlink(missing_ok=True)
        elif new := runs[len(held) :]:
            _append(self._path, b"".join(_text(run.events) for run in new))
        self._held = runs


def recalled(path: Path, names: Collection[str]) -> dict[str, Events]:
    """Those of these runs that the trace of a session holds whole."""
    found = {}
    for text in _runs_in(path):
        name = _name(text)
        with suppress(ValueError, RecursionError):  # somebody has written it, and the name too
            if name in names:
                order = Order()
                found[name] = tuple(order.checked(parse_event(one)) for one in text.splitlines())
    return found


def _runs_in(path: Path) -> Iterator[bytes]:
    """The lines of each run."""
    lines: list[bytes] = []
    with suppress(OSError):
        if path.is_file():  # no pipe that would wait for a writer
            for line in path.read_bytes().splitlines(keepends=True):
                if line.startswith(_FIRST) and lines:
                    yield b"".join(lines)
                    lines = []
                lines.append(line)
    yield b"".join(lines)


def newest(runs: Sequence[Events], most: int = MOST) -> list[Events]:
    """The runs, the oldest ones emptied that would make them more than this many bytes."""
    return [run.events for run in _newest([_named(events) for events in runs], most)]


def _newest(runs: Sequence[_Run], most: int) -> list[_Run]:
    kept = list(runs)
    for index in reversed(range(len(kept))):
        most -= kept[index].size
        if most < 0:
            kept[index] = _NONE
    return kept


def _named(events: Events) -> _Run:
    text = _text(events)
    return _Run(events, _name(text), len(text)) if text else _NONE


def _text(events: Events) -> bytes:
    lines = "".join(to_json(event) + "\n" for event in events)
    return lines.encode(errors="replace")


def _name(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _append(path: Path, text: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)


def trace_of(folder: Path, id_: str) -> Path:
    """The trace beside the file of this session."""
    return folder / f"{id_}.jsonl"
