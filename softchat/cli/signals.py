"""Signals that end or stop this process: what was begun is put in order, its terminal as it was.

Knows nothing of what is begun.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from softchat.base.waiting import writable

if sys.platform != "win32":
    import termios

_NAMES = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")  # the third is Ctrl-\\
_ENDING = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_SOON_S = 0.02
_PATIENCE_S = 5.0  # what is put in order on the way out takes far less

DUMB = {"", "dumb", "unknown"}
"""Values of TERM where no escape is understood."""
_SHOW_CURSOR = b"\x1b[?25h"


class Ended(BaseException):
    """This process is to end: terminals are given back on the way out, sessions written."""


@contextmanager
def in_order() -> Iterator[None]:
    """A signal that ends the process raises `Ended` in here, and it ends of that signal behind it.

    However it comes out of here, and while it is stopped (Ctrl-Z), its terminal is as before,
    if it was in front then and is now: that is more than whoever draws there can see to, as a
    signal may come at any moment of the drawing. A second signal ends it at once, with the terminal
    as the first has left it; of SIGKILL nobody hears. Behind here Ctrl-C does nothing.
    """
    terminal = _Terminal()
    ending = _Ending(terminal)
    keys = _CtrlC()
    if hasattr(signal, "SIGTSTP") and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, terminal.stop)
    try:
        keys.listen()
        ending.listen()
        yield
    except BaseException:
        keys.leaving = True
        if not ending.number:
            flush()  # or what hides the cursor may come behind what shows it
        terminal.restore()
        raise
    else:
        keys.leaving = True
        drawn = "rich.live" in sys.modules  # a Ctrl-C may have ended what shows the cursor again
        if drawn:
            flush()
        terminal.restore(cursor=drawn)
    finally:
        keys.leaving = True
        with suppress(Ended):
            _end_at_once()
        if ending.number:  # whatever has become of `Ended` since
            ending.die()


def flush() -> None:
    """Have written what was printed, as far as there is somebody to take it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError, RuntimeError):  # it has been told of
            stream.flush()


class _CtrlC:
    """What Ctrl-C does where nobody else listens: KeyboardInterrupt, until all is over."""

    def __init__(self) -> None:
        self.leaving = False

    def listen(self) -> None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
            signal.signal(signal.SIGINT, self._press)

    def _press(self, _number: int, frame: FrameType | None) -> None:
        if not self.leaving and not _is_heard(frame):
            raise KeyboardInterrupt


def _is_heard(frame: FrameType | None) -> bool:
    """Whether one before is being heard of here, by the hook for what native code swallows."""
    hook = getattr(sys.unraisablehook, "__code__", None)
    while frame is not None and frame.f_code is not hook:
        frame = frame.f_back
    return frame is not None


class _Ending:
    """Whether a signal is to end this process, and how it does."""

    def __init__(self, terminal: _Terminal) -> None:
        self.number = 0
        self._terminal = terminal
        self._swallowed: BaseException | None = None

    def listen(self) -> None:
        before = sys.unraisablehook

        def again(what: sys.UnraisableHookArgs) -> None:
            # Native code that has called back swallows what is raised there: once more, outside.
            if isinstance(what.exc_value, Ended | KeyboardInterrupt) and hasattr(signal, "SIGALRM"):
                self._swallowed = what.exc_value
                signal.signal(signal.SIGALRM, self._wake)
                _wake_in(_SOON_S)
            elif getattr(what.object, "__qualname__", "") == "BaseEventLoop.__del__":
                pass  # a Ctrl-C has left it half made
            elif not self.number:  # else it may be that two came at once, which Python tells of
                before(what)

        sys.unraisablehook = again
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self._end)

    def _end(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.number = number
        self._terminal.restore()
        _end_at_once()  # at the second one
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, self._wake)
        _wake_in(_PATIENCE_S)
        raise Ended(number)

    def _wake(self, _number: int, _frame: FrameType | None) -> NoReturn:
        if self._swallowed is None:
            self.die()
        swallowed, self._swallowed = self._swallowed, None
        _wake_in(_PATIENCE_S if self.number else 0)
        raise swallowed

    def die(self) -> NoReturn:
        """End of the signal, as whoever waits for this process expects."""
        _wake_in(0)
        self._terminal.restore()
        signal.signal(self.number, signal.SIG_DFL)
        os.kill(os.getpid(), self.number)
        os._exit(128 + self.number)  # where the signal is blocked


def _end_at_once() -> None:
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _wake_in(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


class _Terminal:
    """The terminal of this process, if it has one, as it is now.

    One that has others in front is not ours yet: whatever they have made of it is not told from
    what it was before them, so nothing is restored.
    """

    def __init__(self) -> None:
        found = next(filter(os.isatty, (2, 1, 0)), -1)
        self._descriptor = -1 if found < 0 else os.dup(found)  # which may become another file
        self._modes = self._get() if self._in_front() else None

    def restore(self, *, cursor: bool = True) -> None:
        """Have it so again, if it is ours to change, with a `cursor`. Waits for nobody."""
        if self._modes is None or not self._in_front():
            return
        self._set(self._modes)
        if cursor and os.environ.get("TERM", "") not in DUMB:
            with suppress(OSError):
                # One that is held (Ctrl-S) takes nothing; one that is slow does soon.
                if writable(self._descriptor, within_s=_SOON_S):
                    os.write(self._descriptor, _SHOW_CURSOR)

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Stop as the signal says; what was set here is set again by `fg`."""
        modes = self._get()
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # and here it stands
        signal.signal(number, self.stop)
        if modes is not None and self._in_front():
            self._set(modes)

    def _in_front(self) -> bool:
        if sys.platform == "win32":
            return False
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # it has gone, or there is none
            return False

    def _get(self) -> list[Any] | None:
        if sys.platform == "win32" or self._descriptor < 0:
            return None
        try:
            return termios.tcgetattr(self._descriptor)
        except (OSError, termios.error):
            return None

    def _set(self, modes: list[Any]) -> None:
        if sys.platform != "win32":
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, modes)


def end_with_reader() -> None:
    """End when whoever reads stdout has gone (`| head -c 1`), whatever is being done then."""
    if sys.platform == "win32":
        return
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # no real stream
        return
    poll = select.poll()
    poll.register(descriptor, 0)  # that nobody reads is always told

    def wait() -> None:
        if any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll()):
            os._exit(1)

    with suppress(RuntimeError):  # too little memory for one more thread
        threading.Thread(target=wait, name="reader", daemon=True).start()
