"""`softchat replay`, on traces made by hand: as a command, and in a real terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from softchat.events import Error, HaltReason, to_json
from softchat.record.trace import replay
from tests.recordings import HOSTILE, run_of, started, step, write_trace
from tests.terminal import assert_settled

RUN = run_of(step(0), step(1), step(2, entropy=0.1, below=1))
SECOND = run_of(step(0, only=1.0), answer=("second",), reason=HaltReason.CLOSED)
NOW = ("--speed", "0")


@pytest.fixture
def trace(tmp_path):
    return write_trace(tmp_path / "run.jsonl", RUN, SECOND)


def test_json_is_what_was_recorded(softchat, trace):
    """The same lines; what is written down of a replay is the recording again."""
    result = softchat("replay", "run.jsonl", *NOW, "--json", "--trace", "copy.jsonl")
    assert result.status == 0, result
    assert result.out == trace.read_text(encoding="utf-8")
    assert list(replay(trace.with_name("copy.jsonl"))) == RUN + SECOND


def test_the_views_are_those_of_a_live_run(softchat, trace):
    """Alone or with --quiet the answers; with --verbose a line a step too."""
    for flags in ((), ("--quiet",)):
        result = softchat("replay", "run.jsonl", *NOW, *flags)
        assert (result.status, result.out, result.err) == (0, "four legs\nsecond\n", "")
    result = softchat("replay", "run.jsonl", *NOW, "--verbose")
    assert result.out == "four legs\nsecond\n"
    assert sum(line.startswith("step ") for line in result.err.splitlines()) == 4


def test_one_of_several_runs(softchat, trace):
    """--turn 2 is the second one alone; there is no third."""
    assert softchat("replay", "run.jsonl", *NOW, "--turn", "2").out == "second\n"
    result = softchat("replay", "run.jsonl", *NOW, "--turn", "3")
    assert result.status == 2
    assert result.err.splitlines()[1] == "hint: it holds 2 runs"


def test_no_model_is_needed(environ, trace):
    """Neither a model nor llama.cpp nor the code around it."""
    code = (
        "import sys; sys.modules['llama_cpp'] = None\n"
        "from softchat.cli import main\n"
        "sys.argv = ['softchat', *sys.argv[1:]]\n"
        "main()"
    )
    for command in (("replay", "--speed", "0"), ("show",)):
        done = subprocess.run(
            [sys.executable, "-c", code, *command, trace],
            capture_output=True, text=True, check=False, timeout=60,
            env=environ | {"SOFTCHAT_HOME": "/nowhere"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "four legs" in done.stdout


def test_a_torn_line_is_told_of(softchat, tmp_path, trace):
    """What was written whole is shown; the warning goes to stderr, not among the events."""
    (tmp_path / "cut.jsonl").write_bytes(trace.read_bytes()[:-30])
    result = softchat("replay", "cut.jsonl", *NOW, "--json")
    assert result.status == 0
    assert result.err == "warning: the last line of cut.jsonl (line 15) is cut off: left out\n"
    assert result.out.count("\n") == 14


def test_a_run_that_failed_says_so_again(softchat, tmp_path):
    """As it did when it ran; the replay itself has not failed."""
    error = Error(kind="context", message="too \x1b[2Jlong", hint="shorten it")
    write_trace(tmp_path / "failed.jsonl", [RUN[0], error])
    result = softchat("replay", "failed.jsonl", *NOW)
    assert (result.status, result.out) == (0, "")
    assert result.err == "error: too ␛[2Jlong\nhint: shorten it\n"
    result = softchat("replay", "failed.jsonl", *NOW, "--json")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[-1] == to_json(error).replace("\x1b", "\\u001b")


@pytest.mark.parametrize("flags", [(), ("-v",), ("--json",), ("--panel",)])
def test_what_a_stranger_wrote_does_nothing(softchat, tmp_path, flags):
    """Names, settings, pieces and answers with escapes in them; absurd numbers."""
    begin = started(HOSTILE)
    begin = replace(
        begin,
        settings={
            "strategy": HOSTILE, "tau": -1e308, "patience": 10**400, "max_think": [1] * 99,
            HOSTILE: {"a": None},
        },
    )  # fmt: skip
    many = {f"{HOSTILE}{place}": 2.0**60 for place in range(3000)}
    steps = [step(0, entropy=2.0**62, below=2**62, **many), step(1, entropy=-(2.0**62), x=-1.0)]
    write_trace(tmp_path / "bad.jsonl", run_of(*steps, answer=(HOSTILE,), begin=begin))
    result = softchat("replay", "bad.jsonl", *NOW, *flags)
    assert result.status == 0, result
    for sign in ("\x07", "\x9b", "\u202e", "\x1b]52", "\x1b[2J"):
        assert sign not in result.out + result.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("missing.jsonl",), "can't read"),
        (("run.jsonl", "--speed", "-1"), "--speed"),
        (("run.jsonl", "--speed", "nan"), "--speed"),
        (("run.jsonl", "--speed", "inf"), "--speed"),
        (("run.jsonl", "--speed", "1e-300"), "--speed is 1e-300"),
        (("run.jsonl", "--speed", "1e9"), "--speed is 1e+09"),
        (("run.jsonl", "--turn", "0"), "--turn"),
        (("run.jsonl", "--step"), "terminal"),
        (("run.jsonl", "--trace", "run.jsonl"), "overwrite"),
        (("empty.jsonl",), "holds no run"),
        (("words.txt",), "no trace: line 1"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(softchat, tmp_path, trace, arguments, says):
    """Status 2, and the trace is as it was."""
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "words.txt").write_text("words\n")
    before = trace.read_bytes()
    result = softchat("replay", *arguments)
    assert result.status == 2, result
    error, hint = result.err.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert hint.startswith("hint: ")
    assert trace.read_bytes() == before


def test_the_panel_plays_again(terminal, trace):
    """The panel, then one line of it and the answer, and the terminal as it was."""
    one = terminal("replay", str(trace), "--turn", "1")
    one.until(r"thinking · model · soft · \d steps?")
    assert one.finish() == 0
    assert_settled(one)
    summary, thought, answer = (line for line in one.text.splitlines() if line)
    assert summary == "thought 3 soft steps in 0.3 s (10/s) · cold stop · H 0.1 to 1.0"
    assert thought == "  a|b a|b a|b"
    assert answer == "four legs"


@pytest.mark.parametrize(
    "stop", [lambda one: one.child.send("\x03"), lambda one: one.child.kill(signal.SIGINT)]
)
def test_ctrl_c_leaves_the_terminal_intact(terminal, tmp_path, stop):
    """At once, in the middle of a pause, with status 130."""
    slow = [replace(step(i), elapsed_s=30.0 * i) for i in range(5)]
    one = terminal("replay", str(write_trace(tmp_path / "slow.jsonl", run_of(*slow))))
    one.until(r"╰ .* stops$")
    stop(one)
    assert one.finish(seconds=5) == 130
    assert_settled(one)
    assert "Traceback" not in one.text


def test_step_by_step_without_a_panel(terminal, trace, softchat):
    """A line tells each step; where nothing would, it is refused."""
    one = terminal("replay", str(trace), "--step", "--turn", "1", "--no-panel")
    one.until("step    0")
    one.child.send(" ")
    one.until("step    1")
    one.child.send("q")
    assert one.finish() == 0
    done = softchat("replay", str(trace), "--step", "--quiet")
    assert done.err.startswith("error: --quiet does nothing with --step\n")
    assert done.status == 2


def test_step_by_step(terminal, trace):
    """Every step is drawn before its key is waited for; all keys that go on go on."""
    one = terminal("replay", str(trace), "--step", "--turn", "1")
    one.until(r"model · soft · 1 step\n[^╰]*╰ .* stops$")
    one.child.send(" ")
    one.until("2 steps")
    one.child.send("\x1b[C")
    one.until("3 steps")
    one.child.send("\x1b[D")
    one.until("2 steps")
    one.child.send("p")
    one.until("1 step\n")
    one.child.send("p  ")  # there is none before the first
    one.until("3 steps")
    one.child.send("x")
    one.child.send("\r")
    assert one.finish() == 0
    assert_settled(one)
    assert one.text.splitlines()[-1] == "four legs"


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("\x04", 0), ("\x03", 130)])
def test_leaving_step_by_step(terminal, trace, key, status):
    """The rest is not shown, and the terminal echoes again."""
    one = terminal("replay", str(trace), "--step")
    one.until(r"╰ .* stops$")
    one.child.send(key)
    assert one.finish() == status
    assert_settled(one)
    assert "four" not in one.text
    assert "Traceback" not in one.text
