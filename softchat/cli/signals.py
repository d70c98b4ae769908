"""SIGTERM and SIGHUP: what was begun is put in order, then the process ends of the signal."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_SOON_S = 0.02
_AGAIN_S = 2.0  # what is put in order on the way out takes far less


class Ended(BaseException):
    """This process is to end: terminals are given back on the way out, sessions written."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_in_order() -> None:
    """Have these signals raise `Ended` where the program is; the second one ends it at once."""
    before = sys.unraisablehook

    def again(what: sys.UnraisableHookArgs) -> None:
        # Native code that has called back swallows what is raised there: once more, outside of it.
        if not isinstance(what.exc_value, Ended):
            before(what)
        elif hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _SOON_S)

    sys.unraisablehook = again
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    for each in _ENDING:
        signal.signal(each, signal.SIG_DFL)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: _end(number, None))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    raise Ended(number)


def die_of(ended: Ended) -> NoReturn:
    """End of the signal, as whoever waits for this process expects."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(ended.number, signal.SIG_DFL)
    os.kill(os.getpid(), ended.number)
    sys.exit(128 + ended.number)  # where the signal is blocked


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

    threading.Thread(target=wait, name="reader", daemon=True).start()
