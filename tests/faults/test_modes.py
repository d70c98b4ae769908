"""Files and folders that softchat makes are the user's alone, under any umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from softchat.models.entry import PinnedFile
from softchat.models.store import Store
from tests.terminal import Terminal

PROMPT = r">\s*\n[^\n]*context \d+/\d+$"
SHORT = ("--max-think", "2", "--max-answer", "2")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs modes")


@pytest.fixture(autouse=True)
def careless():
    """A umask that takes no right away."""
    before = os.umask(0)
    yield
    os.umask(before)


def assert_private(root):
    """All below it, and what is called so."""
    made = [root, *root.rglob("*")]
    assert len(made) > 1
    for path in made:
        if not path.is_symlink():
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_what_a_session_makes(environ, tmp_path, real_model):
    """State folders, the session, its lock, the history, a trace, what /save writes."""
    mine = {key: value for key, value in environ.items() if key != "SOFTCHAT_HOME"}
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir(mode=0o700)
    out.mkdir(mode=0o700)
    places = {name: str(home / name / "deep") for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
    one = Terminal(
        ("-m", str(real_model), "--trace", f"{out}/t.jsonl", *SHORT),
        mine | {"HOME": str(home)} | places,
    )
    one.until(PROMPT)
    one.child.send("Why?\r")
    one.until(r"thought 2 [\s\S]*" + PROMPT)
    for line in (f"/save {out}/a.json", f"/save {out}/a.md", f"/trace {out}/u.jsonl"):
        one.screen.reset()
        one.child.send(line + "\r")
        one.until(r"(written to|trace )[\s\S]*" + PROMPT)
    assert_private(home)  # while the lock is there
    one.child.sendeof()
    assert one.finish() == 0
    assert_private(home)
    assert_private(out)


def test_what_commands_make(environ, tmp_path, real_model):
    """A models.toml with its folders, traces, exports, plots."""
    from tests.recordings import run_of, step, write_trace

    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    write_trace(out / "run.jsonl", run_of(step(0), step(1)))
    home = {"SOFTCHAT_HOME": str(out / "home" / "deep")}
    for arguments in (
        ["models", "add", "mine", str(real_model)], ["models", "use", "mine"],
        ["plot", "run.jsonl", "-o", "run.html"],
        ["replay", "run.jsonl", "--speed", "0", "--quiet", "--trace", "copy.jsonl"],
    ):  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "softchat", *arguments],
            env=environ | home, cwd=out, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    assert_private(out)


def test_what_is_fetched(tmp_path):
    """The cache and each file in it."""
    root = tmp_path / "cache"
    file = PinnedFile(file="a.gguf", sha256="0" * 64, size=4)
    store = Store(root=root / "softchat" / "models")
    store.keep_new(file.file, [b"GGUF"])
    assert_private(root)
