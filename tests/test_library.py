"""The programs of docs/library.md, as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "library.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
SHORT = "[models.smollm2-135m.defaults]\nmax_think = 6\nmax_answer = 6\n"


def test_the_first_program_is_five_lines():
    """A blank one aside."""
    assert len(PROGRAMS[0].split("\n\n")) == 2
    assert len([line for line in PROGRAMS[0].splitlines() if line]) <= 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_documented_program_runs(environ, tmp_path, program):
    """Verbatim, on the real model, which is told to be brief; no warning is given."""
    (tmp_path / "models.toml").write_text(SHORT)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environ | {"SOFTCHAT_MODELS": str(tmp_path / "models.toml")},
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_star_imports_what_is_documented():
    """What `from softchat import *` gives is what the package lists."""
    names: dict[str, object] = {}
    exec("from softchat import *", names)  # it can't stand in a function
    assert {"load", "Model", "Settings", "TraceWriter", "replay", "Conversation"} <= names.keys()
