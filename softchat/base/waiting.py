"""Waiting for descriptors, of any number: select takes none above 1,023."""

from __future__ import annotations

import select
import sys


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
