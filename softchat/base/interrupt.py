"""Ctrl-C as a flag that running code asks for, instead of an exception in its middle."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TWICE_S = 1.0  # two presses within this time are one wish to leave


class Interrupt:
    """Whether Ctrl-C was pressed. Calling it asks."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """As if it had never been pressed."""
        self.pressed = False
        self.pressed_at = float("-inf")
        """Seconds of the monotonic clock."""

    def __call__(self) -> bool:
        return self.pressed

    def press(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT. A second press within a second does not wait for anyone to ask.

        Raises:
            KeyboardInterrupt: it was pressed just before.

        """
        now = time.monotonic()
        if now - self.pressed_at < TWICE_S:
            raise KeyboardInterrupt
        self.pressed_at = now
        self.pressed = True


@contextmanager
def catch_interrupt(interrupt: Interrupt | None = None) -> Iterator[Interrupt]:
    """Ctrl-C sets the flag while this lasts, and does afterwards what it did before.

    Inside another one of the same flag it changes nothing: what was pressed there still counts.
    Where Ctrl-C is ignored, as by what a shell's script runs in the background, it stays so.
    """
    interrupt = interrupt or Interrupt()
    if signal.getsignal(signal.SIGINT) in (interrupt.press, signal.SIG_IGN):
        yield interrupt
        return
    interrupt.clear()
    before = signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
