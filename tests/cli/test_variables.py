"""SOFTCHAT_ variables that nothing reads."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SOFTCHAT_TUA", "; did you mean SOFTCHAT_TAU?"),
        ("SOFTCHAT_MAX_TINK", "; did you mean SOFTCHAT_MAX_THINK?"),
        ("SOFTCHAT_MODLE", "; did you mean SOFTCHAT_MODEL?"),
        ("SOFTCHAT_XYZ\x1b[2J", ""),
        ("SOFTCHAT_QUESTION", ""),  # like others in nothing but how all begin
    ],
)
def test_one_that_nothing_reads_is_told(softchat, name, told):
    """With what was meant, where that is near; the command goes on."""
    done = softchat("sessions", **{name: "1"})
    assert done.status == 0, done
    (line,) = [line for line in done.err.splitlines() if "SOFTCHAT" in line]
    assert line.startswith("note: nothing reads the variable SOFTCHAT_")
    assert line.endswith(told)
    assert told or "did you mean" not in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "name", ["SOFTCHAT_HOME", "SOFTCHAT_MODELS", "SOFTCHAT_WORKER", "SOFTCHAT_MINUTES", "SOFTCHAT"]
)
def test_nothing_is_told_of_those_that_are_read(softchat, tmp_path, name):
    """Be it by a flag of another command."""
    path = tmp_path / "models.toml"
    path.touch()
    values = {"SOFTCHAT_MODELS": str(path), "SOFTCHAT_HOME": str(tmp_path / "home")}
    assert "nothing reads" not in softchat("sessions", **{name: values.get(name, "1")}).err


@pytest.mark.parametrize("command", [["ask", "x"], ["eval", "x.jsonl"]])
def test_a_worker_is_on_or_off(softchat, command):
    """Any other word is a mistake: whoever means off must not be taken to mean on."""
    done = softchat(*command, SOFTCHAT_WORKER="offf\x1b[2J")
    assert (done.status, done.out) == (2, "")
    error, hint = done.err.splitlines()
    assert error == "error: SOFTCHAT_WORKER is offf␛[2J, neither on nor off"
    assert hint == "hint: SOFTCHAT_WORKER=0 does without a worker"


def test_doctor_names_a_worker_that_is_neither(softchat):
    """And looks at the rest as if the variable was not there."""
    done = softchat("doctor", SOFTCHAT_WORKER="maybe")
    assert done.status == 1
    assert "problem: SOFTCHAT_WORKER is maybe, neither on nor off" in done.out
    assert re.search("^worker +", done.out, re.M)


def test_names_of_files_may_hold_blanks(softchat):
    """A flag that can be given several times has a value a line in its variable."""
    done = softchat("ask", "Why?", SOFTCHAT_LORA="my ad.gguf\nother.gguf")
    assert done.status != 0
    assert done.err.splitlines()[0] == "error: no adapter my ad.gguf"
