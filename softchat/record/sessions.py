"""Session files: what was said, written to disk as it happens. Knows nothing of terminals.

One JSON file a session, replaced as a whole before and after each turn, so that whatever kills
softchat leaves the last state but one at the worst. The steps of the thinking are beside it, in a
trace (`recall`). A lock tells a session that is open elsewhere from one that was killed.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from softchat.base.files import make_private, replace_file, sweep
from softchat.base.text import printable
from softchat.errors import UsageError
from softchat.events import from_dict, to_dict
from softchat.record.recall import Events, Recall, newest, recalled
from softchat.settings import check
from softchat.talk.conversation import Turn

SCHEMA = 1
_LARGEST = 2**26  # bytes of a file that is read; years of talk are less


class SessionContent(Protocol):
    """What a session file holds, as a running session or one that was read has it."""

    @property
    def model_name(self) -> str:
        """What `-m` would call its model."""
        ...

    @property
    def system(self) -> str:
        """The system prompt."""
        ...

    @property
    def chosen(self) -> Mapping[str, object]:
        """The settings that were changed in it."""
        ...

    @property
    def turns(self) -> Sequence[Turn]:
        """What has been said."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session as it was read from its file."""

    id: str
    started: str
    updated: str
    """ISO 8601, with the offset."""
    model: str
    system: str
    chosen: Mapping[str, object] = field(default_factory=dict)
    """The settings that were changed in it."""
    turns: tuple[Turn, ...]
    pending: str
    """The question whose turn had not ended; empty for none."""
    closed: bool
    """Whether the user left it, or something killed it."""

    @property
    def model_name(self) -> str:
        """What `-m` would call its model."""
        return self.model

    @property
    def title(self) -> str:
        """Its first question."""
        return self.turns[0].question if self.turns else self.pending


class SessionFile:
    """The file of the session that is going on, and its lock. Made at the first write.

    Args:
        folder: of all sessions.
        resume: the session to go on with, if it is not a new one.

    Raises:
        UsageError: that session is open elsewhere: one of the two would overwrite the other.

    """

    def __init__(self, folder: Path, resume: SessionRecord | None = None) -> None:
        self._folder = folder
        self._started = resume.started if resume else _now()
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        self.id = resume.id if resume else f"{stamp}-{secrets.token_hex(2)}"
        self._recall = Recall(_trace_of(folder, self.id))
        self._lock: IO[bytes] | None = None
        if resume is not None:
            _refuse_open(folder, self.id)
            with suppress(OSError):  # told at the first write
                self._lock = _lock(_lock_of(folder, self.id))

    @property
    def begun(self) -> bool:
        """Whether there is a file of it."""
        return self._lock is not None

    def write(self, content: SessionContent, *, pending: str = "", closed: bool = False) -> None:
        """Replace the file.

        Raises:
            OSError: it can't be written; the file is as it was. Or the steps can't, and it is new.

        """
        make_private(self._folder)
        if self._lock is None:
            sweep(self._folder)
            self._lock = _lock(_lock_of(self._folder, self.id))
        failure, runs = None, [""] * len(content.turns)
        try:
            runs = self._recall.write([turn.events for turn in content.turns])
        except OSError as error:
            failure = error  # what was said can be small enough
        turns = [
            _said(turn) | ({"run": run} if run else {})
            for turn, run in zip(content.turns, runs, strict=True)
        ]
        data = _data(content, turns, self.id, self._started, pending=pending, closed=closed)
        replace_file(self._folder / f"{self.id}.json", json.dumps(data, indent=1))
        if failure is not None:
            raise failure

    def close(self, content: SessionContent) -> None:
        """The user leaves. A session in which nothing was said leaves no file."""
        with suppress(OSError):
            if content.turns:
                self.write(content, closed=True)
            elif self._lock is not None:
                (self._folder / f"{self.id}.json").unlink(missing_ok=True)
                _trace_of(self._folder, self.id).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            with suppress(OSError):
                _lock_of(self._folder, self.id).unlink()


def list_sessions(folder: Path) -> list[SessionRecord]:
    """All sessions that can be read, the newest first, without their steps."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(UsageError):  # the file of somebody else
            found.append(read_file(path))
    return sorted(found, key=lambda saved: saved.updated, reverse=True)


def find_killed(folder: Path) -> SessionRecord | None:
    """The newest session that ended without being left, and that nobody has open."""
    for saved in list_sessions(folder):
        if saved.closed or not (saved.turns or saved.pending):
            continue
        if not _is_locked(_lock_of(folder, saved.id)):
            return _whole(folder, saved.id)
    return None


def load_session(folder: Path, name: str) -> SessionRecord:
    """A session by its id or the beginning of it; `last` is the newest.

    Raises:
        UsageError: there is none, or several, or it can't be read.

    """
    if name == "last":
        sessions = list_sessions(folder)
        if not sessions:
            raise UsageError("there is no session yet", hint="softchat chat begins one")
        return _whole(folder, sessions[0].id)
    # An empty name, as of a variable that was never set, is no session's beginning.
    paths = sorted(path for path in folder.glob("*.json") if name and path.stem.startswith(name))
    if len(paths) != 1:
        what = "no session" if not paths else f"{len(paths)} sessions"
        raise UsageError(
            printable(f"{what} '{name}'", newlines=False), hint="see 'softchat sessions'"
        )
    return _whole(folder, paths[0].stem)


def _whole(folder: Path, id_: str) -> SessionRecord:
    """A session with its steps."""
    return read_file(folder / f"{id_}.json", trace=_trace_of(folder, id_))


def remove_session(folder: Path, name: str) -> str:
    """Delete a session; its id. Raises UsageError as `load_session`, or if it is open."""
    saved = load_session(folder, name)
    _refuse_open(folder, saved.id)
    (folder / f"{saved.id}.json").unlink(missing_ok=True)
    _trace_of(folder, saved.id).unlink(missing_ok=True)
    _lock_of(folder, saved.id).unlink(missing_ok=True)
    return saved.id


def write_file(path: Path, content: SessionContent) -> None:
    """Write a chat to a file of the user's: Markdown to read if it ends in .md, else JSON.

    Raises:
        UsageError: it can't be written.

    """
    if path.suffix == ".md":
        text = _to_markdown(content)
    else:
        runs = newest([turn.events for turn in content.turns])
        turns = [
            _said(turn) | {"events": [to_dict(event) for event in run]}
            for turn, run in zip(content.turns, runs, strict=True)
        ]
        text = json.dumps(_data(content, turns, path.stem, _now(), pending="", closed=True))
    shown = printable(str(path), newlines=False)
    try:
        if path.exists() and not path.is_file():  # a device would be one no more
            raise UsageError(f"can't write {shown}: it is no file", hint="name another file")
        replace_file(path, text)
    except OSError as error:
        raise UsageError(
            f"can't write {shown}: {error.strerror}", hint="name another file"
        ) from error


def read_file(path: Path, *, trace: Path | None = None) -> SessionRecord:
    """The session in a file; with the steps that are in it, and those of this trace.

    Raises:
        UsageError: there is no such file, or it holds something else.

    """
    shown = printable(str(path), newlines=False)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:  # there may be no end to it
            raise UsageError(f"{shown} is no saved session", hint="/save FILE.json makes one")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"can't read {shown}: {error.strerror}", hint="is it a file?") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown} is no saved session", hint="/save FILE.json makes one"
        ) from error
    if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > SCHEMA:
        raise UsageError(f"{shown} was written by a newer softchat", hint="update softchat")
    try:
        runs = recalled(trace, [turn.get("run") for turn in data["turns"]]) if trace else {}
        return SessionRecord(
            id=path.stem,
            started=_text(data["started"]),
            updated=_text(data["updated"]),
            model=_text(data["model"]),
            system=_text(data["system"]),
            chosen=dict(_settings(data.get("set", {}))),
            turns=tuple(_turn(turn, runs) for turn in data["turns"]),
            pending=_text(data["pending"]),
            closed=data["closed"] is True,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{shown} is no saved session", hint="/save FILE.json makes one"
        ) from error


def _settings(data: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  # whatever JSON holds
    for name, value in data.items():
        with suppress(UsageError):  # of a softchat that has other settings
            yield name, check(name, value)


def _turn(data: Any, runs: Mapping[str, Events]) -> Turn:  # noqa: ANN401  # whatever JSON holds
    settings = data["settings"]
    if not isinstance(settings, dict):
        raise TypeError
    events = tuple(from_dict(event) for event in data.get("events", ()))
    return Turn(
        question=_text(data["question"]),
        answer=_text(data["answer"]),
        settings=settings,
        events=events or runs.get(data.get("run"), ()),
    )


def _text(value: Any) -> str:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(value, str):
        raise TypeError
    return value


def _said(turn: Turn) -> dict[str, Any]:
    return {"question": turn.question, "answer": turn.answer, "settings": turn.settings}


def _data(
    content: SessionContent,
    turns: list[dict[str, Any]],
    id_: str,
    started: str,
    *,
    pending: str,
    closed: bool,
) -> dict[str, Any]:
    # To be written as ASCII: a lone surrogate that was pasted is no reason to fail.
    return {
        "schema": SCHEMA,
        "id": id_,
        "started": started,
        "updated": _now(),
        "model": content.model_name,
        "system": content.system,
        "set": dict(content.chosen),
        "turns": turns,
        "pending": pending,
        "closed": closed,
    }


def _to_markdown(content: SessionContent) -> str:
    parts = [f"# A chat with {printable(content.model_name, newlines=False)}"]
    if content.system:
        parts.append("*" + " ".join(content.system.split()) + "*")
    for turn in content.turns:
        parts += ["## " + turn.question.replace("\n", "\n   "), turn.answer]
    return printable("\n\n".join(parts)) + "\n"


def _trace_of(folder: Path, id_: str) -> Path:
    return folder / f"{id_}.jsonl"


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="microseconds")


# -- locks: the system lets go of one when its process ends, however it ends ---------------------


def _lock_of(folder: Path, id_: str) -> Path:
    return folder / f"{id_}.lock"


def _lock(path: Path) -> IO[bytes]:
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    with suppress(OSError):
        _try_lock(file)
    return file


def _refuse_open(folder: Path, id_: str) -> None:
    """Raise UsageError if another softchat has this session open."""
    if _is_locked(_lock_of(folder, id_)):
        raise UsageError(printable(f"session {id_} is open", newlines=False), hint="leave it first")


def _is_locked(path: Path) -> bool:
    try:
        file = path.open("rb")  # a read-only folder has locks too
    except OSError:  # there is none, or it is none
        return False
    with file:
        try:
            _try_lock(file)
        except OSError:
            return True
    return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
