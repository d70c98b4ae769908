"""A disk that is full, or folders that can't be written: told once, and the run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from softchat.errors import SoftchatError
from softchat.record.trace import replay
from tests import tiny
from tests.faults.soak import times
from tests.recordings import run_of, step, write_trace
from tests.terminal import Terminal

FULL = Path("/dev/full")
PROMPT = r">\s*\n[^\n]*context \d+/\d+$"
SHORT = ("--max-think", "3", "--max-answer", "3")
RUN = run_of(step(0), step(1))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs limits of files"),
    pytest.mark.usefixtures("own_home"),
]


def with_limit(bytes_, *arguments):
    return [sys.executable, "-m", "tests.faults.limited", "FSIZE", str(bytes_), *arguments]


def limits(whole):
    """Sizes at which the disk is full: some in CI, each byte of a run's trace in a soak."""
    return range(0, whole, max(1, whole // times(40, whole)))


def test_a_trace_is_readable_wherever_the_disk_was_full(tmp_path, monkeypatch):
    """Whatever part of a line fitted, all lines before it are read, and a warning tells of it."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.jsonl"
    write_trace(path, RUN)
    whole = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in limits(whole):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(SoftchatError, match="can't write the trace"):
                write_trace(path, RUN)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == limit
        told = []
        read = list(replay(path, warn=told.append))
        assert read == RUN[: len(read)]
        assert len(told) <= 1


def test_ask_says_that_its_trace_is_not_whole(environ, tmp_path):
    """One line and a hint, status 1; what was written is kept."""
    trace = tmp_path / "run.jsonl"
    done = subprocess.run(
        with_limit(300, "ask", "Why?", "--trace", str(trace), *SHORT),
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("error: can't write the trace ") == 1
    assert "Traceback" not in done.stderr
    assert trace.stat().st_size == 300


@pytest.mark.parametrize("limit", [0, 700, 100][: times(1, 3)])
def test_a_session_goes_on_when_nothing_can_be_written(environ, tmp_path, limit):
    """What can't be kept (trace, session, history) is told of once; each turn is answered."""
    one = Terminal((), environ, program=with_limit(limit, "--trace", f"{tmp_path}/t", *SHORT))
    one.until(PROMPT)
    for number in (1, 2):
        one.child.send("Why?\r")
        one.until(r"thought 3 .*[\s\S]*" + PROMPT)
        one.child.send("/stats\r")
        one.until(rf"\n +{number} +3 [\s\S]*{PROMPT}")
    one.child.sendeof()
    assert one.finish() == 0
    raw = one.raw.decode()
    assert "Traceback" not in raw
    for warning in (
        "this session can't be saved",
        "can't write the trace ",
        "what is typed is not rem",
    ):
        told = raw.count("warning: " + warning)
        assert told == 1 or (limit and told == 0), raw  # a small file may fit


def test_steps_that_cannot_be_kept(environ, tmp_path):
    """What was said is there all the same, and nothing says that it is not."""

    def run(*words):
        return subprocess.run(
            words, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    softchat = (sys.executable, "-m", "softchat")
    asked = run(*with_limit(2048, "ask", "Why is it kept?", *SHORT))
    assert asked.returncode == 0, asked.stderr
    assert "warning: the steps of this can't be kept: File too large" in asked.stderr
    assert "Why is it kept?" in run(*softchat, "last").stderr


def test_folders_that_cannot_be_made(environ, tmp_path):
    """A home below a file: a session runs there, and says what is not kept."""
    (tmp_path / "file").write_text("")
    model = next(Path(environ["SOFTCHAT_HOME"]).rglob("*.gguf"))
    one = Terminal(
        ("-m", str(model), *SHORT), environ | {"SOFTCHAT_HOME": str(tmp_path / "file" / "home")}
    )
    one.until(PROMPT)
    one.child.send("Why?\r")
    one.until(r"this session can't be saved[\s\S]*" + PROMPT)
    one.child.sendeof()
    assert one.finish() == 0
    assert b"Traceback" not in one.raw
    assert one.raw.count(b"what is typed is not remembered") == 1


def test_a_full_cache_is_one_error(environ, tmp_path):
    """Fetching onto a full disk ends in a line and a hint; no file is left under its name."""
    home = tmp_path / "empty"
    done = subprocess.run(
        with_limit(1_000_000, "models", "pull", "smollm2-135m"),
        env=environ | {"SOFTCHAT_HOME": str(home)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-2].startswith("error: model 'smollm2-135m' is not here yet")
    assert "Traceback" not in done.stderr
    assert list(home.rglob("*.gguf")) == []


@pytest.mark.skipif(not FULL.exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["--help"], ["show", "run.jsonl"], ["models", "list"]])
def test_an_output_on_a_full_disk(tmp_path, arguments):
    """`softchat show run.jsonl > FILE` where nothing fits: one line and a hint, status 1."""
    write_trace(tmp_path / "run.jsonl", RUN)
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "softchat", *arguments],
            stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: can't write any more: No space left on device\nhint: make room on the disk\n"
    )


@pytest.mark.parametrize("limit", [0, 3000, 5000])
@pytest.mark.parametrize("command", ["eval", "sweep"])
def test_results_on_a_full_disk(environ, tmp_path, command, limit):
    """One line and a hint, whenever it is; the same command goes on with what was written."""
    data, out = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    model = tiny.write(tmp_path / "tiny.gguf", letters=tiny.ASCII)
    data.write_text("".join(f'{{"question": "{n}", "answer": "1"}}\n' for n in range(20)))
    words = [command, str(data), "-m", str(model), "--topn", "2,3", "--out", str(out), *SHORT]
    done = subprocess.run(
        with_limit(limit, *words),
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    error, hint = done.stderr.splitlines()[-2:]
    assert error == f"error: can't write results to {out}: File too large"
    assert hint.startswith("hint: ")
    assert "Traceback" not in done.stderr
    assert not out.exists() or out.stat().st_size <= limit  # without a result there is none
    again = [sys.executable, "-m", "softchat", *words, "--json"]
    assert subprocess.run(again, env=environ, capture_output=True, check=False).returncode == 0
