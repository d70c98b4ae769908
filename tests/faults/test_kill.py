"""kill -9 while sessions and traces are written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from softchat.record.session_file import SessionFile
from softchat.talk.conversation import Turn
from tests.faults.kill import Content
from tests.faults.soak import times


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_only_the_last_line_is_torn(tmp_path):
    """Every turn that was safe is there, every file can be read, at most one line is cut off."""
    count = times(10, 200)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill", str(count), str(tmp_path)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == count
    print(sum(" 1 torn" in line for line in lines), "of", count, "traces had a torn line")


def test_what_killed_writers_left_half_written_goes(tmp_path):
    """A day later, when the next session begins; what another is writing now stays."""
    old, new = tmp_path / ".tmp-old", tmp_path / ".tmp-new"
    old.write_text("what somebody said")
    new.write_text("")
    os.utime(old, (0, 0))
    saved = SessionFile(tmp_path)
    saved.write(Content([Turn(question="q", answer="a", settings={})]))
    saved.close(Content())
    assert new.exists()
    assert not old.exists()
