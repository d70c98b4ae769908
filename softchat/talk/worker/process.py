"""A worker process as its parent sees it: started, asked, stopped; and when it dies, of what.

It is started by exec, not by a fork, so it has nothing of the parent's memory; in a session of its
own, so no key of the terminal reaches it; and with those variables only that it needs.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from softchat.base.text import one_line, printable
from softchat.errors import UsageError, WorkerDiedError
from softchat.events import Event, Step, from_dict
from softchat.talk.worker.wire import error_of, write_line

COMMAND = [sys.executable, "-P", "-c", "from softchat.talk.worker.serve import main; main()"]
_PASSED_ON = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "XDG_CACHE_HOME"),
    *("PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
}
_PASSED_ON_BY_BEGINNING = (
    *("LC_", "DYLD_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "GGML_", "LLAMA_"),
    *("CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "ROCM_", "VK_", "MTL_", "SYCL_", "ONEAPI_"),
)
_ON, _OFF = {"", "1", "on", "yes", "true"}, {"0", "off", "no", "false"}
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD")  # in a name: never passed on
_LOOK_MS = 10  # how soon a Ctrl-C is told to the worker
# Steps are read in lots. To wake for each of them takes a core from the model for 0.2 ms a step.
_LOT_S = 0.02
_LOT = 4096  # bytes; where more has come meanwhile, the model is so small that it would be held up
NOT_STOPPED = "did not stop when it was told to"
_PATIENCE_S = 2.0  # for a worker to end that has closed its wire
_AHEAD = 16384  # bytes, some 40 steps: how far it runs on while its parent is slow, or stopped
_KEPT = 4096  # bytes of what native code has printed
_CHUNK = 65536  # bytes that are read at once
_LONGEST = 300  # characters of a native message


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker: of these what it needs, and where softchat is."""
    passed = {
        name: value
        for name, value in environ.items()
        if (name in _PASSED_ON or name.startswith(_PASSED_ON_BY_BEGINNING))
        and not any(word in name for word in _SECRET)
    }
    # An abort would start a debugger. And the same modules in the same order as here.
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return passed | {"GGML_NO_BACKTRACE": "1", "PYTHONPATH": paths}


def is_isolated(environ: Mapping[str, str]) -> bool:
    """Whether models are loaded in workers: not on Windows, nor with SOFTCHAT_WORKER=0, or off.

    Raises:
        UsageError: the variable has another value.

    """
    said = environ.get("SOFTCHAT_WORKER", "")
    meant = said.strip().lower()
    if meant not in _ON | _OFF:
        raise UsageError(
            f"SOFTCHAT_WORKER is {one_line(said)}, neither on nor off",
            hint="SOFTCHAT_WORKER=0 does without a worker",
        )
    return os.name == "posix" and meant not in _OFF


class Worker:
    """One worker process, which imports what it needs while its parent does other things.

    Raises:
        WorkerDiedError: the system starts no other process.

    """

    def __init__(self) -> None:
        self.model = ""
        """The file that it has, or tries to load; empty for none yet."""
        self.grace_s: float | None = None
        """Whoever does not stop within so many seconds after being told is ended; None: never."""
        self.used = 0
        """Positions that its model's memory holds."""
        self._death: WorkerDiedError | None = None
        self._asked = self._done = self._stopped = 0  # numbers of requests
        self._lines: deque[bytes] = deque()
        self._rest = b""  # the beginning of a line
        self._at_once = True  # whether what comes next is to be seen when it comes
        self._last_read = 0  # bytes
        self._printed = b""
        self._process = _started()
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin and stdout and stderr  # noqa: PT018  # as it was asked for
        self.pid = self._process.pid
        self._down, self._up, self._print = stdin.fileno(), stdout.fileno(), stderr.fileno()
        self._ready = select.poll()
        self._ready.register(self._up, select.POLLIN)
        self._ready.register(self._print, select.POLLIN)

    def check(self) -> None:
        """Raise WorkerDiedError if the process has ended."""
        if self._death is None and self._process.poll() is not None:
            self._died()
        if self._death is not None:
            raise self._death

    def request(
        self,
        do: str,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        answer_now: Callable[[], bool] = lambda: False,
        keys: Callable[[], str] | None = None,
        **values: object,
    ) -> Generator[Event, None, Any]:
        """Have something done: the events of a run, then the result.

        Raises:
            WorkerDiedError: the process has ended.
            SoftchatError: what the worker raised.

        """
        self.check()
        self._asked += 1
        number = self._asked
        self._at_once = True
        self._answer_now: Callable[[], bool] | None = answer_now
        self._keys = keys
        try:
            self._send({"do": do, "number": number, **values})
            while True:
                message = self._next(number, cancelled)
                if "done" in message:
                    self._done = message["done"]
                    if self._done == number:
                        return self._result(message)
                elif self._done == number - 1:  # else of a run that nobody looks at any more
                    event = from_dict(message)
                    self._at_once = not isinstance(event, Step)
                    yield event
        except GeneratorExit:
            self._stop(number)
            raise
        except ValueError as error:
            self.close()
            self._death = WorkerDiedError(f"the worker sent what is no event: {error}")
            raise self._death from error
        except KeyboardInterrupt:  # the second: nobody waits for it to stop
            self.close()
            raise

    def call(
        self, do: str, *, cancelled: Callable[[], bool] = lambda: False, **values: object
    ) -> Any:  # noqa: ANN401  # as the request has it
        """Have something done that has no events. Raises as `request`."""
        request = self.request(
            do, cancelled=cancelled, answer_now=lambda: False, keys=None, **values
        )
        while True:
            try:
                next(request)
            except StopIteration as end:
                return end.value

    def close(self) -> None:
        """End the process, whatever it does: it has nothing that is not here too."""
        if self._death is None:
            self._death = WorkerDiedError("the worker was closed")
        self._process.kill()
        self._process.wait()
        self._let_go()

    # -- the wire --------------------------------------------------------------------------------

    def _send(self, message: dict[str, object]) -> None:
        try:
            write_line(self._down, message)
        except BrokenPipeError:
            raise self._died() from None

    def _stop(self, number: int) -> None:
        if self._stopped < number and self._death is None:
            self._stopped = number
            with suppress(WorkerDiedError):  # whoever waits for an answer sees it
                self._send({"stop": number})

    def _next(self, number: int, cancelled: Callable[[], bool]) -> dict[str, Any]:
        """The next message."""
        while True:
            if self._stopped < number and cancelled():
                self._stop(number)
            if self._answer_now is not None and self._answer_now():
                self._answer_now = None
                self._send({"answer": number})
            while self._keys is not None and (key := self._keys()):
                self._send({"key": key, "of": number})
            if self._death is not None:
                raise self._death
            if self._lines:
                message = json.loads(self._lines.popleft())
                if not isinstance(message, dict):
                    raise ValueError("no object")
                return message
            if not self._at_once and self._stopped < number and self._last_read < _LOT:
                time.sleep(_LOT_S)
            if self._stopped < number:
                self._read(_LOOK_MS)
            elif not self._read(None if self.grace_s is None else int(self.grace_s * 1e3)):
                self.close()
                self._death = WorkerDiedError(f"the worker {NOT_STOPPED}")

    def _read(self, timeout_ms: int | None) -> bool:
        """Take in what has come, if anything has within this time."""
        ready = self._ready.poll(timeout_ms)
        for descriptor, _ in ready:
            data = os.read(descriptor, _CHUNK)
            if descriptor == self._print:
                self._printed = (self._printed + data)[-_KEPT:]
                if not data:
                    self._ready.unregister(descriptor)
            elif data:
                self._last_read = len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                self._lines.extend(lines)
            else:
                raise self._died()
        return bool(ready)

    def _result(self, message: dict[str, Any]) -> Any:  # noqa: ANN401  # as the request has it
        self.used = message["used"]
        if "error" in message:
            raise error_of(message["error"])
        if "bug" in message:
            raise RuntimeError("in the worker:\n" + printable(message["bug"]))
        return message["result"]

    # -- its death -------------------------------------------------------------------------------

    def _died(self) -> WorkerDiedError:
        """What it died of."""
        try:
            status = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._drain()
        self._let_go()
        self._death = death(status, self._printed, model=self.model)
        return self._death

    def _drain(self) -> None:
        # A child of it may still hold the other end: it is not waited for.
        until = time.monotonic() + _PATIENCE_S
        with suppress(OSError):
            os.set_blocking(self._print, False)
            while time.monotonic() < until and (data := os.read(self._print, _CHUNK)):
                self._printed = (self._printed + data)[-_KEPT:]

    def _let_go(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _started() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pipesize=_AHEAD,
            env=environment(os.environ),
            start_new_session=True,
        )
    except OSError as error:
        raise WorkerDiedError(
            f"no process can be started: {error.strerror}",
            hint="close other programs; with SOFTCHAT_WORKER=0 none is needed",
        ) from error


def death(
    status: int, printed: bytes, *, model: str = "", who: str = "the worker"
) -> WorkerDiedError:
    """What a process died of that native code runs in.

    Args:
        status: what it ended with; below 0 the signal.
        printed: what native code has printed.
        model: the file that it had, or tried to load; empty for none.
        who: has ended, if it was of no signal.

    """
    on = f" on {one_line(Path(model).name)}" if model else ""
    said = _last(printed)
    last = f": {said}" if said else ""
    if status < 0:
        with suppress(ValueError):  # a number that has no name
            name = signal.Signals(-status).name
            return WorkerDiedError(f"llama.cpp died of {name}{on}{last}", hint=_hint(-status))
    return WorkerDiedError(f"{who} ended with status {status}{on}{last}")


def _last(printed: bytes) -> str:
    """The last line of what native code has printed, without the folders of its source."""
    line = printed.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return one_line(re.sub(r"^\S*/(?=[^/\s]+:\d+: )", "", line))[:_LONGEST]


def _hint(number: int) -> str:
    if number == signal.SIGKILL:
        return "the system may have run out of memory; a smaller --ctx needs less"
    return (
        "the file may be damaged, or llama.cpp at fault; 'softchat doctor' has what a report needs"
    )
