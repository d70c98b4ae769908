"""Many softchats one after another, each in a process of its own that begins where this one is.

One that has imported everything is forked for each: that is sooner done than to begin at the
beginning. It must have no threads yet, so this is for programs of their own, not for a pytest that
has run other tests.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import softchat.cli.app
import softchat.cli.model
import softchat.engine.describe  # noqa: F401  # what each of them would import
from softchat.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended."""

    status: int
    """Its exit status; negative: the signal that killed it."""
    hung: bool
    """Whether it had to be killed, as its time was over."""
    err: str
    seconds: float
    memory: int
    """Bytes that were resident at the most, of it or of what it started."""

    @property
    def fault(self) -> str:
        """What must never happen, in a word; empty for an error of one line, or a run."""
        lines = self.err.splitlines()
        if self.hung:
            return "hung"
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        if "Traceback" in self.err:
            return "a traceback"
        if self.status not in (0, 1, 3):
            return f"status {self.status}"
        if self.status and self.err and not lines[0].startswith("error: "):
            return "something before the error"
        if len(lines) > 2:
            return "more than an error and a hint"
        return ""


def run(arguments: Sequence[str], folder: Path, *, seconds: float, memory: int) -> Ended:
    """`softchat` with these arguments, in this folder, in so much time and memory.

    Args:
        arguments: after the program's name.
        folder: where it runs.
        seconds: it is killed then.
        memory: bytes of address space that each of its processes has at the most.

    """
    said = folder / "stderr"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(arguments, folder, said, memory)
    ended = os.pidfd_open(child)
    hung = not select.select([ended], [], [], seconds)[0]
    os.close(ended)
    if hung:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return Ended(
        status=os.waitstatus_to_exitcode(status),
        hung=hung,
        err=said.read_text(encoding="utf-8", errors="replace"),
        seconds=time.monotonic() - began,
        memory=usage.ru_maxrss * 1024,
    )


def _become(arguments: Sequence[str], folder: Path, said: Path, memory: int) -> None:
    os.setsid()  # whatever it starts can be killed with it
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for number, name in ((0, os.devnull), (1, os.devnull), (2, str(said))):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags, 0o600), number)
    sys.argv = ["softchat", *arguments]
    status = 70
    try:
        main()
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    except BaseException:  # noqa: BLE001  # as Python would end: it must not go on in the forker's code
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)
