"""Files that nobody but the user can read, written whole or not at all; how large one is, in words.

Knows nothing of what is in them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_HALF = ".tmp-"  # what a file is called until it is whole
_STALE_S = 24 * 60 * 60


def shown_size(size: float | None) -> str:
    """Bytes for people to read; `-` for what is not known."""
    if size is None:
        return "-"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def make_private(folder: Path) -> None:
    """Make the folder and those above it that are not there yet, for nobody but the user."""
    # Not mkdir(parents=True): that gives its mode to the last folder only.
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left half written in this folder.

    A day spares those who are still at work.
    """
    for path in folder.glob(f"{_HALF}*"):
        with suppress(OSError):  # gone just now, or no right to
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_HALF)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if check is not None:
            check(Path(name))
        os.replace(name, path)  # noqa: PTH105  # atomic
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
