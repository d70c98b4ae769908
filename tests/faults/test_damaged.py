"""A history or sessions that are damaged, folders, closed: told, and run without."""

from __future__ import annotations

import os
import random
import stat
import sys

import pytest

from softchat.record.session_format import SCHEMA
from softchat.record.sessions import find_killed, list_sessions
from softchat.repl.line import History
from tests.faults.soak import times

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and modes")


def below_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("")


def without_rights(path):
    path.touch(mode=0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read anything")


@pytest.mark.parametrize(
    "damage", [lambda path: path.mkdir(), os.mkfifo, below_a_file, without_rights]
)
def test_a_history_that_is_none(tmp_path, damage):
    """It is told of once, nothing raises, nothing waits; what is typed is known while it runs."""
    path = tmp_path / "state" / "history"
    path.parent.mkdir()
    damage(path)
    told = []
    history = History(path, told.append)
    history.append_string("what?")
    assert history.get_strings() == ["what?"]
    assert list(history.load_history_strings()) == []
    assert len(told) == 1
    assert told[0].startswith("what is typed is not remembered: ")


@pytest.mark.parametrize("seed", range(times(20, 300)))
def test_a_history_of_any_bytes(tmp_path, seed):
    """Garbage in it is passed over or shown as text; what is typed is added behind it."""
    path = tmp_path / "history"
    rng = random.Random(seed)
    path.write_bytes(b"\n# 2026\n+before\n" + rng.randbytes(rng.randint(1, 400)))
    told = []
    History(path, told.append).append_string("after\nit")
    lines = list(History(path, told.append).load_history_strings())
    assert "after\nit" in lines
    assert "before" in lines
    assert told == []


def test_a_history_is_private_from_its_first_byte(tmp_path):
    """Mode 0600 in a folder of mode 0700, whatever the umask; also if it was removed meanwhile."""
    path = tmp_path / "a" / "state" / "history"
    before = os.umask(0)
    try:
        history = History(path, pytest.fail)
        path.unlink()
        history.append_string("secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


WHOLE = (
    f'{{"schema": {SCHEMA}, "started": "", "updated": "2026", "model": "m", "system": "", '
    '"turns": [{"question": "q", "answer": "a", "settings": {"tau": 0.1}}], "pending": "", '
    '"closed": false}'
)


@pytest.mark.parametrize("seed", range(times(100, 3000)))
def test_sessions_of_any_bytes(tmp_path, seed):
    """A file that was cut, or changed in any byte, is read as one or passed over: nothing raises.

    The whole one beside it is found.
    """
    rng = random.Random(seed)
    data = bytearray(WHOLE.encode())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    (tmp_path / "a.json").write_bytes(data[: rng.randint(0, len(data))])
    (tmp_path / "b.json").write_bytes(bytes(data))
    (tmp_path / "c.json").write_text(WHOLE)
    (tmp_path / "c.lock").touch()  # as whatever was killed leaves it
    assert "c" in [saved.id for saved in list_sessions(tmp_path)]
    assert find_killed(tmp_path) is not None


def test_sessions_that_are_folders(tmp_path):
    """Neither a folder called like a session nor one in place of its lock stops the others."""
    (tmp_path / "a.json").mkdir()
    (tmp_path / "c.json").write_text(WHOLE)
    (tmp_path / "c.lock").mkdir()
    assert [saved.id for saved in list_sessions(tmp_path)] == ["c"]
    assert find_killed(tmp_path).id == "c"
