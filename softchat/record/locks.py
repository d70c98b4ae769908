"""Locks of sessions: one that is open elsewhere, from one that was killed.

The system lets go of a lock when its process ends, however it ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from softchat.base.files import lock_file
from softchat.base.text import one_line
from softchat.errors import UsageError


def lock_of(folder: Path, id_: str) -> Path:
    """The lock beside the file of this session."""
    return folder / f"{id_}.lock"


def take_lock(path: Path) -> IO[bytes]:
    """Make a lock and hold it, as long as what is returned is open; or do without.

    Raises:
        UsageError: another softchat holds it.
        OSError: it can't be made.

    """
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        if not _lock(file):
            file.close()
            raise _open(path.stem)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # who held it has just removed it


def drop_lock(file: IO[bytes], path: Path) -> None:
    """Let go of a lock, and remove it."""
    if sys.platform != "win32":  # first: behind it, it may be another one's
        with suppress(OSError):
            path.unlink()
    file.close()
    if sys.platform == "win32":  # which removes nothing that is open
        with suppress(OSError):
            path.unlink()


def refuse_open(folder: Path, id_: str) -> None:
    """Raise UsageError if another softchat has this session open."""
    if is_locked(lock_of(folder, id_)):
        raise _open(id_)


def _open(id_: str) -> UsageError:
    return UsageError(one_line(f"session {id_} is open"), hint="leave it, or wait for its answer")


def is_locked(path: Path) -> bool:
    """Whether somebody holds this lock."""
    try:
        file = path.open("rb")  # a read-only folder has locks too
    except OSError:  # there is none, or it is none
        return False
    with file:
        return not _lock(file)


def _lock(file: IO[bytes]) -> bool:
    """Hold it, as far as its file system has locks; False if another one does."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        except OSError:
            pass
        return True
    return lock_file(file.fileno())
