"""A run written down: its events, one JSON object a line. Knows nothing of views or engines.

What is written down may come back from a stranger: `replay` takes nothing that `TraceWriter` would
not have written, but for fields of a later softchat.
"""

from __future__ import annotations

import io
import json
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from softchat.base.files import lock_file, missing_hint, open_file, open_sink, open_stream
from softchat.base.text import one_line
from softchat.base.typed import read_json
from softchat.errors import SoftchatError, UsageError, check_type
from softchat.events import (
    SCHEMA,
    Answer,
    Error,
    Event,
    Finished,
    Halted,
    Lens,
    Prefill,
    Started,
    Step,
    from_dict,
    to_json,
)

_LONGEST = 2**26  # bytes of a line; a step with 100,000 tokens has a tenth of it
_OPENING = b'{"event": "'
_FIRST = b'{"event": "started", "schema": '
_PLACES: dict[type[Event], int] = {  # in a run
    Started: 0, Prefill: 1, Step: 2, Lens: 2, Halted: 3, Answer: 4, Finished: 5, Error: 6,
}  # fmt: skip
_MAKE = "'softchat ask --trace FILE' makes such a file; 'last' is what was asked last"
_REPEATED = (Step, Lens, Answer, Error)  # an error that failed a run, and that of what showed it


class TraceWriter:
    """Writes events to a file as they come, so that a crash loses no more than the last line.

    What the file holds goes when the first event comes: a run that never began costs no other one.

    Args:
        path: the file.
        force: write over a file that holds something else than a trace.

    Raises:
        UsageError: the file can't be opened for writing, holds something else, or another run
            writes to it.

    """

    def __init__(self, path: Path | str, *, force: bool = False) -> None:
        check_type("the trace", path, str | Path, "a path")
        self._path, self._shown = Path(path), one_line(str(path))
        if not force and not is_free(self._path):
            raise UsageError(
                f"{self._shown} exists, and is no trace",
                hint="name another file; force=True writes over it",
            )
        try:
            # Questions and answers are nobody else's business: readable by the owner only.
            file = open_sink(path, keep=True)
        except OSError as error:
            raise UsageError(
                f"can't write the trace {self._shown}: {error.strerror}", hint="name another file"
            ) from error
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and not lock_file(file.fileno()):
            file.close()
            raise UsageError(f"another run writes to {self._shown}", hint="name another file")
        self._file = io.TextIOWrapper(file, encoding="utf-8")
        self._holds_another = found.st_size > 0
        self._size = found.st_size

    def write(self, event: Event) -> None:
        """Append one event. An error alone, of a run that never began, costs no other run.

        Raises:
            SoftchatError: it can't be written: the disk is full, the trace was closed; or, when a
                run begins, its file was moved, removed or changed.

        """
        if self._file.closed:
            raise SoftchatError(
                f"the trace {self._shown} was closed", hint="use it inside its `with` block"
            )
        if self._holds_another and isinstance(event, Error):
            return
        if isinstance(event, Started) and not self._is_there():
            raise SoftchatError(
                f"the trace {self._shown} was moved, removed or changed",
                hint="what was written is in the file that was there",
            )
        try:
            if self._holds_another:
                self._file.truncate(0)
                self._holds_another = False
            self._file.write(to_json(event) + "\n")
            self._file.flush()
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise SoftchatError(
                f"can't write the trace {self._shown}: {error.strerror}",
                hint="what was written before is still in it",
            ) from error

    def _is_there(self) -> bool:
        """Whether what is written can be found under its name, and is all that there is."""
        try:
            own = os.fstat(self._file.fileno())
            same = os.path.samestat(own, self._path.stat())
            return same and (own.st_size == self._size or not stat.S_ISREG(own.st_mode))
        except OSError:
            return False

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; if the run failed, with the error as its last line."""
        with suppress(SoftchatError):  # it may be the very one that this trace has raised
            if isinstance(value, SoftchatError):
                self.write(Error.of(value))
        with suppress(OSError):  # what was left of a write that failed; that was told then
            self._file.close()


def is_free(path: Path) -> bool:
    """Whether a trace can be written here that costs nobody anything but another trace."""
    try:
        return not path.is_file() or not path.stat().st_size or is_trace(path)
    except (OSError, ValueError):  # a name too long, a folder closed to us
        return True  # told when it is opened


def is_trace(path: Path) -> bool:
    """Whether this file's first line is a trace's, or of a later softchat; or can't be read.

    That line may be cut off. Other programs write lines that begin with an `event`, too.
    """
    try:
        with open(open_file(path), "rb") as file:  # noqa: PTH123  # a descriptor
            line = file.readline(_LONGEST)
    except OSError:
        return True  # told when it is opened
    try:
        Order().checked(parse_event(line))
    except _NewerError:
        return True
    except (ValueError, RecursionError):
        return not line.endswith(b"\n") and line[: len(_FIRST)] == _FIRST[: len(line)]
    return True


def replay(path: Path | str, *, warn: Callable[[str], object] = warnings.warn) -> Iterator[Event]:
    """The events that were written to a trace: of one run, or of several one after the other.

    Args:
        path: the trace.
        warn: told if the last line was cut off while it was written; that line is left out.

    Raises:
        UsageError: the file can't be read, is no trace, has events where none of their kind can be,
            or was written by a newer softchat.

    """
    check_type("the trace", path, str | Path, "a path")
    shown = one_line(str(path))
    try:
        with open_stream(path) as file:
            number, order = 0, Order()
            while line := file.readline(_LONGEST):
                number += 1
                try:
                    event = parse_event(line)
                except (ValueError, RecursionError) as error:
                    if _is_torn(line):
                        warn(f"the last line of {shown} (line {number}) is cut off: left out")
                        return
                    _refuse(shown, number, error)
                try:
                    order.checked(event)
                except ValueError as error:
                    _refuse(shown, number, error)
                yield event
    except OSError as error:
        raise UsageError(
            f"can't read the trace {shown}: {error.strerror}", hint=missing_hint(Path(path), _MAKE)
        ) from error


def parse_event(line: bytes) -> Event:
    """The event in a line of a trace.

    Raises:
        ValueError, RecursionError: it is none.

    """
    text = line.decode("utf-8")
    data = read_json(text)
    if isinstance(data, dict) and data.get("event") == "started":
        schema = data.get("schema")
        if type(schema) is int and schema > SCHEMA:
            raise _NewerError(f"schema {schema}; this softchat reads {SCHEMA}")
        if schema != SCHEMA:
            raise ValueError("no schema that there ever was")
    if "\\u" in text:  # JSON can spell half a character, which no file or terminal can hold
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    return from_dict(data)


class Order:
    """Which event can come behind those before it, in a trace that was written from its beginning.

    A run may break off anywhere, and the next one begin. What it did not come to is missing: its
    prompt was not read, or it did not think.
    """

    def __init__(self) -> None:
        self._last: Event | None = None
        self._step = -1  # the last one's index

    def checked(self, event: Event) -> Event:
        """The event. Raises ValueError if it can't be the next one."""
        last = self._last
        if isinstance(event, Started):
            self._step = -1
        elif last is None and not isinstance(event, Error):
            raise ValueError(f"{event.event}, and no run has started")
        elif last and not _may_follow(event, last):
            raise ValueError(f"{event.event} can't come behind {last.event}")
        if isinstance(event, Step):
            if event.index > self._step + 1:  # one that was told before is told again
                raise ValueError(f"step {event.index}, where {self._step + 1} is the next")
            self._step = event.index
        elif isinstance(event, Lens) and event.index != self._step:
            raise ValueError(f"lens of step {event.index}, which is not the one before it")
        self._last = event
        return event


def _may_follow(event: Event, last: Event) -> bool:
    place, before = _PLACES[type(event)], _PLACES[type(last)]
    return place > before or (place == before and isinstance(event, _REPEATED))


class _NewerError(ValueError):
    """The trace is of a later contract."""


def _refuse(shown: str, number: int, error: Exception) -> NoReturn:
    if isinstance(error, _NewerError):
        raise UsageError(
            f"{shown} was written by a newer softchat: {error}", hint="update softchat"
        ) from error
    # What json and UTF-8 say of a broken line means little to a reader, and quotes all of it.
    known = type(error) is ValueError
    reason = one_line(str(error)) if known else "no JSON text"
    what = f"{shown} is no trace" if number == 1 else f"{shown} is damaged"
    raise UsageError(
        f"{what}: line {number}: {reason}", hint="softchat ask --trace FILE writes one"
    ) from error


def _is_torn(line: bytes) -> bool:
    """Whether a line that can't be read was cut off while it was written."""
    whole = line.endswith(b"\n") or len(line) == _LONGEST
    return not whole and line[: len(_OPENING)] == _OPENING[: len(line)]
