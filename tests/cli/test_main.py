"""What surrounds every command."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from softchat.base.text import encodable
from softchat.cli import _early_worker, _forget_odd_sizes, _whole


class Cut(io.RawIOBase):
    """A device that takes three bytes at a time, as a terminal may when a signal comes."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        self.taken += bytes(data[:3])
        return len(data[:3])


def test_a_write_that_is_cut_short_is_finished():
    """An unbuffered stream gets a buffer, so that all of a line arrives."""
    device = Cut()
    unbuffered = io.TextIOWrapper(device, encoding="utf-8", write_through=True)
    stream = _whole(unbuffered)
    stream.write("all of this line\n")
    stream.flush()
    assert device.taken == b"all of this line\n"


def test_a_buffered_stream_stays_as_it_is():
    """There is nothing to mend."""
    stream = io.TextIOWrapper(io.BufferedWriter(Cut()), encoding="utf-8")
    assert _whole(stream) is stream


def test_an_error_that_quotes_what_no_terminal_should_see(softchat):
    """As JSON too it is one line of plain characters; what no encoding can write ends nothing."""
    done = softchat("ask", "--json", os.fsdecode(b"--x\x9b2J"), "\u202eq")
    assert done.status == 2
    assert json.loads(done.out)["kind"] == "usage"
    assert "Traceback" not in done.err
    assert not {"\x9b", "\u202e", "\x1b"} & set(done.out + done.err)


@pytest.mark.skipif(os.name != "posix", reason="models are in softchat's own process there")
@pytest.mark.parametrize("arguments", [["ask", "why?"], ["chat"], []])
def test_a_worker_starts_before_the_command_line_is_read(arguments):
    """For commands that talk; it is a process that answers, and ends when it is closed."""
    worker = _early_worker(arguments, {})
    try:
        assert worker is not None
        assert worker.call("build")["version"]
    finally:
        worker.close()


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["ask", "--help"], {}),
        (["models"], {}),
        (["--version"], {}),
        (["ask", "why?"], {"SOFTCHAT_WORKER": "0"}),
        ([], {"_SOFTCHAT_COMPLETE": "complete_bash"}),
    ],
)
def test_nothing_starts_that_nobody_needs(arguments, environ):
    """Not for help, nor for Tab, nor where models are in this process."""
    assert _early_worker(arguments, environ) is None


def test_an_error_that_nobody_reads(environ):
    """Its line of JSON has gone with the reader; stderr and the status say it all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "softchat", "ask", "--json", "-m", "nowhere", "why"],
        env=environ, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, timeout=60,
        check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 2), done.stderr


@pytest.mark.parametrize("yes", ["1", "on", "True"])
def test_an_error_is_json_where_the_variable_says_so(softchat, yes):
    """Whatever typer takes for a yes."""
    done = softchat("ask", "-m", "nowhere", "why", SOFTCHAT_JSON=yes)
    assert json.loads(done.out)["kind"] == "model_not_found"


def shell(line, environ):
    """The status and stderr of a softchat whose streams a shell has bent."""
    line = f"{shlex.quote(sys.executable)} -m softchat {line}"
    done = subprocess.run(
        ["sh", "-c", line], env=environ, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("command", ["--help", "models", "ask --json"])
def test_without_a_stdout_nothing_is_done(environ, command):
    """A shell can close it (`>&-`): one line and a hint, no traceback."""
    assert shell(f"{command} >&-", environ) == (
        1, "error: stdout is closed\nhint: for no output at all: > /dev/null\n",
    )  # fmt: skip


def test_without_stdin_and_stderr_the_answer_is_there(environ):
    """Closed, they are as good as /dev/null."""
    assert shell("--version <&- 2>&-", environ) == (0, "")
    for command in ("sessions", "models", "cache", "prompts"):  # most tell something on stderr
        assert shell(f"{command} 2>&-", environ)[0] == 0, command
    assert shell("ask <&-", environ)[0] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("command", ["--version", "models"])
def test_a_full_disk_behind_stdout(environ, command):
    """One line and a hint, status 1; also where stderr is on that disk too."""
    status, said = shell(f"{command} >/dev/full", environ)
    assert status == 1
    assert said.startswith("error: can't write any more: No space left on device\nhint: ")
    assert said.count("\n") == 2
    assert shell(f"{command} >/dev/full 2>&1", environ)[0] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.usefixtures("own_home")
def test_a_full_disk_behind_stderr_costs_no_result(environ, tmp_path):
    """What is told beside it is lost, and nothing else."""
    assert shell("ask --max-think 2 --max-answer 2 Hi 2>/dev/full", environ)[0] == 0
    answer = tmp_path / "answer"
    assert shell(f"last 2>/dev/full >{shlex.quote(str(answer))}", environ)[0] == 0
    assert answer.read_text().strip()
    assert shell("models 2>/dev/full", environ)[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_behind_stderr_changes_no_status(environ):
    """What can't be told is still what happened."""
    assert shell("ask -m nowhere why 2>/dev/full", environ)[0] == 3


def test_signs_that_a_terminal_lacks(softchat):
    """Nothing ends for one of them: it gives way to a simpler one, or to a question mark."""
    assert encodable("τ … · 漢\udcff", "ascii") == "tau ... - ??"
    assert encodable("· 漢", "latin-1") == "· ?"
    done = softchat(
        "show", "nowhere…漢", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )  # fmt: skip
    assert done.status == 2
    assert done.err.startswith("error: can't read the trace nowhere")


@pytest.mark.parametrize("command", [("ask", "hi"), ("compare", "hi"), ("bench",)])
def test_an_empty_name_is_no_model(softchat, command):
    """As of a variable that was never set: it is not taken for none."""
    done = softchat(*command, "-m", "")
    assert (done.status, done.out) == (3, ""), done
    assert done.err.startswith("error: no model ''")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        *[(size, True) for size in ("80", "1", "10000")],
        *[(size, False) for size in ("0", "00", "-1", "", "²", "٣", "1e2", "9" * 5000)],
    ],
)
def test_columns_that_no_terminal_has(said, kept):
    """0 says that nobody knows: nothing would be seen in it, and the default is taken."""
    environ = {"COLUMNS": said, "LINES": said, "TERM": "dumb"}
    _forget_odd_sizes(environ)
    assert environ == ({"COLUMNS": said, "LINES": said} if kept else {}) | {"TERM": "dumb"}


def test_no_columns_lose_no_answer(softchat):
    """What Rich draws is there."""
    shown = [softchat("models", "list", COLUMNS=size).out for size in ("0", "²", "")]
    assert shown[0] == shown[1] == shown[2]
    assert "smollm2-135m" in shown[0]
