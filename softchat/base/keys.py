"""Keys that are pressed while a model thinks: Enter, or `a`, wants the answer now.

Only where nothing else stands on the line. Whatever else is typed is the beginning of the next
question, or of the shell's next command, and stays in the terminal for whoever reads there next.
But a thought that goes step by step takes each key at once, and all that are pressed.
"""

from __future__ import annotations

import os
import re
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from softchat.base.waiting import readable

if sys.platform != "win32":
    import fcntl
    import termios

_LETTER = b"a"
_PAUSE_S = 0.5  # a letter that nothing follows for so long begins no word
_PRESSED = re.compile(rb"\x1b\[[0-9;]*[A-Za-z~]|\x1bO.|.", re.DOTALL)
_ENTER = (b"\r", b"\n")
_ALIKE = {
    **dict.fromkeys((b"\x1b[C", b"\x1bOC"), " "),  # the right arrow
    **dict.fromkeys((b"\x1b[D", b"\x1bOD", b"\x7f", b"\x08"), "b"),  # the left one, backspace
}
_ON, _RUN, _ANSWER = " ", "r", "a"
_STEPS = f"{_ON}{_RUN}xtTba123456789"


class AnswerNow:
    """Whether the answer was asked for. Calling it asks."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self) -> bool:
        return self.pressed

    def press(self) -> None:
        """Ask for the answer, from any thread."""
        self.pressed = True


class StepKeys:
    """The keys of a thought that goes step by step; calling it gives the next one, or nothing."""

    def __init__(self) -> None:
        self._pressed: deque[str] = deque()
        self.waits = True
        """Whether each step waits for a key, as far as the keys say."""

    def __call__(self) -> str:
        return self._pressed.popleft() if self._pressed else ""

    def press(self, data: bytes) -> None:
        """Take in what a terminal gave; what means nothing is passed over."""
        for pressed in _PRESSED.findall(data):
            key = _ALIKE.get(pressed) or pressed.decode("ascii", "replace")
            if pressed in _ENTER:  # while it runs on, it means what it always does
                key = _ON if self.waits else _ANSWER
            if key in _STEPS:
                self._pressed.append(key)
                self.waits = key != _RUN if self.waits else key == _ON

    def clear(self) -> None:
        """As if nothing had been pressed."""
        self._pressed.clear()
        self.waits = True


@contextmanager
def stepping(keys: StepKeys) -> Iterator[Callable[[], None]]:
    """Keys are taken in while this lasts, if stdin is a terminal; gives a way to end it sooner."""
    keys.clear()
    reader = _Reader(keys) if can_listen() else None
    try:
        yield reader.stop if reader else lambda: None
    finally:
        if reader:
            reader.stop()


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
    listener = _Listener(answer_now) if when and can_listen() else None
    try:
        yield listener.stop if listener else lambda: None
    finally:
        if listener:
            listener.stop()
            if listener.typed:
                typed(listener.typed.decode("utf-8", "replace"))


def can_listen() -> bool:
    """Whether keys can be read while something else is done: on a terminal, not on Windows."""
    return sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty()


class _Listener:
    """A thread that is woken by lines, and reads those that hold nothing but one of the keys.

    The terminal goes on gathering lines, so that a word which is typed stays there, unread. For the
    letter to wake it, that is made another sign that ends a line.
    """

    def __init__(self, answer_now: AnswerNow, gathers: bool = True) -> None:
        self.typed = b""
        self._answer_now = answer_now
        self._terminal = sys.stdin.fileno()
        self._woken, self._wake = os.pipe()
        self._restored = False
        self._modes = termios.tcgetattr(self._terminal)
        self._set(self._listening(termios.ICANON if gathers else 0))
        self._thread: threading.Thread | None = threading.Thread(
            target=self._listen, name="keys", daemon=True
        )
        self._thread.start()

    def _listening(self, gathers: int) -> list[Any]:
        """Modes of the terminal: no echo; it `gathers` lines (ICANON), or no read waits (0)."""
        modes = [*self._modes]
        modes[0] |= termios.ICRNL
        modes[3] = modes[3] & ~(termios.ICANON | termios.ECHO) | gathers
        modes[6] = [*modes[6]]
        modes[6][termios.VEOL] = _LETTER
        # Ctrl-D is for who reads next, and no end of anything here.
        modes[6][termios.VEOF] = bytes([os.fpathconf(self._terminal, "PC_VDISABLE") & 0xFF])
        if not gathers:
            modes[6][termios.VMIN] = modes[6][termios.VTIME] = 0
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
            key = self._read()
            if key in _ENTER or (key == _LETTER and not self._goes_on()):
                self._answer_now.press()
            elif key:
                self.typed = key
                return

    def _read(self) -> bytes:
        """The key that waits; nothing if a Ctrl-C has thrown it away meanwhile."""
        self._set(self._listening(0))
        key = os.read(self._terminal, 1)
        self._set(self._listening(termios.ICANON))
        return key

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
        ready = readable(self._terminal, self._woken, within_s=longest_s)
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
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it has gone
            return False

    def _set(self, modes: list[Any]) -> None:
        if self._in_front():  # whoever sets them from the background is stopped, too
            termios.tcsetattr(self._terminal, termios.TCSANOW, modes)


class _Reader(_Listener):
    """A thread that takes each key at once."""

    def __init__(self, keys: StepKeys) -> None:
        self._keys = keys
        super().__init__(AnswerNow(), gathers=False)

    def _listen(self) -> None:
        while True:
            ready = readable(self._terminal, self._woken)
            if self._woken in ready:
                return
            if not self._in_front():  # what is typed now is somebody else's; `fg` comes back
                readable(self._woken, within_s=_PAUSE_S)
                continue
            data = os.read(self._terminal, 4096)
            if not data:  # it has gone
                return
            self._keys.press(data)
