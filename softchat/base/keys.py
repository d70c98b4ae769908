"""Keys that are pressed while a model thinks: Enter, or `a`, wants the answer now.

Only where nothing else stands on the line. Whatever else is typed is the beginning of the next
question, or of the shell's next command, and stays in the terminal for whoever reads there next.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

if sys.platform != "win32":
    import fcntl
    import termios

_LETTER = b"a"
_PAUSE_S = 0.5  # a letter that nothing follows for so long begins no word


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
        typed: told the one letter that may have been read of that; all behind it has stayed in the
            terminal.
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
    """A thread that is woken by lines, and reads those that hold nothing but one of the keys.

    The terminal goes on gathering lines, so that a word which is typed stays there, unread. For the
    letter to wake it, that is made another sign that ends a line.
    """

    def __init__(self, answer_now: AnswerNow) -> None:
        self.typed = b""
        self._answer_now = answer_now
        self._terminal = sys.stdin.fileno()
        self._woken, self._wake = os.pipe()
        self._restored = False
        self._modes = termios.tcgetattr(self._terminal)
        self._set(self._listening(termios.ICANON))
        self._thread: threading.Thread | None = threading.Thread(
            target=self._listen, name="keys", daemon=True
        )
        self._thread.start()

    def _listening(self, gathers: int) -> list[Any]:
        """The terminal's modes: no echo; whether it `gathers` lines (ICANON), or gives each key."""
        modes = [*self._modes]
        modes[0] |= termios.ICRNL
        modes[3] = modes[3] & ~(termios.ICANON | termios.ECHO) | gathers
        modes[6] = [*modes[6]]
        modes[6][termios.VEOL] = _LETTER
        # Ctrl-D is for who reads next, and no end of anything here.
        modes[6][termios.VEOF] = bytes([os.fpathconf(self._terminal, "PC_VDISABLE") & 0xFF])
        return modes

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
        while self._waits() and self._waiting() == 1:
            key = os.read(self._terminal, 1)
            if key == _LETTER and self._goes_on():
                self.typed = key
                return
            self._answer_now.press()

    def _goes_on(self) -> bool:
        """Whether the letter was the beginning of a word; another Enter is none."""
        if self._waits(_PAUSE_S):
            return self._waiting() != 1
        if not self._in_front():
            return False
        self._set(self._listening(0))  # which shows what is no line yet
        begun = self._waiting() > 0
        self._set(self._listening(termios.ICANON))
        return begun

    def _waits(self, longest_s: float | None = None) -> bool:
        """Wait for a line; False if it is over, or for too long."""
        ready, _, _ = select.select([self._terminal, self._woken], [], [], longest_s)
        return self._terminal in ready and self._woken not in ready and self._in_front()

    def _waiting(self) -> int:
        """How many bytes can be read: of whole lines, while the terminal gathers them."""
        try:
            count = fcntl.ioctl(self._terminal, termios.FIONREAD, struct.pack("i", 0))
        except OSError:  # it has gone
            return 0
        return int(struct.unpack("i", count)[0])

    def _in_front(self) -> bool:
        """Whether the terminal is ours: whoever reads it from the background is stopped."""
        return os.tcgetpgrp(self._terminal) == os.getpgrp()

    def _set(self, modes: list[Any]) -> None:
        if self._in_front():  # whoever sets them from the background is stopped, too
            termios.tcsetattr(self._terminal, termios.TCSANOW, modes)
