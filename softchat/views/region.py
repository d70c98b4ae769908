"""Lines on a terminal that are redrawn in place and can vanish without a trace.

Rich's own `Live` parks the cursor under its lines and climbs back up by their number, which is
wrong as soon as a narrower window has wrapped them: it then leaves half a display behind at each
resize. Here the cursor waits at the region's first cell: however a terminal wraps, cuts or moves
the lines on a resize, the region is what lies from the cursor down. And no repaint can scroll, as
tmux tells of a new size only a quarter of a second later. Knows nothing of events.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from rich.console import Console, RenderableType

if sys.platform != "win32":
    import termios

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
# A line that is too wide for a window that has just shrunk, or for a terminal that counts an emoji
# as wider than we do, must be cut, not wrapped: a frame has as many rows as lines.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
# Whole lines are erased, not their ends: tmux would go on to wrap the blanks of an erased end.
_ERASE_LINE, _BELOW = "\x1b[2K", "\x1b[J"
# Terminals that know this show the frame at once; the others skip it.
_HOLD, _RELEASE = "\x1b[?2026h", "\x1b[?2026l"
# Moving down does not scroll where a line break would, and the way back is a place, not a count.
_SAVE, _RESTORE, _NEXT_LINE = "\x1b7", "\x1b8", "\x1b[B\r"
# The blank is for tmux, which keeps what it erases from the top left cell down in its scrollback.
_WIPE = f"\r{_ERASE_LINE} {_BELOW}\r"


class LiveRegion:
    """The terminal, from the first `draw` to `erase`: no cursor, no echo of what is typed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._frame = ""
        self._size = (0, 0)
        self._rows = 0  # how many lines there is room for
        self._shown = False
        self._busy = False
        self._stop_wanted = False
        self._modes: list[Any] | None = None
        self._on_stop: Any = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal as it is now."""
        try:
            columns, lines = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):  # not a terminal: a recording, or a test
            columns = lines = 0
        return columns or self._console.width, lines or self._console.height

    def draw(self, renderable: RenderableType, *, above: RenderableType | None = None) -> None:
        """Replace what the region shows; nothing while the shell has us in the background.

        What is `above` it is written once, to stay: the region moves down below it.
        """
        settled = "" if above is None else self._captured(above) + "\n"
        if not self._in_front():
            self._write(settled)
            return
        self._frame = self._captured(renderable)
        self._busy = True
        try:
            if not self._shown:
                self._take()
            if settled:
                self._rows = 0  # there is no room yet below what is settled
                settled = f"{_HOLD}{_WIPE}{_ERASE_LINE}{settled}"
            self._write(settled + self._paint())
        finally:
            self._busy = False
        if self._stop_wanted:
            self._stop_wanted = False
            self._suspend()

    def erase(self) -> None:
        """Take the lines away and give the terminal back."""
        if self._shown:
            self._give_back()

    def _captured(self, renderable: RenderableType) -> str:
        with self._console.capture() as captured:
            self._console.print(renderable, end="", no_wrap=True, overflow="crop", soft_wrap=True)
        return captured.get()

    def _paint(self) -> str:
        size = self.size
        lines = self._frame.split("\n")[: max(1, size[1] - 1)]
        wipe = ""
        if size != self._size or len(lines) > self._rows:
            wipe = _WIPE + "\n" * (len(lines) - 1)  # this may scroll: it makes the room
            wipe += f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
            self._size, self._rows = size, len(lines)
        body = _NEXT_LINE.join(_ERASE_LINE + line for line in lines)
        return f"{_HOLD}{wipe}\r{_SAVE}{_NO_WRAP}{body}{_BELOW}{_RESTORE}{_WRAP}{_RELEASE}"

    def _take(self) -> None:
        self._shown = True
        self._rows = 0
        self._modes = self._get_modes()
        if self._modes is not None:
            quiet = [*self._modes]
            quiet[3] &= ~termios.ECHO  # what is typed would shift the lines
            quiet[3] |= termios.NOFLSH  # or Ctrl-C throws half a frame away, and its place is lost
            self._set_modes(quiet)
        if hasattr(signal, "SIGTSTP") and threading.current_thread() is threading.main_thread():
            self._on_stop = signal.signal(signal.SIGTSTP, self._stop_signal)
        self._write(_HIDE)

    def _give_back(self) -> None:
        self._shown = False
        try:
            self._write(f"{_WIPE}{_WRAP}{_SHOW}")
        finally:
            if self._modes is not None:
                self._set_modes(self._modes)
                self._modes = None
            if self._on_stop is not None:
                signal.signal(signal.SIGTSTP, self._on_stop)
                self._on_stop = None

    def _stop_signal(self, _signum: int, _frame: FrameType | None) -> None:
        if self._busy:  # in the middle of a frame: when it is done
            self._stop_wanted = True
        else:
            self._suspend()

    def _suspend(self) -> None:
        """Ctrl-Z: leave the shell a clean terminal, and come back with `fg`."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGTSTP)
        if self._in_front():
            self._take()
            self._write(self._paint())

    def _in_front(self) -> bool:
        if sys.platform == "win32":
            return True
        try:
            return os.tcgetpgrp(self._console.file.fileno()) == os.getpgrp()
        except (OSError, ValueError):  # not our terminal, or none
            return True

    def _get_modes(self) -> list[Any] | None:
        if sys.platform == "win32":
            return None
        try:
            return termios.tcgetattr(self._console.file.fileno())
        except (OSError, ValueError, termios.error):
            return None

    def _set_modes(self, modes: list[Any]) -> None:
        if sys.platform != "win32":
            termios.tcsetattr(self._console.file.fileno(), termios.TCSANOW, modes)

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
