"""A small child process that answers a line with a line, and that is ended when it takes too long.

For what a stranger's text can make endless: rendering a chat template, matching a regular
expression. The child keeps the limits itself as far as the system has them (see
`softchat.base.limits`); the time by the clock and the length of an answer are bounded from here.
Knows nothing of what is asked.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

CPU_S = 1.0
"""Seconds of processor time that an answer may take…"""
WALL_S = 10.0
"""…and by the clock, for where a machine is busy, or has no such limit."""
MEMORY = 256 * 2**20
"""Bytes that it may have beside those that it begins with."""
_READY_S = 60.0  # for it to start, which takes a while on a busy machine
_LONGEST_LINE = 2**25  # bytes
_COMMAND = [sys.executable, "-S", "-P", "-c"]
_PASSED_ON = ("TZ", "TZDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")


class ChildError(Exception):
    """No process can be started."""


class Child:
    """A process that is started when it is first needed, and again where it has ended.

    Args:
        module: what runs in it; its `main` calls `softchat.base.limits.serve`.
        cpu_s: seconds of processor time for each answer.
        arguments: more for `main` to find in `sys.argv`, from the fourth on.

    """

    def __init__(self, module: str, *, cpu_s: float = CPU_S, arguments: Sequence[str] = ()) -> None:
        self._module, self._cpu_s, self._arguments = module, cpu_s, arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._lock = threading.Lock()
        _children.add(self)

    def start(self) -> None:
        """Start it now, so that it imports what it needs while others do something else."""
        with self._lock, suppress(ChildError):  # said when it is needed
            self._start()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """What it answers; None if it reaches a limit, or ends.

        Raises:
            ChildError: there is no process to ask.

        """
        line = json.dumps(request).encode("ascii") + b"\n"
        with self._lock:
            answer = None
            try:
                self._start()
                if not self._is_ready and self._exchange(b"", _READY_S) is None:
                    raise ChildError("the system lets no other process start")
                self._is_ready = True
                answer = self._exchange(line, WALL_S)
            finally:
                if answer is None:
                    self._end()
        return answer

    def close(self) -> None:
        """End it."""
        with self._lock:
            self._end()

    def __del__(self) -> None:
        self._end()

    def forget(self) -> None:
        """Behind a fork: it is another's child."""
        self._lock = threading.Lock()
        self._process, self._is_ready = None, False

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                [
                    *_COMMAND,
                    f"from {self._module} import main; main()",
                    str(self._cpu_s),
                    str(MEMORY),
                    *self._arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=passed | {"PYTHONPATH": module_paths()},
                start_new_session=True,
            )
        except OSError as error:
            raise ChildError(f"no process can be started: {error.strerror}") from error

    def _exchange(self, line: bytes, seconds: float) -> dict[str, Any] | None:
        """What it says to this; None if it ends instead, by itself or as it takes so long."""
        process = self._process
        assert process is not None and process.stdin and process.stdout  # noqa: PT018
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline(_LONGEST_LINE)
        except BrokenPipeError:
            return None
        finally:
            timer.cancel()
        return json.loads(answer) if answer.endswith(b"\n") else None

    def _end(self) -> None:
        process, self._process, self._is_ready = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):  # it has not read all that was written
                if stream is not None:
                    stream.close()


def module_paths() -> str:
    """Where this process finds its modules, for another's PYTHONPATH."""
    try:
        here = os.getcwd()  # noqa: PTH109  # Path.cwd is slower by an import
    except OSError:  # the folder is gone
        here = os.sep
    return os.pathsep.join(path or here for path in sys.path)


_children: WeakSet[Child] = WeakSet()


def _close_all() -> None:
    for child in list(_children):
        child.close()


def _forget_all() -> None:
    for child in list(_children):
        child.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
