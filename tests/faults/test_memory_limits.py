"""Too little memory, from hardly enough for Python to enough: told with how much it needs.

The limit is one of addresses, for softchat and its worker each. It ends Python, numpy, the linker,
OpenMP, ggml or llama.cpp, whichever is at it, and each in its own way: by an exception, an exit, an
abort.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.faults.soak import times

MB = 1_000_000
SHORT = ("--max-think", "2", "--max-answer", "2", "--threads", "2")
LEAST, ENOUGH = 40 * MB, 1000 * MB  # of addresses: softchat itself starts; the model runs
STEPS = times(5, 20)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory")


def limited(environ, limit, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.limited", "AS", str(limit), *arguments],
        env=environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def ask(environ, limit, *arguments):
    return limited(environ, limit, "ask", "Why?", *SHORT, *arguments)


def told(done):
    """The one error, and the hint, of a run that failed."""
    assert done.returncode in (1, 3), done
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: "), done.stderr
    assert hint.startswith("hint: "), done.stderr
    return error, hint


def assert_told(done):
    """An answer, or one error with a hint that says how much is needed, and which flag helps."""
    if done.returncode == 0:
        assert "cut here: max_answer 2" in done.stderr, done.stderr
        return
    error, hint = told(done)
    if error != "error: out of memory":  # there was none to read the size of a file with
        assert re.search(r"\d+ [MG]B, and buffers; a smaller --ctx needs less", hint), hint


def spread(low, high):
    """As many values as are tried, from one to the other, each as much larger than the last."""
    return [round(low * (high / low) ** (step / (STEPS - 1))) for step in range(STEPS)]


def test_memory_for_the_model(environ, real_model):
    """Each step up to enough is told; enough is an answer."""
    ends = []
    for limit in spread(LEAST, ENOUGH):
        done = ask(environ, limit, "-m", str(real_model))
        assert_told(done)
        ends.append(done.returncode)
    print(f"from {LEAST // MB} to {ENOUGH // MB} MB: {ends}")
    assert ends[0] != 0
    assert ends[-1] == 0


def test_memory_for_the_context(environ, real_model):
    """A context that grows until it is too long: told with what that one would need."""
    ends = []
    for n_ctx in spread(512, 400_000):
        done = ask(environ, ENOUGH, "-m", str(real_model), "--ctx", str(n_ctx))
        assert_told(done)
        ends.append(done.returncode)
        assert done.returncode == 0 or f"with a context of {n_ctx} it needs" in done.stderr
    print(f"contexts from 512 to 400,000 in {ENOUGH // MB} MB: {ends}")
    assert ends[0] == 0
    assert ends[-1] == 3


def test_memory_for_a_model_in_softchats_own_process(environ, real_model, tmp_path):
    """`eval` needs no worker for each step, and tells all the same what was lacking."""
    data, ends = tmp_path / "data.jsonl", []
    data.write_text('{"question": "1?", "answer": "1"}')
    for limit in spread(LEAST, ENOUGH):
        flags = ["-m", str(real_model), "--out", str(tmp_path / f"{limit}.jsonl"), *SHORT]
        done = limited(environ, limit, "eval", str(data), *flags)
        ends.append(done.returncode)
        if done.returncode:
            *before, error, hint = done.stderr.splitlines()
            assert done.returncode in (1, 3), done
            assert all(line.startswith("results: ") for line in before), before
            assert error.startswith("error: "), error
            assert re.match("hint: (close other programs|with a context of|its weights)", hint), (
                hint
            )
    print(f"from {LEAST // MB} to {ENOUGH // MB} MB, eval: {ends}")
    assert ends[0] != 0
    assert ends[-1] == 0


def test_memory_to_look_at_a_model(environ, real_model):
    """A worker reads its header, and examines this machine: whatever is at its end is told."""
    ends = []
    for limit in spread(LEAST, ENOUGH):
        done = limited(environ, limit, "models", "info", str(real_model))
        assert done.returncode == 0 or told(done)
        examined = limited(environ, limit, "doctor")
        assert examined.returncode in (0, 1), examined
        assert not examined.stderr, examined.stderr
        assert examined.stdout.splitlines()[-1].startswith(
            ("problem: ", "all is well", "nothing is wrong", "this machine")
        )
        ends.append((done.returncode, examined.returncode))
    print(f"from {LEAST // MB} to {ENOUGH // MB} MB, models info and doctor: {ends}")
    assert ends[0] == (3, 1)
    assert ends[-1] == (0, 0)


def test_memory_to_name_a_model(environ, own_home, real_model):
    """What needs no llama.cpp needs no more than softchat itself."""
    for arguments in (("models", "add", "mine", str(real_model)), ("models", "list")):
        done = limited(environ, LEAST, *arguments)
        assert done.returncode == 0, done
