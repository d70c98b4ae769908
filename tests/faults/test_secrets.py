"""Secrets in the environment are in nothing that softchat writes, keeps or sends to a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal

PROMPT = r">\s*\n[^\n]*context \d+/\d+$"
SHORT = ("--max-think", "2", "--max-answer", "2")
MARK = "pl4nted"
PLANTED = {
    "HF_TOKEN": f"hf_{MARK}", "HUGGING_FACE_HUB_TOKEN": f"hf_{MARK}", "OPENAI_API_KEY": MARK,
    "AWS_SECRET_ACCESS_KEY": MARK, "GITHUB_TOKEN": MARK, "SSH_AUTH_SOCK": f"/tmp/{MARK}",
    "PIP_INDEX_URL": f"http://user:{MARK}@127.0.0.1:9/simple", "PIP_RETRIES": "0",
    "PIP_EXTRA_INDEX_URL": f"http://{MARK}@127.0.0.1:9/", "HF_ENDPOINT": "http://127.0.0.1:9",
}  # fmt: skip
URL = f"https://127.0.0.1:9/{MARK}/a.gguf?token={MARK}"


@pytest.fixture(autouse=True)
def planted(own_home, environ):
    """The secrets, in the environment of a softchat in a home of its own."""
    environ |= PLANTED | {"PAGER": ""}


def assert_clean(folder):
    """No file below it holds a secret."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert MARK.encode() not in path.read_bytes(), path


def test_neither_session_nor_trace_nor_screen_has_one(environ, tmp_path):
    """A session with a turn, a mistake, a trace, its files; then what lists and shows them."""
    one = Terminal(("--trace", f"{tmp_path}/t.jsonl", *SHORT), environ)
    one.until(PROMPT)
    for line, shown in (
        ("Why?", "thought 2 "), ("/set", "built in"), ("/model nowhere", "no model"),
        ("/help", "/quit"), (f"/save {tmp_path}/a.json", "written to"),
    ):  # fmt: skip
        one.screen.reset()
        one.child.send(line + "\r")
        one.until(shown + r"[\s\S]*" + PROMPT)
    assert_clean(tmp_path)
    one.child.sendeof()
    assert one.finish() == 0
    assert MARK.encode() not in one.raw
    assert_clean(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("models",), ("models", "info", "smollm2"), ("ask", "--tau", "x", "q"),
        ("ask", "--json", "Why?", *SHORT), ("ask", "-m", "nowhere", "q"),
        ("models", "pull", "qwen3-0.6b"),
    ],
)  # fmt: skip
def test_no_command_tells_one(environ, tmp_path, arguments):
    """Neither in what it writes nor in what it keeps, be it right or wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "softchat", *arguments],
        env=environ, cwd=tmp_path, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert MARK.encode() not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    assert_clean(tmp_path)


def test_an_index_with_a_password_that_is_not_there(environ, tmp_path):
    """What pip says of its index comes without the password."""
    home = tmp_path / "empty"
    done = subprocess.run(
        [sys.executable, "-m", "softchat", "models", "pull", "smollm2-135m"],
        env=environ | {"SOFTCHAT_HOME": str(home), "PIP_CONFIG_FILE": os.devnull},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "could not be fetched" in done.stderr
    assert MARK not in done.stdout + done.stderr
    assert_clean(Path(tmp_path))


def test_an_address_with_a_token_that_is_not_there(environ, tmp_path):
    """The error of a fetch names neither query nor path."""
    done = subprocess.run(
        [sys.executable, "-m", "softchat", "models", "add", "mine", URL],
        env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert MARK not in done.stdout + done.stderr
