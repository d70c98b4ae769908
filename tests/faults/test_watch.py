"""Native code that ends softchat itself, where that holds the model: told as of a worker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from softchat.cli import watch
from tests import tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nobody watches there")
ENDLESS = ("--tau", "0", "--max-think", "1500", "--loop-steps", "0", "--drift-steps", "0")
SHORT = ("--max-think", "2", "--max-answer", "2")
DAMAGED = "hint: the file may be damaged, or llama.cpp at fault; 'softchat doctor' has what a"


@pytest.fixture
def twice(tmp_path):
    """A vocabulary that holds one token twice: llama.cpp aborts."""
    return tiny.write(tmp_path / "twice.gguf", letters=tiny.ASCII[:-1] + tiny.ASCII[0])


@pytest.fixture
def data(tmp_path):
    """A file of 40 questions."""
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"{n}?", "answer": "1"}) for n in range(40)))
    return path


@pytest.fixture
def begun(environ, tiny_model, data, tmp_path):
    """An `eval` that has one result at least; it, its child that holds the model, and its file."""
    out = tmp_path / "out.jsonl"
    flags = ["-m", str(tiny_model), *ENDLESS, "--max-answer", "9", "--out", str(out)]
    command = [sys.executable, "-m", "softchat", "eval", str(data), *flags]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 300
        while not out.exists() or out.read_text().count("\n") < 2:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (child,) = children_of(process.pid)
        yield process, child, out
        process.kill()


def children_of(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "data.jsonl"),
        ("sweep", "data.jsonl", "--tau", "0.1,0.2"),
        ("tune", "data.jsonl"),
        ("bench",),
        ("ask", "x", "--samples", "3"),
        ("ask", "x", "--samples=3", "--json"),
    ],
    ids=" ".join,
)
def test_a_file_that_aborts_llama_cpp_is_refused(softchat, twice, data, command):
    """In the words that `ask` has for it, status 3; nothing else of llama.cpp's is shown."""
    result = softchat(*command, "-m", str(twice))
    assert result.status == 3, result
    *before, error, hint = result.err.splitlines()
    assert all(line.startswith(("results: ", "measuring: ")) for line in before), before
    assert error.startswith("error: llama.cpp died of SIGABRT on twice.gguf: llama-vocab.cpp:")
    assert hint.startswith(DAMAGED)
    if "--json" in command:
        assert json.loads(result.out)["kind"] == "model_refused"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL])
def test_results_are_kept(softchat, begun, number):
    """Cause, file and that the same command goes on, which it does; status 1."""
    process, child, out = begun
    os.kill(child, number)
    _, said = process.communicate()
    assert process.returncode == 1
    error, hint = said.splitlines()[-2:]
    assert error == f"error: llama.cpp died of {number.name} on tiny.gguf"
    assert hint.endswith("; what there is, is kept: the same command goes on there")
    kept = out.read_text().splitlines()
    done = softchat(*process.args[3:], "--limit", "1")
    assert done.status == 0, done
    assert out.read_text().splitlines()[: len(kept)] == kept


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_for_it_ends_both(begun, number):
    """And it ends of that signal, as whoever sent it expects."""
    process, child, _ = begun
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("to_child_first", [True, False])
def test_one_that_both_get_is_one(begun, to_child_first):
    """As from `timeout`, or a shell that is closed: a second one would cut the first short."""
    process, child, _ = begun
    for pid in (child, process.pid) if to_child_first else (process.pid, child):
        os.kill(pid, signal.SIGHUP)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGHUP
    assert "error" not in said


def test_a_ctrl_c_that_both_get_is_one(begun):
    """As from `timeout -s INT`: a second one would end the child where it stands."""
    process, child, _ = begun
    os.kill(child, signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert re.search(r"stopped: \d+ of 80 results are there", said)


def test_ctrl_c_that_is_sent_to_it_stops_the_run(begun):
    """As from a script, not a terminal."""
    process, _, _ = begun
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert re.search(r"stopped: \d+ of 80 results are there", said)


@pytest.mark.parametrize(("code", "handed_on"), [(0, True), (0x80, False)])
def test_ctrl_c_from_outside_a_container(monkeypatch, code, handed_on):
    """Its sender has no pid in here, as the terminal has none; what differs is the code."""
    came = SimpleNamespace(si_signo=signal.SIGINT, si_pid=0, si_code=code)
    sent, watched = [], object.__new__(watch.Watched)
    watched._child, watched._got = 4_000_000, Counter()
    monkeypatch.setattr(watched, "_listen", lambda: None)
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    watched._hand_on(came)
    assert sent == [(4_000_000, signal.SIGINT)] * handed_on


def test_one_that_is_killed_takes_its_child_along(begun):
    """Nobody goes on for hours that nobody sees."""
    process, child, _ = begun
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and " Z " not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_that_ends_well_is_as_ever(softchat, tiny_model, data):
    """Its status, and a bad flag's."""
    done = softchat("eval", str(data), "-m", str(tiny_model), "--limit", "2", *SHORT, "--json")
    assert done.status == 0, done
    assert json.loads(done.out)["model"] == "tiny"
    assert softchat("eval", str(data), "-m", str(tiny_model), "--limit", "x").status == 2


def test_on_a_terminal_a_line_is_left_of_it(terminal, tiny_model, data, tmp_path):
    """The bar has gone, and the cursor is back; nothing of llama.cpp's own."""
    out = tmp_path / "out.jsonl"
    one = terminal("eval", str(data), "-m", str(tiny_model), *ENDLESS, "--out", str(out))
    one.until(r"\d/80")
    (child,) = children_of(one.child.pid)
    os.kill(child, signal.SIGSEGV)
    assert one.finish() == 1
    before, said = one.text.split("error: llama.cpp died of SIGSEGV on tiny.gguf\nhint: ")
    note, before = before.split("results: ")
    assert note.startswith("note: no chat template")
    assert re.fullmatch(r"\S+\n*\S*\n", before), before  # as long as it is, it wraps
    assert "stopped" not in said
    assert not one.screen.cursor.hidden


def test_without_it_softchat_dies(softchat, twice, data):
    """So the tests above would see it if nobody watched."""
    done = softchat("eval", str(data), "-m", str(twice), SOFTCHAT_WORKER="0")
    assert done.status == -signal.SIGABRT
