"""The folder of sessions: which there are, found by id, by time or by how they ended; and removed.

What `softchat ask` asks is a session too, of one turn; only its id tells, and only the newest of
them are kept.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from softchat.base import files
from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.record.locks import is_locked, lock_of, refuse_open
from softchat.record.recall import trace_of
from softchat.record.session_file import remove_files
from softchat.record.session_format import ASK, SessionRecord, read_file

MOST_ASKS = 1000
_SEE = "see 'softchat sessions', or 'softchat log' for what ask has asked"


def list_sessions(folder: Path) -> list[SessionRecord]:
    """All chats that can be read, the newest first, without their steps.

    Raises:
        OSError: one may not look into the folder.

    """
    return _newest_first(
        path for path in files.files_in(folder, ".json") if not path.name.startswith(ASK)
    )


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
    paths = [path for path in paths if path.stem == name] or paths
    if len(paths) != 1:
        what = "no session" if not paths else f"{len(paths)} sessions"
        raise UsageError(one_line(f"{what} '{name}'"), hint=_SEE)
    return _whole(folder, paths[0].stem)


def newest_session(folder: Path, *, idle: bool = False, own: str = "") -> SessionRecord:
    """The session in which something was asked last, a chat or an ask, with its steps.

    Args:
        folder: of all sessions.
        idle: pass over chats that are open.
        own: the id of the one that asks, which is open here.

    Raises:
        UsageError: there is none.

    """
    best, best_at = None, 0.0
    passed = []
    for path, written_at in _written(folder):
        if best is not None and written_at < best_at:
            break  # what was written before was asked before: not to read a thousand files for one
        if idle and not path.name.startswith(ASK) and is_locked(path.with_suffix(".lock")):
            passed.append(path.stem)
            continue
        with suppress(UsageError):  # the file of somebody else
            saved = read_file(path)
            at = _seconds(saved.turns[-1].asked if saved.turns else "") or written_at
            at *= bool(saved.turns or saved.pending)  # one without a word comes last
            if best is None or at > best_at:
                best, best_at = saved, at
    if best is None:
        what = "there is no other session" if passed else "nothing has been asked yet"
        if {*passed} - {own}:
            what = f"{'all other' if own else 'all'} sessions are open elsewhere"
        raise UsageError(what, hint="softchat ask QUESTION")
    return _whole(folder, best.id)


def find_killed(folder: Path) -> SessionRecord | None:
    """The newest chat that ended without being left, and that nobody has open: its lock is left."""
    left = [path.stem for path in folder.glob("*.lock") if not is_locked(path)]
    for saved in _newest_first(folder / f"{id_}.json" for id_ in left):
        if not saved.closed and (saved.turns or saved.pending):
            return _whole(folder, saved.id)
    return None


def leave_killed(folder: Path, saved: SessionRecord) -> None:
    """Have a chat that was killed not be found by `find_killed` again; it stays as it is."""
    if not is_locked(lock := lock_of(folder, saved.id)):
        with suppress(OSError):
            lock.unlink()


def remove_sessions(folder: Path, names: Iterable[str]) -> list[str]:
    """Delete sessions, each once; their ids.

    All names are looked up before anything is deleted: `last` is another one afterwards.

    Raises:
        UsageError: as `load_session`, or one is open; nothing is deleted then.

    """
    ids = [*dict.fromkeys(load_session(folder, name).id for name in names)]
    for id_ in ids:
        refuse_open(folder, id_)
    for id_ in ids:
        remove_files(folder, id_)
        lock_of(folder, id_).unlink(missing_ok=True)
    return ids


def trim_asks(folder: Path, most: int = MOST_ASKS) -> None:
    """Delete what `softchat ask` has asked, but for the newest."""
    asks = list(folder.glob(f"{ASK}*.json"))
    if len(asks) > most:
        with suppress(OSError):  # another softchat is at it
            for path in sorted(asks, key=lambda path: path.stat().st_mtime_ns)[:-most]:
                remove_files(folder, path.stem)


def _newest_first(paths: Iterable[Path]) -> list[SessionRecord]:
    found = []
    for path in paths:
        with suppress(UsageError):  # the file of somebody else
            found.append(read_file(path))
    return sorted(found, key=lambda saved: saved.updated, reverse=True)


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


def _whole(folder: Path, id_: str) -> SessionRecord:
    """A session with its steps."""
    return read_file(folder / f"{id_}.json", trace=trace_of(folder, id_))
