"""GGUF files that are damaged or made to do harm: an error of one line or a run, never more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests import zoo
from tests.faults.soak import times

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory")


def test_mutated_models(tmp_path):
    """Flips, cuts, absurd lengths, dimensions, types, places, names, tokens, weights: `ask`,
    `models info`, `models add` and `doctor` end in time and memory, with status 0, 1 or 3.
    """
    count = times(32, 500)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.mutants", "0", str(count), str(tmp_path)],
        capture_output=True, text=True, timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    tried = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(tried) == count
    assert [one for one in tried if one["faults"]] == []
    ends = Counter(one["ends"]["ask Why?"][0] for one in tried)
    died = sum("llama.cpp died" in one["ends"]["ask Why?"][1] for one in tried)
    print(f"{dict(ends)} of {count} asked, of which {died} killed llama.cpp;")
    print(f"{max(one['memory'] for one in tried) / 1e6:.0f} MB at the most")
    assert died > 0  # or the tokens of the same text were none
    assert ends[0] > 0


@pytest.mark.parametrize("command", [("ask", "Why?", "-m"), ("models", "info")])
def test_a_header_that_tells_of_four_billion_parts(environ, tmp_path, command):
    """It is refused at the first that is missing: nobody looks for the others."""
    file = zoo.write(tmp_path / "many.gguf", "llama", **{"split.count": 2**32 - 1})
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.limited", "AS", str(1 << 30), *command, str(file)],
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "a part of the model is missing: many.gguf-00001-of-4294967295.gguf" in done.stderr
