"""Files: opened without waiting for ever, for the user alone, written whole or not at all.

What a name stands for may be a pipe, a socket or a device. Knows nothing of what is in files.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

from softchat.base.text import one_line
from softchat.base.waiting import readable

_HALF = ".tmp-"  # what a file is called until it is whole
_STALE_S = 24 * 60 * 60
_PATIENCE_S = 10.0  # for more to come out of a pipe
_LARGEST = 2**30  # bytes of a file that is read whole
_LOOKED_AT = 2000  # names of a folder, for one that is nearly the same
_ALIKE = 0.75  # of two names, from which one may be meant
_PIECE = 2**20  # bytes that are read at once
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe at whose other end is nobody would be waited for
_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def shown_size(size: float | None) -> str:
    """Bytes for people to read; `-` for what is not known."""
    if size is None:
        return "-"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def open_file(path: Path | str, flags: int = os.O_RDONLY) -> int:
    """Open a file that is one; a descriptor. What is made is readable by the user alone.

    Raises:
        OSError: it can't be opened, or is a folder, a pipe, a socket or a device.

    """
    handle = _open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        _refuse(handle, path)
    return handle


def read_file(path: Path | str, *, most: int = _LARGEST) -> bytes:
    """All that is in a file. Raises OSError as `open_file`, or as it holds more than `most`."""
    with os.fdopen(open_file(path), "rb") as file:
        data = _up_to(most + 1, file)
    return _checked(data, path, most)


def open_stream(path: Path | str) -> BinaryIO:
    """Open a file, or a pipe as `<(command)` is one, to read it.

    Raises:
        OSError: as `open_file`; also later, when nothing more has come out of a pipe for long.

    """
    handle = _open(path, os.O_RDONLY)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    if stat.S_ISFIFO(mode) and sys.platform != "win32":
        return io.BufferedReader(_Pipe(handle, path))
    return _refuse(handle, path)


def read_stream(path: Path | str, *, most: int = _LARGEST) -> bytes:
    """All that comes out of a file or a pipe. Raises as `open_stream`, or as it is more."""
    with open_stream(path) as stream:
        data = _up_to(most + 1, stream)
    return _checked(data, path, most)


def open_sink(path: Path | str, *, keep: bool = False) -> BinaryIO:
    """Open a file to write it anew, a pipe that somebody reads, or a device such as a terminal.

    Args:
        path: the file.
        keep: leave what it holds, until whoever writes cuts it off.

    Raises:
        OSError: it can't be opened, or nobody reads the pipe.

    """
    try:
        handle = _open(path, os.O_WRONLY | os.O_CREAT | (0 if keep else os.O_TRUNC))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from it", str(path)) from error
        raise
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    return os.fdopen(handle, "wb")


def _open(path: Path | str, flags: int) -> int:
    """A descriptor, without waiting. Raises OSError, also where the name can be no file's."""
    try:
        return os.open(path, flags | _AT_ONCE | _BINARY, 0o600)
    except ValueError as error:  # a null byte, half a character
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from error


class _Pipe(io.RawIOBase):
    """A pipe that is given up when nothing has come for long."""

    def __init__(self, handle: int, path: Path | str) -> None:
        self._handle, self._path = handle, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any other
        if not readable(self._handle, within_s=_PATIENCE_S):
            said = f"nothing has come out of it for {_PATIENCE_S:g} seconds"
            raise OSError(errno.ETIMEDOUT, said, str(self._path))
        data = os.read(self._handle, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


def _refuse(handle: int, path: Path | str) -> NoReturn:
    is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
    os.close(handle)
    if is_folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no file", str(path))


def _up_to(most: int, stream: BinaryIO) -> bytes:
    """Up to so many bytes; memory is taken as they come, and not all of it first."""
    parts = []
    while most and (part := stream.read(min(most, _PIECE))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _checked(data: bytes, path: Path | str, most: int) -> bytes:
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it holds more than {shown_size(most)}", str(path))
    return data


def missing_hint(path: Path, otherwise: str = "is it a file?") -> str:
    """The hint for a file that can't be opened: one that is there and called nearly the same."""
    import difflib  # where something is wrong, not at each start

    with suppress(OSError, ValueError):
        if is_dangling(path):
            return "it is a link to nothing"
        if not path.exists():
            with os.scandir(path.parent) as entries:
                there = [entry.name for entry in islice(entries, _LOOKED_AT) if entry.is_file()]
            for near in difflib.get_close_matches(path.name, there, n=1, cutoff=_ALIKE):
                return f"did you mean {one_line(str(path.with_name(near)))}?"
    return otherwise


def is_dangling(path: Path) -> bool:
    """Whether this is a link to what is not there; one that leads in a circle is another matter."""
    with suppress(OSError, ValueError):  # a name that can be none
        return path.is_symlink() and not resolved(path).exists()
    return False


def resolved(path: Path) -> Path:
    """What the name leads to through links, be it there or not.

    Raises:
        OSError: the links lead in a circle. (Path.resolve would raise RuntimeError, or nothing.)

    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
    return Path(os.path.realpath(path))


def files_in(folder: Path, ending: str) -> list[Path]:
    """What is in the folder under a name that ends so; nothing where there is nothing.

    Raises:
        OSError: one may not look into it, or it is none, or a link to nothing. (Path.glob would
            find nothing, and say nothing.)

    """
    try:
        with os.scandir(folder) as found:
            return [folder / one.name for one in found if one.name.endswith(ending)]
    except FileNotFoundError:
        if folder.is_symlink():
            raise
        return []


def make_private(folder: Path) -> None:
    """Make the folder and those above it that are not there yet, for nobody but the user.

    Raises:
        OSError: it can't be made, or something else is in its place.

    """
    # Not mkdir(parents=True): that gives its mode to the last folder only.
    if not folder.is_dir():
        make_private(folder.parent)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError as error:  # which alone says nothing of a folder
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder", str(folder)) from error


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left half written in this folder.

    A day spares those who are still at work.
    """
    for path in folder.glob(f"{_HALF}*"):
        with suppress(OSError):  # gone just now, or no right to
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def lock_file(handle: int) -> bool:
    """Keep an open file for this process, until it is closed; False if another one has it.

    Windows has no such lock, nor have some file systems: there it is True.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other softchat is in here with this folder, which must be there.

    So what is read, changed and written back loses nothing of theirs. Windows has no such lock.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace_file(
    path: Path,
    content: str | bytes,
    *,
    check: Callable[[Path], object] | None = None,
    durable: bool = True,
) -> None:
    """Put this into the file at `path`, in place of what it held; its folder must be there.

    Args:
        path: the file; mode 0600 afterwards.
        content: of text, lone surrogates become question marks.
        check: looks at the file before it gets its name, beside it; what it raises stops it all.
        durable: wait until the disk has it, so that not even a crash of the machine loses it.

    Raises:
        OSError: it cannot be written.

    """
    data = content.encode(errors="replace") if isinstance(content, str) else content
    with replacing(path) as half:
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if check is not None:
            check(half)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, to be written in here, that takes its place behind here.

    Its mode is 0600. Whatever is raised in here removes it, and leaves what `path` held.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_HALF)
    os.close(handle)
    try:
        yield Path(name)
        os.replace(name, path)  # noqa: PTH105  # atomic
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
