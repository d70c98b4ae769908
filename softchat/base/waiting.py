"""Waiting for descriptors, of any number: select takes none above 1,023."""

from __future__ import annotations

import os
import select
import signal
import sys

if sys.platform == "linux":
    import fcntl


def readable(*descriptors: int, within_s: float | None = None) -> set[int]:
    """Which of these have something to read, or are over; none after so many seconds."""
    return _ready(descriptors, within_s, write=False)


def writable(descriptor: int, *, within_s: float) -> bool:
    """Whether somebody takes what is written there, within so many seconds."""
    return bool(_ready((descriptor,), within_s, write=True))


def _ready(descriptors: tuple[int, ...], within_s: float | None, *, write: bool) -> set[int]:
    if sys.platform != "linux":  # poll knows no terminals on macOS, and is not on Windows
        none: tuple[int, ...] = ()
        asked = (none, descriptors) if write else (descriptors, none)
        read, written, _ = select.select(*asked, none, within_s)
        return {*read, *written}
    poll = select.poll()
    for one in descriptors:
        poll.register(one, select.POLLOUT if write else select.POLLIN)
    return {one for one, _ in poll.poll(None if within_s is None else within_s * 1e3)}


def wake_with(descriptor: int) -> None:
    """Have this process go on, if somebody has stopped it, when there is something to read there.

    Or when whoever writes has gone. It is a pipe; on other systems than Linux nothing is done.
    """
    if sys.platform == "linux":
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGCONT)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
