"""Files that a user names to be written: which may not be, and how the others are written.

What is there may be written over where it is of the same kind, so that a command can be repeated.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from softchat.base.files import open_file, open_sink, replace_file, resolved
from softchat.base.text import one_line
from softchat.errors import UsageError

_LOOKED_AT = 4096  # bytes of what a file begins with


def refuse_same(out: Path | None, *others: Path | str | None, by: str) -> None:
    """Raise UsageError if what is written would be what is read, or written otherwise.

    Args:
        out: the file; None: none is written.
        others: what the same command reads or writes; None: nothing.
        by: the flag that names `out`.

    """
    if out is None:
        return
    for other in others:
        if other and is_same(out, Path(other)):
            said = f"{by} would overwrite {one_line(str(other))}, which this command uses"
            raise UsageError(said, hint="name another file")


def refuse_inside(out: Path | None, folder: Path) -> None:
    """Raise UsageError if what is written would be in this folder, whose files are softchat's own.

    Only softchat itself writes there: sessions are found and read back by their names.
    """
    if out is not None and is_same(Path(os.path.realpath(out)).parent, folder):
        said = f"{one_line(str(out))} is among softchat's own"
        raise UsageError(said, hint="name another folder")


def refuse_stdout(out: Path | None, *, by: str, hint: str) -> None:
    """Raise UsageError if what is written would go where stdout goes, each spoiling the other.

    So it would be with `-`, which is stdout's name to many, and would be a file's to softchat.
    """
    if out is None:
        return
    if str(out) == "-":
        raise UsageError(f"{by} wants the name of a file, not -", hint=hint)
    try:
        mine, its = os.fstat(sys.stdout.fileno()), out.stat()
    except (OSError, ValueError):  # there is none of the two
        return
    if os.path.samestat(mine, its) and not stat.S_ISCHR(its.st_mode):
        raise UsageError(f"{by} is the file that stdout goes to", hint=hint)


def refuse_foreign(out: Path, is_ours: Callable[[bytes], bool], *, what: str) -> None:
    """Raise UsageError if the file holds something that is not of the same kind.

    Args:
        out: the file.
        is_ours: whether what it begins with is of the kind that would be written.
        what: this kind, to stand behind `no`.

    """
    try:
        with os.fdopen(open_file(out), "rb") as file:
            held = file.read(_LOOKED_AT)
    except OSError:  # there is none, or it is told when it is written
        return
    if held and not is_ours(held):
        shown = one_line(str(out))
        raise UsageError(f"{shown} exists, and is no {what}", hint="name another file")


def refuse_unwritable(out: Path, *, hint: str) -> None:
    """Raise UsageError if `write_named` could not write this, before there is something to write.

    Args:
        out: the file.
        hint: the way out.

    """
    try:
        if out.exists() and not out.is_file():
            if out.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return
        with tempfile.TemporaryFile(dir=resolved(out).parent):  # as `replace_file` does
            pass
    except OSError as error:
        raise UsageError(one_line(f"can't write {out}: {error.strerror}"), hint=hint) from error


def write_named(out: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, through links; a pipe or device as it comes.

    Raises:
        OSError: it can't be written.

    """
    if out.exists() and not out.is_file():  # which to replace would make a file of
        data = content.encode(errors="replace") if isinstance(content, str) else content
        with open_sink(out) as file:
            file.write(data)
    else:
        replace_file(resolved(out), content)


def is_same(one: Path, other: Path) -> bool:
    """Whether both names are of one file, be it there or not."""
    with suppress(ValueError):  # what can be no name
        try:
            return one.samefile(other)
        except OSError:  # one of them is not there yet
            return os.path.realpath(one) == os.path.realpath(other)
    return False
