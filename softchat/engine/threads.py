"""How many threads suit this machine. Knows nothing of models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def default_threads() -> int:
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
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:
            return len(allowed)
    return len(cores)
