"""Memory of a session that goes on and on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.faults.memory import EVERY
from tests.faults.soak import times


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat(tmp_path):
    """Once caches and the context are full, no turn takes memory for good."""
    count = times(40, 2000)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.memory", str(count), str(tmp_path)],
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    resident = np.array(done.stdout.split(), float)
    assert len(resident) == count // EVERY
    turns = np.arange(len(resident)) * EVERY
    half = len(resident) // 2  # the context has been full by then
    slope = np.polyfit(turns[half:], resident[half:], 1)[0]
    print(f"{slope:.0f} bytes a turn, {resident[-1] / 1e6:.1f} MB after {count} turns")
    # Caches fill for a hundred turns: few turns show no more than the loss of something large, as
    # of a context (a megabyte); many show it of a single string.
    assert slope < times(300_000, 100)
