"""Ctrl-C as a flag that running code asks for, instead of an exception in its middle."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed. Calling it asks."""

    def __init__(self) -> None:
        self._pressed = False

    def __call__(self) -> bool:
        return self._pressed

    def press(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT. The second press does not wait for anyone to ask.

        Raises:
            KeyboardInterrupt: it was pressed before.

        """
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True


@contextmanager
def catch_interrupt() -> Iterator[Interrupt]:
    """Ctrl-C sets the flag while this lasts, and does afterwards what it did before."""
    interrupt = Interrupt()
    before = signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
