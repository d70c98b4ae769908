"""Keys that are pressed while a model thinks: Enter, or `a`, wants the answer now."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

if sys.platform != "win32":
    import termios

_ANSWER = (b"\r", b"\n", b"a")


class AnswerNow:
    """Whether the answer was asked for. Calling it asks."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self) -> bool:
        return self.pressed

    def press(self) -> None:
        """Ask for the answer, from any thread."""
        self.pressed = True


@contextmanager
def listening(
    answer_now: AnswerNow,
    typed: Callable[[str], object] = lambda text: None,
    *,
    when: bool = True,
) -> Iterator[Callable[[], None]]:
    """Keys press the flag while this lasts, if stdin is a terminal; gives a way to end it sooner.

    Whoever begins to type something else is writing the next question: from then on no key counts.

    Args:
        answer_now: not pressed in the beginning.
        typed: told what was read of that; what comes after it has stayed in the terminal.
        when: False never listens.

    """
    answer_now.pressed = False
    listener = _Listener(answer_now) if when and _can_listen() else None
    try:
        yield listener.stop if listener else lambda: None
    finally:
        if listener:
            listener.stop()
            if listener.typed:
                typed(listener.typed.decode("utf-8", "replace"))


def _can_listen() -> bool:
    return sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty()


class _Listener:
    """A thread that reads the terminal, which gives each key at once meanwhile."""

    def __init__(self, answer_now: AnswerNow) -> None:
        self.typed = b""
        self._answer_now = answer_now
        self._terminal = sys.stdin.fileno()
        self._woken, self._wake = os.pipe()
        self._restored = False
        self._modes = termios.tcgetattr(self._terminal)
        keys = [*self._modes]
        keys[3] &= ~(termios.ICANON | termios.ECHO)
        self._set(keys)
        self._thread: threading.Thread | None = threading.Thread(
            target=self._listen, name="keys", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Leave the terminal as it was; once more where a Ctrl-C has cut the first time short."""
        if self._wake >= 0:
            wake, self._wake = self._wake, -1
            os.close(wake)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            os.close(self._woken)
        if not self._restored:
            self._set(self._modes)
            self._restored = True

    def _listen(self) -> None:
        while True:
            ready, _, _ = select.select([self._terminal, self._woken], [], [])
            if self._woken in ready or not self._in_front():
                return
            keys = os.read(self._terminal, 4096)
            if keys not in _ANSWER:
                self.typed = keys
                return
            self._answer_now.press()

    def _in_front(self) -> bool:
        """Whether the terminal is ours: whoever reads it from the background is stopped."""
        return os.tcgetpgrp(self._terminal) == os.getpgrp()

    def _set(self, modes: list[Any]) -> None:
        if self._in_front():  # whoever sets them from the background is stopped, too
            termios.tcsetattr(self._terminal, termios.TCSANOW, modes)
