"""The session file: what was said, saved to disk as it happens. Knows nothing of terminals.

One JSON file a session, replaced as a whole before and after each turn, so that whatever kills
softchat leaves the last state but one at the worst. The steps of the thinking are beside it, in a
trace (`recall`), and so is its lock (`locks`).
"""

from __future__ import annotations

import datetime
import json
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

from softchat.base.files import make_private, replace_file, sweep
from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.record.locks import drop_lock, lock_of, refuse_open, take_lock
from softchat.record.recall import Recall, trace_of
from softchat.record.session_format import (
    ASK,
    SessionContent,
    SessionRecord,
    as_data,
    read_file,
    with_runs,
)
from softchat.talk.conversation import now


class StepsNotKeptError(OSError):
    """The steps of a session can't be written. What was said is."""


def what_is_lost(error: OSError, what: str) -> str:
    """What it is that can't be kept: all of it, or its steps alone."""
    return f"the steps of {what}" if isinstance(error, StepsNotKeptError) else what


class SessionFile:
    """The file of the session that is going on, and its lock. Made at the first write.

    Args:
        folder: of all sessions.
        resume: the session to go on with, if it is not a new one.
        ask: it is what `softchat ask` asks; else a chat, which an ask that is resumed becomes.

    Raises:
        UsageError: that session is open elsewhere, or has changed since it was read: one of the two
            would overwrite the other.

    """

    def __init__(
        self, folder: Path, resume: SessionRecord | None = None, *, ask: bool = False
    ) -> None:
        self.folder = folder
        self._started = resume.started if resume else now()
        self.id = resume.id if resume else _new_id(ask=ask)
        self._was = ""  # the id that it had before
        if resume is not None and resume.is_ask and not ask:
            self.id, self._was = self.id.removeprefix(ASK), self.id
        self._recall = Recall(trace_of(folder, self.id))
        self._lock: IO[bytes] | None = None
        if resume is not None:
            self._take_up(resume)

    def _take_up(self, resume: SessionRecord) -> None:
        """Hold the session. Raises UsageError if another one does, or if it is not as it was read.

        Between the two much can have been waited for: a download, a pipe.
        """
        # An ask that a chat has gone on with has its lock under the other id.
        ids = {resume.id, resume.id.removeprefix(ASK)}
        for one in ids:
            refuse_open(self.folder, one)
        with suppress(OSError):  # told at the first write
            self._lock = take_lock(lock_of(self.folder, self.id))
        try:
            for one in ids - {self.id}:
                refuse_open(self.folder, one)
            _refuse_changed(self.folder, resume)
        except UsageError:
            self.release()
            raise

    @property
    def begun(self) -> bool:
        """Whether there is a file of it."""
        return self._lock is not None

    def write(self, content: SessionContent, *, pending: str = "", closed: bool = False) -> None:
        """Replace the file.

        Raises:
            OSError: it can't be written; the file is as it was.
            StepsNotKeptError: the steps can't be written; the file is new all the same.

        """
        make_private(self.folder)
        if self._lock is None:
            sweep(self.folder)
            self._lock = take_lock(lock_of(self.folder, self.id))
        failure = None
        said = [one for turn in content.turns for one in turn.lineage]
        runs = [""] * len(said)
        try:
            runs = self._recall.write([turn.events for turn in said])
        except OSError as error:
            failure = error  # what was said can be small enough
        named = iter(runs)
        turns = [with_runs(turn, [next(named) for _ in turn.lineage]) for turn in content.turns]
        data = as_data(content, turns, self.id, self._started, pending=pending, closed=closed)
        replace_file(self.folder / f"{self.id}.json", json.dumps(data, indent=1))
        if self._was:
            remove_files(self.folder, self._was)
            self._was = ""
        if failure is not None:
            raise StepsNotKeptError(failure.errno, failure.strerror, failure.filename) from failure

    def close(self, content: SessionContent) -> None:
        """The user leaves. A session in which nothing was said leaves no file."""
        with suppress(OSError):
            if content.turns:
                self.write(content, closed=True)
            elif self._lock is not None:
                remove_files(self.folder, self.id)
        self.release()

    def release(self) -> None:
        """Let others open it."""
        if self._lock is not None:
            drop_lock(self._lock, lock_of(self.folder, self.id))
            self._lock = None


class Unkept(SessionFile):
    """A session that leaves no trace."""

    def write(self, content: SessionContent, *, pending: str = "", closed: bool = False) -> None:
        """Do nothing."""

    def close(self, content: SessionContent) -> None:
        """Do nothing but let others open what was gone on with."""
        self.release()


def remove_files(folder: Path, id_: str) -> None:
    """Delete what there is of this session; not its lock."""
    (folder / f"{id_}.json").unlink(missing_ok=True)
    trace_of(folder, id_).unlink(missing_ok=True)


def _refuse_changed(folder: Path, read: SessionRecord) -> None:
    """Raise UsageError if the file is another one than that which was read."""
    path = folder / f"{read.id}.json"
    what = "changed" if path.exists() else "been removed"
    try:
        same = read_file(path).updated == read.updated
    except UsageError:
        same = False
    if not same:
        raise UsageError(
            one_line(f"session {read.id} has {what} meanwhile"),
            hint="the same command once more goes on with what is there now",
        )


def _new_id(*, ask: bool) -> str:
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{ASK if ask else ''}{stamp}-{secrets.token_hex(2)}"
