"""What runs in a child process (see `softchat.base.child`): a line in, a line out, within limits.

The system ends it when an answer takes more processor time than it may, and refuses it memory; it
can open no file and no connection. Of these, Windows has none, and macOS no limit of memory.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from softchat.base.waiting import wake_with

if sys.platform != "win32":
    import resource


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the process that started this one, until that ends. All must be imported before."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent knows what is to be stopped
    wake_with(0)
    _lower_limits(memory)
    _send({})  # ready
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _set_timer(seconds)
        _send(answer(request))
        _set_timer(0)


def _send(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode("ascii") + b"\n")
    sys.stdout.buffer.flush()


def _set_timer(seconds: float) -> None:
    """End this process after so much processor time; 0: never."""
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _lower_limits(memory: int) -> None:
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS takes the limit, and does not keep to it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    _lower(resource.RLIMIT_NOFILE, 0)


def _lower(limit: int, value: int) -> None:
    if sys.platform != "win32":
        hard = resource.getrlimit(limit)[1]
        if hard == resource.RLIM_INFINITY or value < hard:
            resource.setrlimit(limit, (value, value))
