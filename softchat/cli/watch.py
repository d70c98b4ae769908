"""A model in softchat's own process, for speed; and a second process, which tells of its death.

Commands that have many runs ask no worker for each step. What native code does to the process that
it runs in, an abort or worse, that process can't tell of: so softchat forks before it has imported
anything, and is its own child from there on. The parent waits, hands on what others send it, and
knows how the child has ended, and what native code has printed last.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from softchat.cli.default import holds_model
from softchat.cli.signals import DUMB
from softchat.errors import SoftchatError

if TYPE_CHECKING:
    from softchat.talk.load import Load

_KEPT = 4096  # bytes of what native code has printed
_CHUNK = 65536  # bytes that are read at once
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_HEARS_S = 0.1  # until the child has got a signal that went to both
_GRACE_S = 20.0  # for the child to end of a signal, …
_SHORT_GRACE_S = 2.0  # … and of the second one: native code may wait for a server
_OF_KERNEL = 0x80  # si_code of what a key of the terminal sends
_CLEAR_LINE = "\r\x1b[K\x1b[?25h"  # of a bar that nobody has taken away, nor its hidden cursor

_told = -1  # where the child tells its parent what it does; below 0 nobody is told


def is_wanted(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether these arguments are of a command that loads a model in softchat's own process."""
    if sys.platform != "linux" or not holds_model(arguments, environ):
        return False
    from softchat.talk.worker.process import is_isolated

    return is_isolated(environ)


@contextmanager
def over(load: Load, *, resumes: bool = False) -> Iterator[None]:
    """What is done in here loads this model, and behind it the model is used. See `loading`."""
    loading(load, resumes=resumes)
    yield
    loaded()


def loading(load: Load, *, resumes: bool = False) -> None:
    """Tell that this model is loaded now; `resumes`: the same command goes on where it ended."""
    _tell({"load": load.to_dict(), "resumes": resumes})


def loaded() -> None:
    """Tell that the model is loaded, and used from now on."""
    _tell({"loaded": True})


@contextmanager
def last_words() -> Iterator[None]:
    """Whatever ends what is done in here, the parent knows whether it was Python that did."""
    try:
        yield
    except Exception as error:
        if _told >= 0 and not isinstance(error, SoftchatError) and (short := _shortage(error)):
            with suppress(OSError):
                sys.stdout.flush()
            os.write(2, short.encode())
            os._exit(1)  # as if native code had found it out
        raise
    finally:
        _tell({"left": True})


def _shortage(error: BaseException | None) -> str:
    """What Python says of too little memory, in a line; empty if it was something else."""
    from softchat.engine.shortage import is_shortage

    while error is not None:
        for line in f"{type(error).__name__}: {error}".splitlines():
            if is_shortage(line):
                return line
        error = error.__cause__ or error.__context__
    return ""


def _tell(what: dict[str, Any]) -> None:
    if _told >= 0:
        with suppress(OSError):  # the parent has gone, and this process with it
            os.write(_told, json.dumps(what).encode() + b"\n")


def fork() -> Watched | None:
    """The child, to be waited for; None in the child itself, and where there can be none."""
    assert sys.platform == "linux"  # see `is_wanted`
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stdout, stderr = sys.stdout, sys.stderr
    stdout.flush()
    stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = os.getpid()
    pipes: list[int] = []
    try:
        for _ in range(3):
            pipes += os.pipe()
        child = os.fork()
    except OSError:  # too many processes, or files: it does without
        for one in pipes:
            os.close(one)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    hears, tells, reads, prints, counts, gets = pipes
    for one in (tells, prints, gets) if child else (hears, reads, counts):
        os.close(one)
    if child:
        return Watched(child, hears, reads, counts)
    _become_child(parent, tells, prints, gets)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return None


def _become_child(parent: int, tells: int, prints: int, gets: int) -> None:
    """Have what native code prints go to the parent, and Python's own stderr where it went.

    Of each signal that it gets, the parent gets the number.
    """
    global _told  # noqa: PLW0603  # there is one process of this kind
    import ctypes
    import resource

    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what was said
    os.environ["GGML_NO_BACKTRACE"] = "1"  # an abort would start a debugger
    _told = tells
    os.set_blocking(gets, False)
    signal.set_wakeup_fd(gets, warn_on_full_buffer=False)
    before = sys.stderr
    sys.stderr = os.fdopen(
        os.dup(2), "w", buffering=1, encoding=before.encoding, errors=before.errors
    )
    _streams.append(before)
    os.dup2(prints, 2)
    os.close(prints)


_streams: list[Any] = []  # to close them would close what they once were
_FORWARDED = {signal.SIGINT, signal.SIGTERM}
_KEYS = {signal.SIGINT}
_ENDING = {signal.SIGINT, signal.SIGTERM}
_SIGNALS: set[signal.Signals] = set()
if sys.platform == "linux":
    _FORWARDED |= {signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP}
    _KEYS |= {signal.SIGTSTP}
    _ENDING |= {signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
    _SIGNALS = {*_FORWARDED, signal.SIGCHLD, signal.SIGIO}


class Watched:
    """The child as its parent sees it.

    Args:
        child: its process.
        hears: where it tells what it does.
        reads: where native code prints.
        counts: where the numbers of signals come that the child has got.

    """

    def __init__(self, child: int, hears: int, reads: int, counts: int) -> None:
        assert sys.platform == "linux"
        import fcntl

        self._child = child
        self._hears, self._reads, self._counts = hears, reads, counts
        self._lines = self._printed = b""
        self._got: Counter[int] = Counter()
        """Signals that the child has got, less those that are known to be the same as ours."""
        self._ends_of = 0
        """The signal that it has been told to end of; 0: of none."""
        self._ends_at = float("inf")
        """Seconds of the monotonic clock: from then on it is not waited for."""
        for one in (hears, reads, counts):
            fcntl.fcntl(one, fcntl.F_SETOWN, os.getpid())  # SIGIO, when something has come
            fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

    def wait(self) -> int:
        """The exit status that the child has ended with. What ends it as a signal ends this, too.

        Raises:
            SoftchatError: native code has ended it.

        """
        assert sys.platform == "linux"
        while True:
            self._listen()
            ended, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if not ended:
                left = self._ends_at - time.monotonic()
                if left <= 0:
                    os.kill(self._child, signal.SIGKILL)
                    self._ends_at = float("inf")
                    continue
                came = signal.sigtimedwait(_SIGNALS, min(left, 3600))
                if came is not None:
                    self._bound(came.si_signo)
                    self._hand_on(came)
            elif os.WIFSTOPPED(status):
                os.kill(os.getpid(), signal.SIGSTOP)  # and here it stands, until both go on
                os.kill(self._child, signal.SIGCONT)
            else:
                self._listen()
                return self._ended(os.waitstatus_to_exitcode(status))

    def _bound(self, number: int) -> None:
        """Wait no longer than its grace for a child that this signal is to end."""
        if number in _ENDING:
            grace = _SHORT_GRACE_S if self._ends_of else _GRACE_S
            self._ends_at = min(self._ends_at, time.monotonic() + grace)
            self._ends_of = number

    def _hand_on(self, came: signal.struct_siginfo) -> None:
        """Send the child what came to this process alone.

        A key of the terminal comes to both, and so does what is sent to the group, as by `timeout`:
        a second one would end the child at once.
        """
        assert sys.platform == "linux"
        number = came.si_signo
        if number not in _FORWARDED:
            return
        # The sender's pid says less: that of one outside of a container is 0, too. And the kernel
        # tells the first process of a terminal alone that it has gone.
        if number not in _KEYS or came.si_code != _OF_KERNEL:
            self._listen()
            while self._got[number] < 1 and signal.sigtimedwait({signal.SIGIO}, _HEARS_S):
                self._listen()
            if self._got[number] < 1:
                os.kill(self._child, number)
        self._got[number] -= 1

    def _listen(self) -> None:
        """Take in what has come."""
        with suppress(BlockingIOError):
            while data := os.read(self._hears, _CHUNK):
                self._lines += data
        with suppress(BlockingIOError):
            while data := os.read(self._reads, _CHUNK):
                self._printed = (self._printed + data)[-_KEPT:]
        with suppress(BlockingIOError):
            while data := os.read(self._counts, _CHUNK):
                self._got.update(data)

    def _said(self) -> dict[str, Any]:
        """All that the child has told."""
        said: dict[str, Any] = {}
        for line in self._lines.splitlines():
            said |= json.loads(line)
        return said

    def _ended(self, status: int) -> int:
        assert sys.platform == "linux"
        said = self._said()
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if "left" in said and status >= 0:
            return status
        if -status in _FORWARDED:
            os.kill(os.getpid(), -status)
            return 128 - status
        if sys.stderr.isatty() and os.environ.get("TERM", "") not in DUMB:
            sys.stderr.write(_CLEAR_LINE)
        if status == -signal.SIGKILL and self._ends_of:
            sys.stderr.write(f"{_did_not_stop(said)}\n")
            sys.stderr.flush()
            os.kill(os.getpid(), self._ends_of)
            return 128 + self._ends_of
        raise _error(status, self._printed, said)


def _did_not_stop(said: Mapping[str, Any]) -> str:
    from softchat.talk.load import Load

    servers = Load.read(said["load"]).placement.servers if "load" in said else ()
    return "llama.cpp did not stop, and was ended" + (
        f": does {' or '.join(servers)} still answer?" if servers else ""
    )


def _error(status: int, printed: bytes, said: Mapping[str, Any]) -> SoftchatError:
    """What the child died of, in the words that are a worker's, too."""
    from softchat.engine.shortage import CLOSE, is_shortage
    from softchat.talk.load import Load
    from softchat.talk.worker.process import death
    from softchat.talk.worker.remote import in_use, while_loading

    load = Load.read(said["load"]) if "load" in said else None
    died = death(status, printed, model=str(load.path) if load else "", who="softchat")
    if load is None:
        if is_shortage(died.message):
            died.hint = CLOSE
        return died
    if "loaded" not in said:
        return while_loading(died, load)
    error = in_use(died, load)
    if said["resumes"]:
        error.hint += "; what there is, is kept: the same command goes on there"
    return error
