"""How many threads suit this machine now. Knows nothing of models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from softchat.errors import UsageError

MOST_THREADS = 1024  # of many thousands llama.cpp ends the process
_FEW = 64  # that are taken on any machine; 256 on two busy cores took half a minute
_A_CORE = 4


def default_threads() -> int:
    """The cores that are free now, one at the least; on a machine that is not busy, all.

    Threads wait for one another at each of a step's hundreds of operations. If another program has
    the core of one, all wait: on two cores with a load of 14 to 17, a question took 13 and 15 s
    with one thread, and was not answered in 200 s with two. At a load of 16 to 18, one core held by
    a training, a decode took 50 to 100 times longer with two threads than with one.
    """
    every = cores()
    return max(1, every - busy_cores(every))


def refuse_many(threads: int) -> None:
    """Raise UsageError if these are so many more than the cores that they only wait."""
    if threads > _FEW and threads > (most := max(_FEW, _A_CORE * cores())):
        raise UsageError(
            f"{threads} threads are too many for the {cores()} cores of this machine",
            hint=f"at most {most}; 0: one a core",
        )


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
    if load() <= every:
        return 0
    try:
        running = int(Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        running = int(load())  # not Linux: only the load is known
    return min(every, max(0, running))


def load() -> float:
    """Programs that ran or wanted to, on the mean of the last minute; 0 where nobody counts."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        return 0.0


def is_in_use() -> bool:
    """Whether other programs want more than half of the cores: then nothing is as fast as it is."""
    return load() > cores() / 2


def busy_now_note(loaded_with: int) -> str:
    """What to say of a model that was loaded with so many threads, by default; mostly nothing."""
    now = default_threads()
    if now >= loaded_with:
        return busy_note(loaded_with)
    return (
        f"this machine is busy now (load {load():.0f}, cores {cores()}): "
        f"/set threads {now} may be faster"
    )


def busy_note(threads: int) -> str:
    """What to say of a model that is run with so many threads; nothing if those are all."""
    every = cores()
    if threads >= every:
        return ""
    used = "1 thread" if threads == 1 else f"{threads} threads"
    return f"this machine is busy (load {load():.0f}, cores {every}): {used}, unless --threads"
