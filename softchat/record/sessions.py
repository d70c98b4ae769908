"""Session files: what was said, written to disk as it happens. Knows nothing of terminals.

One JSON file a session, replaced as a whole before and after each turn, so that whatever kills
softchat leaves the last state but one at the worst. The steps of the thinking are beside it, in a
trace (`recall`). A lock tells a session that is open elsewhere from one that was killed.

What `softchat ask` asks is a session too, of one turn; only its id tells, and only the newest of
them are kept.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from softchat.base import files
from softchat.base.files import make_private, replace_file, sweep
from softchat.base.text import printable
from softchat.errors import UsageError
from softchat.events import from_dict, to_dict
from softchat.record.recall import Events, Recall, newest, recalled
from softchat.record.runs import Run
from softchat.settings import check
from softchat.talk.conversation import Turn

SCHEMA = 1
MOST_ASKS = 1000
_LARGEST = 2**26  # bytes of a file that is read; years of talk are less
_ASK = "ask-"  # how the id of a session begins that `softchat ask` has made


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
    started: str = ""
    updated: str = ""
    """ISO 8601, with the offset."""
    model: str
    system: str
    chosen: Mapping[str, object] = field(default_factory=dict)
    """The settings that were changed in it."""
    turns: tuple[Turn, ...]
    pending: str = ""
    """The question whose turn had not ended; empty for none."""
    closed: bool = True
    """Whether the user left it, or something killed it."""

    @property
    def is_ask(self) -> bool:
        """Whether `softchat ask` has made it, and nobody has gone on with it in a chat."""
        return self.id.startswith(_ASK)

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
        ask: it is what `softchat ask` asks; else a chat, which an ask that is resumed becomes.

    Raises:
        UsageError: that session is open elsewhere: one of the two would overwrite the other.

    """

    def __init__(
        self, folder: Path, resume: SessionRecord | None = None, *, ask: bool = False
    ) -> None:
        self.folder = folder
        self._started = resume.started if resume else _now()
        self.id = resume.id if resume else _new_id(ask=ask)
        self._was = ""  # the id that it had before
        if resume is not None:
            _refuse_open(folder, self.id)
            if resume.is_ask and not ask:
                self.id, self._was = self.id.removeprefix(_ASK), self.id
        self._recall = Recall(_trace_of(folder, self.id))
        self._lock: IO[bytes] | None = None
        if resume is not None:
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
        make_private(self.folder)
        if self._lock is None:
            sweep(self.folder)
            self._lock = _lock(_lock_of(self.folder, self.id))
        failure = None
        said = [one for turn in content.turns for one in turn.lineage]
        runs = [""] * len(said)
        try:
            runs = self._recall.write([turn.events for turn in said])
        except OSError as error:
            failure = error  # what was said can be small enough
        named = iter(runs)
        turns = [_with_runs(turn, [next(named) for _ in turn.lineage]) for turn in content.turns]
        data = _data(content, turns, self.id, self._started, pending=pending, closed=closed)
        replace_file(self.folder / f"{self.id}.json", json.dumps(data, indent=1))
        if self._was:
            _remove(self.folder, self._was)
            self._was = ""
        if failure is not None:
            raise failure

    def close(self, content: SessionContent) -> None:
        """The user leaves. A session in which nothing was said leaves no file."""
        with suppress(OSError):
            if content.turns:
                self.write(content, closed=True)
            elif self._lock is not None:
                _remove(self.folder, self.id)
        self.release()

    def release(self) -> None:
        """Let others open it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            with suppress(OSError):
                _lock_of(self.folder, self.id).unlink()


class Unkept(SessionFile):
    """A session that leaves no trace."""

    def write(self, content: SessionContent, *, pending: str = "", closed: bool = False) -> None:
        """Do nothing."""

    def close(self, content: SessionContent) -> None:
        """Do nothing but let others open what was gone on with."""
        self.release()


def _new_id(*, ask: bool) -> str:
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{_ASK if ask else ''}{stamp}-{secrets.token_hex(2)}"


def _remove(folder: Path, id_: str) -> None:
    (folder / f"{id_}.json").unlink(missing_ok=True)
    _trace_of(folder, id_).unlink(missing_ok=True)


def trim_asks(folder: Path, most: int = MOST_ASKS) -> None:
    """Delete what `softchat ask` has asked, but for the newest."""
    asks = list(folder.glob(f"{_ASK}*.json"))
    if len(asks) > most:
        with suppress(OSError):  # another softchat is at it
            for path in sorted(asks, key=lambda path: path.stat().st_mtime_ns)[:-most]:
                _remove(folder, path.stem)


def list_sessions(folder: Path) -> list[SessionRecord]:
    """All chats that can be read, the newest first, without their steps.

    Raises:
        OSError: one may not look into the folder.

    """
    return _newest_first(
        path for path in files.files_in(folder, ".json") if not path.name.startswith(_ASK)
    )


def _newest_first(paths: Iterable[Path]) -> list[SessionRecord]:
    found = []
    for path in paths:
        with suppress(UsageError):  # the file of somebody else
            found.append(read_file(path))
    return sorted(found, key=lambda saved: saved.updated, reverse=True)


def find_killed(folder: Path) -> SessionRecord | None:
    """The newest chat that ended without being left, and that nobody has open: its lock is left."""
    left = [path.stem for path in folder.glob("*.lock") if not _is_locked(path)]
    for saved in _newest_first(folder / f"{id_}.json" for id_ in left):
        if not saved.closed and (saved.turns or saved.pending):
            return _whole(folder, saved.id)
    return None


def leave_killed(folder: Path, saved: SessionRecord) -> None:
    """Have a chat that was killed not be found by `find_killed` again; it stays as it is."""
    if not _is_locked(lock := _lock_of(folder, saved.id)):
        with suppress(OSError):
            lock.unlink()


def newest_session(folder: Path, *, idle: bool = False) -> SessionRecord:
    """The session in which something was asked last, a chat or an ask, with its steps.

    Args:
        folder: of all sessions.
        idle: pass over chats that are open.

    Raises:
        UsageError: there is none.

    """
    best, best_at, passed = None, 0.0, False
    for path, written_at in _written(folder):
        if best is not None and written_at < best_at:
            break  # what was written before was asked before: not to read a thousand files for one
        if idle and not path.name.startswith(_ASK) and _is_locked(path.with_suffix(".lock")):
            passed = True
            continue
        with suppress(UsageError):  # the file of somebody else
            saved = read_file(path)
            at = _seconds(saved.turns[-1].asked if saved.turns else "") or written_at
            at *= bool(saved.turns or saved.pending)  # one without a word comes last
            if best is None or at > best_at:
                best, best_at = saved, at
    if best is None:
        what = "there is no other session" if passed else "nothing has been asked yet"
        raise UsageError(what, hint="softchat ask QUESTION")
    return _whole(folder, best.id)


def _written(folder: Path) -> list[tuple[Path, float]]:
    """The files of sessions, and when they were written; the newest first."""
    found = []
    for path in files.files_in(folder, ".json"):
        with suppress(OSError):
            found.append((path, path.stat().st_mtime))
    return sorted(found, key=lambda one: one[1], reverse=True)


def _seconds(time: str) -> float:
    try:
        return datetime.datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def load_session(folder: Path, name: str) -> SessionRecord:
    """A session by its id or the beginning of it; `last` is what `newest_session` finds.

    Raises:
        UsageError: there is none, or several, or it can't be read.

    """
    if name == "last":
        return newest_session(folder)
    # An empty name, as of a variable that was never set, is no session's beginning.
    there = files.files_in(folder, ".json")
    paths = sorted(path for path in there if name and path.stem.startswith(name))
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
    _remove(folder, saved.id)
    _lock_of(folder, saved.id).unlink(missing_ok=True)
    return saved.id


def write_file(path: Path, content: SessionContent) -> None:
    """Write a chat to a file of the user's: Markdown to read if it ends in .md, else JSON.

    Raises:
        UsageError: it can't be written.

    """
    if path.suffix == ".md":
        text = to_markdown(content)
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
        data = json.loads(files.read_file(path, most=_LARGEST))
    except OSError as error:
        raise UsageError(f"can't read {shown}: {error.strerror}", hint="is it a file?") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown} is no saved session", hint="/save FILE.json makes one"
        ) from error
    if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > SCHEMA:
        raise UsageError(f"{shown} was written by a newer softchat", hint="update softchat")
    try:
        runs = recalled(trace, [*_names(data["turns"])]) if trace else {}
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
    question, asked = _text(data["question"]), _text(data.get("asked", ""))
    before = [runs[name] for name in data.get("forked", ()) if name in runs]
    return Turn(
        question=question,
        answer=_text(data["answer"]),
        settings=settings,
        asked=asked,
        events=events or runs.get(data.get("run"), ()),
        forked=_forked(question, asked, before),
    )


def _names(turns: Any) -> Iterator[Any]:  # noqa: ANN401  # whatever JSON holds
    """The runs that turns name."""
    for turn in turns:
        yield turn.get("run")
        yield from turn.get("forked", ())


def _text(value: Any) -> str:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(value, str):
        raise TypeError
    return value


def _with_runs(turn: Turn, runs: Sequence[str]) -> dict[str, Any]:
    """A turn, with the names of its run, and of those that it is a fork of, the oldest first."""
    *before, own = runs
    named = [run for run in before if run]
    return _said(turn) | ({"run": own} if own else {}) | ({"forked": named} if named else {})


def _forked(question: str, asked: str, runs: Iterable[Events]) -> Turn | None:
    """The turn that these runs are the lineage of."""
    turn = None
    for events in runs:
        run = Run.of(events)
        turn = Turn(
            question=question,
            answer=run.answer,
            settings=run.settings,
            asked=asked,
            events=events,
            forked=turn,
        )
    return turn


def _said(turn: Turn) -> dict[str, Any]:
    said = {"question": turn.question, "answer": turn.answer, "settings": turn.settings}
    return said | ({"asked": turn.asked} if turn.asked else {})


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


def to_markdown(content: SessionContent) -> str:
    """All that was said, for people to read; a terminal finds nothing to obey in it."""
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
