"""The log: an index (SQLite's FTS5) of every question in the files of sessions. Knows no terminal.

The files are what counts. Before each look the index takes in what has changed in them; it is made
anew if it is damaged, or of another version, and for this once in memory if it can't be kept. So
whoever writes a session need know nothing of it, and it may be deleted at any time.
"""

from __future__ import annotations

import datetime
import os
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from softchat.base.files import files_in, make_private
from softchat.base.text import legible, one_line, storable
from softchat.errors import SoftchatError, UsageError
from softchat.record.session_format import read_file

_VERSION = 1
_WAIT_S = 10.0  # for another softchat that is at it
_MOST_S = 10.0  # that reading what is held may take; one that takes longer is damaged
_OFTEN = 100_000  # steps of SQLite's machine between two looks at the clock
_LARGEST = 2**63 - 1  # that SQLite counts to
_MOST_WORDS = 100  # to look for: SQLite takes no condition of a thousand
_MEMORY = Path(":memory:")
_TABLES = (
    "CREATE TABLE file (session TEXT PRIMARY KEY, state TEXT)",
    # The row's id is the number that people call a question by.
    "CREATE VIRTUAL TABLE asked USING fts5(question, answer, session UNINDEXED, place UNINDEXED,"
    " time UNINDEXED, model UNINDEXED, tokenize='unicode61 remove_diacritics 2')",
    f"PRAGMA user_version = {_VERSION}",
)
_ACCENTS = {chr(code) for code in range(0x300, 0x370)}
_NAMES = {"file", "asked"}  # of the tables, in all versions
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A question that was asked, in a session or by `ask`, and its answer."""

    number: int
    """Its own, as long as the index lasts."""
    session: str
    """The id of the session that it is in."""
    place: int
    """Which of its turns, from 0."""
    time: str
    """When it was answered: ISO 8601, UTC; empty if nobody knows."""
    model: str
    question: str
    answer: str


class Log:
    """Looks at what was asked.

    Args:
        index: the file of the index.
        folder: of the sessions.
        warn: told of an index that somebody has tampered with.

    """

    def __init__(
        self, index: Path, folder: Path, *, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._index = index
        self._folder = folder
        self._warn = warn

    def newest(self, most: int, *, words: str = "") -> list[Logged]:
        """The newest questions, at most so many; those that hold all the words, if there are any.

        A word is found by its beginning, whatever its case and accents.

        Raises:
            UsageError: there are more words than can be looked for.

        """
        wanted = dict.fromkeys(storable(words).split())
        if len(wanted) > _MOST_WORDS:
            raise UsageError(f"more than {_MOST_WORDS} words to look for", hint="give fewer")
        where, values = _condition(wanted)
        query = f"SELECT rowid, * FROM asked WHERE {where} ORDER BY time DESC, rowid DESC LIMIT ?"
        limit = min(most, _LARGEST)
        return self._look(lambda db: [_logged(row) for row in db.execute(query, (*values, limit))])

    def number(self, number: int) -> Logged:
        """The question of this number.

        Raises:
            UsageError: there is none.

        """
        query, key = "SELECT rowid, * FROM asked WHERE rowid = ?", min(number, _LARGEST)
        found = self._look(lambda db: [_logged(row) for row in db.execute(query, (key,))])
        if not found:
            raise UsageError(f"nothing in the log has number {number}", hint="see 'softchat log'")
        return found[0]

    def refresh(self) -> None:
        """Take out what was deleted; an index that was never made is not made."""
        if self._index.exists():
            self._look(lambda db: None)

    def _look(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return self._look_into(self._index, query, most_s=_MOST_S)
        except (sqlite3.OperationalError, OSError):
            pass  # a full disk, no right to write, another softchat that does not end
        except sqlite3.DatabaseError as error:  # damaged, or of another softchat
            if isinstance(error, _ForgedError):
                self._warn(f"{one_line(str(self._index))} {error}; it is made anew")
            _discard(self._index)
            with suppress(sqlite3.Error, OSError):
                return self._look_into(self._index, query)
        try:
            return self._look_into(_MEMORY, query)
        except sqlite3.Error as error:
            hint = "its sqlite3 needs FTS5"
            raise SoftchatError(f"this Python can't search: {error}", hint=hint) from error

    def _look_into(
        self,
        index: Path,
        query: Callable[[sqlite3.Connection], _T],
        *,
        most_s: float = float("inf"),
    ) -> _T:
        """What a query finds, once the index is up to date.

        Args:
            index: a file, or `_MEMORY`.
            query: looks.
            most_s: that reading may take; one that was made just now is bounded by its sessions.

        """
        with closing(_open(index)) as db:
            with _bounded(db, most_s):
                held = dict(db.execute("SELECT session, state FROM file"))
            _update(db, self._folder, held)
            with _bounded(db, most_s):
                return query(db)


def _open(path: Path) -> sqlite3.Connection:
    if path != _MEMORY:
        make_private(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600))
    db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        db.create_function("holds", -1, _holds, deterministic=True)
        db.execute("PRAGMA secure_delete = ON")  # what was deleted is nowhere in the file
        db.execute("BEGIN IMMEDIATE")  # from here on no other softchat is at it
        _refuse_other(db, path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another softchat")  # to be made anew
        there = _schema(db)
        if not there:
            for table in _TABLES:
                db.execute(table)
        elif there != _schema_of_ours():
            raise _ForgedError("holds what softchat has not put there")
    except BaseException:
        db.close()
        raise
    return db


class _ForgedError(sqlite3.DatabaseError):
    """The index is not as softchat makes it: to be made anew, and told."""


@contextmanager
def _bounded(db: sqlite3.Connection, most_s: float) -> Iterator[None]:
    """Reading, for so long at the most. Raises _ForgedError where it takes longer."""
    ends = time.monotonic() + most_s
    db.set_progress_handler(lambda: time.monotonic() > ends, _OFTEN)
    try:
        yield
    except sqlite3.OperationalError as error:
        if time.monotonic() > ends:
            raise _ForgedError("takes too long to read") from error
        raise
    finally:
        db.set_progress_handler(None, 0)


def _schema(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """What there is in a database: tables, and whatever would run where they are read."""
    return set(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


@cache
def _schema_of_ours() -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(_MEMORY)) as db:
        for table in _TABLES:
            db.execute(table)
        return _schema(db)


def _refuse_other(db: sqlite3.Connection, path: Path) -> None:
    """Raise UsageError if this is the database of another program: it is left as it is."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if tables and not tables >= _NAMES:
        what = f"{one_line(str(path))} is another program's database"
        raise UsageError(what, hint="move it, or let SOFTCHAT_HOME name another folder")


def _discard(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-journal")):
        with suppress(OSError):
            name.unlink()


def _update(db: sqlite3.Connection, folder: Path, held: Mapping[str, str]) -> None:
    """Take in the files that have changed, and take out those that have gone; all or nothing.

    Args:
        db: the index.
        folder: of the sessions.
        held: those that are in it, and what their files were then.

    """
    there = dict(_files(folder))
    gone = [session for session in held if session not in there]
    changed = [session for session, state in there.items() if held.get(session) != state]
    kept = {session: _numbers(db, session) for session in (*gone, *changed) if session in held}
    fresh = []
    for session in changed:
        for entry in _entries(folder / f"{session}.json", session):
            # What was there before keeps its number, whichever turn of its session it is now.
            numbers = kept.get(session, {}).get((entry.question, entry.answer))
            fresh.append((numbers.pop(0) if numbers else None, entry))
    for session in kept:
        db.execute("DELETE FROM asked WHERE session = ?", (session,))
        db.execute("DELETE FROM file WHERE session = ?", (session,))
    fresh.sort(key=lambda one: (one[0] is None, one[1].time))
    columns = "rowid, question, answer, session, place, time, model"
    for number, one in fresh:
        row = (number, one.question, one.answer, one.session, one.place, one.time, one.model)
        db.execute(f"INSERT INTO asked({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    db.executemany("INSERT INTO file VALUES (?, ?)", [(one, there[one]) for one in changed])
    if kept:  # or their words would stay in the index's older parts
        db.execute("INSERT INTO asked(asked) VALUES ('optimize')")
    db.execute("COMMIT")


def _files(folder: Path) -> Iterable[tuple[str, str]]:
    """Each session's id, and what changes when its file does."""
    for file in files_in(folder, ".json"):
        if legible(file.stem) == file.stem:  # else it is somebody else's
            with suppress(OSError):
                status = file.stat()
                yield file.stem, f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"


def _entries(path: Path, session: str) -> Iterable[Logged]:
    try:
        saved = read_file(path)
    except UsageError:  # the file of somebody else
        return
    for place, turn in enumerate(saved.turns):
        yield Logged(
            number=0,
            session=session,
            place=place,
            time=_utc(turn.asked or saved.updated),
            model=legible(saved.model),
            question=storable(turn.question),
            answer=storable(turn.answer),
        )


def _utc(time: str) -> str:
    """The time as one that sorts, whatever the clock was set to; empty for none."""
    try:
        moment = datetime.datetime.fromisoformat(time)
        return moment.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return ""


def _numbers(db: sqlite3.Connection, session: str) -> dict[tuple[str, str], list[int]]:
    """The numbers of a session's questions, by question and answer."""
    numbers: dict[tuple[str, str], list[int]] = {}
    query = "SELECT rowid, question, answer FROM asked WHERE session = ? ORDER BY place"
    for number, question, answer in db.execute(query, (session,)):
        numbers.setdefault((question, answer), []).append(number)
    return numbers


def _condition(words: Iterable[str]) -> tuple[str, list[str]]:
    """What a row must be to hold all of these words, as SQL and the values in it."""
    begun, held = [], []
    for word in words:
        if word.isalnum() and not any(unicodedata.category(sign) == "Lo" for sign in word):
            begun.append(f'"{word}"*')
        else:  # scripts without spaces, and what FTS5 would take apart (C++, node_7)
            held.append(_folded(word))
    parts, values = [], []
    if held:
        parts.append(f"holds(question || ' ' || answer{', ?' * len(held)})")
        values += held
    if begun:
        parts.append("asked MATCH ?")
        values.append(" ".join(begun))
    return " AND ".join(parts) or "1", values


def _holds(text: object, *words: str) -> bool:
    """Whether a text has all these words in it, which are folded."""
    folded = _folded(str(text))
    return all(word in folded for word in words)


def _folded(text: str) -> str:
    """The text without case and accents, much as FTS5 has it; signs of other scripts stay whole."""
    if text.isascii():
        return text.lower()
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if sign not in _ACCENTS)
    return unicodedata.normalize("NFC", plain.casefold())


def _logged(row: tuple[int, str, str, str, int, str, str]) -> Logged:
    number, question, answer, session, place, time, model = row
    return Logged(
        number=number, session=session, place=place, time=time, model=model,
        question=question, answer=answer,
    )  # fmt: skip
