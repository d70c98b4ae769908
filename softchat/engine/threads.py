"""How many threads suit this machine now. Knows nothing of models."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FAR = 4.0  # times the fastest decode of as many rows: far slower
_SLOW_S = 0.2  # what is shorter nobody waits for, and a busy moment makes any of it far slower
_ROW = 3  # such decodes one after another
_MINUTE_S = 60.0  # until the load, a mean of the last minute, knows of what began now
_STEPS = 16  # rows of one decode, at the most, that are steps of as many runs at once


def default_threads() -> int:
    """The cores that are free now, one at the least; on a machine that is not busy, all.

    Threads wait for one another at each of a step's hundreds of operations. If another program has
    the core of one, all wait: on two cores with a load of 14 to 17, a question took 13 and 15 s
    with one thread, and was not answered in 200 s with two. At a load of 16 to 18, one core held by
    a training, a decode took 50 to 100 times longer with two threads than with one.
    """
    every = cores()
    return max(1, every - busy_cores(every))


class Threads:
    """How many threads a model has that was given no number: fewer once others make them slow.

    A decode that takes far longer than the fastest one, three times in a row, tells of it at once,
    where the load tells a minute later. On two cores at a load of 8 to 11, a decode took 13 to 28
    times longer with two threads than with one (medians of six decodes, four pairs in turn).

    Fewer threads give other last digits: from 512 positions on flash attention adds up by threads.
    So nothing changes where nothing is slow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.number = self._most = default_threads()
        """That suit now."""
        self._clock = clock
        self._hold_until = 0.0
        self._fastest_s: dict[int, float] = {}  # by rows
        self._far = 0  # decodes in a row that were far slower

    def after(self, rows: int, elapsed_s: float) -> None:
        """Take down that a decode of so many rows took so long; `number` may be another then."""
        if rows > _STEPS:  # a prompt, so a run begins
            self._far = 0
            if self.number < self._most and self._clock() >= self._hold_until:
                self.number = max(self.number, min(self._most, default_threads()))
            return
        fastest_s = self._fastest_s[rows] = min(elapsed_s, self._fastest_s.get(rows, elapsed_s))
        self._far = self._far + 1 if elapsed_s > max(_FAR * fastest_s, _SLOW_S) else 0
        if self._far >= _ROW and self.number > 1:
            self._far = 0
            every = cores()
            free = max(1, every - running(every))
            if free < self.number:
                self.number, self._hold_until = free, self._clock() + _MINUTE_S


def cores() -> int:
    """The cores this process may use: hyperthreads once, on Apple chips the fast cores only.

    A second thread on a core adds nothing to what is bound by memory, and one that waits for a slow
    core holds all the others up.
    """
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "hw.perflevel0.physicalcpu"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if answer.strip().isdigit():
            return max(1, int(answer))
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings_of = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings_of.add(siblings.read_text())
        except OSError:
            return len(allowed)
    return len(siblings_of)


def busy_cores(every: int) -> int:
    """How many of so many cores other programs want; 0 unless all of them are in use.

    The load of the last minute alone may be of runs that are over, and what runs at this moment may
    be gone at the next: both have to say so.
    """
    return running(every) if load() > every else 0


def running(every: int) -> int:
    """How many of so many cores other programs want at this moment."""
    try:
        all_of_them = Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[0]
        others = int(all_of_them) - _own()
    except (OSError, ValueError, IndexError):
        others = int(load())  # not Linux: only the load is known
    return min(every, max(0, others))


def _own() -> int:
    """Threads of this process that run now, or want to: llama.cpp's wait for work by running."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended
            stat = (task / "stat").read_text("ascii", "replace")
            count += stat.rpartition(") ")[2].startswith("R")
    return count


def load() -> float:
    """Programs that ran or wanted to, on the mean of the last minute; 0 where nobody counts."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        return 0.0


def is_in_use() -> bool:
    """Whether other programs want more than half of the cores: then nothing is as fast as it is."""
    return load() > cores() / 2


def busy_now_note(threads: int) -> str:
    """What to say where a model that was loaded with so many threads, by default, may get fewer."""
    now = default_threads()
    if now >= threads:
        return busy_note(threads)
    return (
        f"this machine is busy now (load {load():.0f}, cores {cores()}): where that makes it far "
        f"slower, it goes on with fewer threads than {threads}, unless --threads"
    )


def busy_note(threads: int) -> str:
    """What to say of a model that is run with so many threads; nothing if those are all."""
    every = cores()
    if threads >= every:
        return ""
    used = "1 thread" if threads == 1 else f"{threads} threads"
    return f"this machine is busy (load {load():.0f}, cores {every}): {used}, unless --threads"
