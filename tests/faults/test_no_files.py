"""Pipes, devices, closed folders, odd names where softchat wants a file: one line, soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny
from tests.engine.test_adapters import write as adapter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's rights and devices")

# Root is bound by rights too without these capabilities; they are dropped in a process of its own.
BOUND = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "softchat", *sys.argv[1:]])
"""
SHORT = ("--max-think", "2", "--max-answer", "2")


@pytest.fixture
def run(tmp_path):
    """Run softchat without a model of its own, bound by rights; (status, stdout, stderr)."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    home = tmp_path / "home"

    def run(*arguments, cwd=tmp_path, stdin="", **variables):
        done = subprocess.run(
            [sys.executable, "-c", BOUND, *arguments],
            input=stdin, cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
            env=mine | {"SOFTCHAT_HOME": str(home), "PYTHONPATH": str(Path.cwd())} | variables,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model, which needs no name."""
    return tiny.write(
        tmp_path_factory.mktemp("m") / "m.gguf",
        letters=(tiny.ASCII + tiny.LETTERS)[: len(tiny.LETTERS)],
    )


def assert_told(done, *, status):
    """One error in one line, and its hint."""
    assert done[0] == status
    lines = done[2].splitlines()
    assert [line.partition(":")[0] for line in lines][-2:] == ["error", "hint"], lines


@pytest.mark.parametrize("closed", ["home", "home/sessions"])
@pytest.mark.parametrize("command", ["sessions", "doctor", "log", "last"])
def test_a_state_folder_without_rights(run, tmp_path, closed, command):
    """One line, never that there is nothing; doctor names it as the problem."""
    (tmp_path / "home" / "sessions").mkdir(parents=True)
    (tmp_path / closed).chmod(0)
    done = run(command)
    (tmp_path / closed).chmod(0o700)
    if command == "doctor":
        assert done[0] == 1
        assert "can't be read and written" in done[1]
    else:
        assert_told(done, status=1)
        assert "Permission denied" in done[2]


@pytest.mark.parametrize("closed", ["sessions", "evaluations", "models", "prompts"])
def test_a_folder_that_is_closed_stops_nothing_else(run, tmp_path, model, closed):
    """An answer comes, and what is not kept is told; what needs the folder says that it does."""
    folder = tmp_path / "home" / closed
    folder.mkdir(parents=True)
    (tmp_path / "q.jsonl").write_text('{"question": "Why?", "answer": "1"}')
    needs_it = {
        "evaluations": ("eval", "-m", str(model), *SHORT, "q.jsonl"),
        "prompts": ("cache",),
        "models": ("models", "list"),  # those that are not there can be fetched
        "sessions": ("log",),
    }
    folder.chmod(0)
    asked, done = run("ask", "-m", str(model), *SHORT, "Why?"), run(*needs_it[closed])
    folder.chmod(0o700)
    assert asked[0] == 0
    assert ("can't be kept" in asked[2]) == (closed == "sessions")
    if closed == "models":
        assert done[0] == 0
    else:
        assert_told(done, status=2 if closed == "evaluations" else 1)


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/full", "folder"])
@pytest.mark.parametrize("command", ["replay", "show", "eval"])
def test_what_is_read_is_a_file(run, tmp_path, kind, command):
    """Or a pipe in which something comes."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert_told(run(command, kind), status=2)


def test_settings_are_files(run, tmp_path):
    """config.toml, models.toml and the history are no pipes."""
    (tmp_path / "home").mkdir()
    for name in ("config.toml", "models.toml", "history"):
        os.mkfifo(tmp_path / "home" / name)
    assert run("models", "list")[0] in (0, 2)
    assert run("doctor")[0] == 1


def test_a_folder_that_is_gone(run, tmp_path):
    """A relative SOFTCHAT_HOME is nowhere then."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD"; exec "$0" -m softchat sessions', sys.executable],
        cwd=gone, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"SOFTCHAT_HOME": "here", "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "the current folder is gone" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["/" + "a" * 300, "/a" * 3000])
@pytest.mark.parametrize("command", [["sessions"], ["doctor"], ["models", "list"]])
def test_a_name_longer_than_there_can_be(run, name, command):
    """One line, which does not fill the screen."""
    done = run(*command, SOFTCHAT_HOME=name)
    assert done[0] in (0, 1)
    if command == ["sessions"]:
        assert_told(done, status=1)
        assert len(done[2]) < 400


@pytest.fixture
def odd(tmp_path, model):
    """Files whose names are not UTF-8: a model, an adapter, questions."""
    names = {kind: tmp_path / os.fsdecode(kind.encode() + b"\xff") for kind in ("m", "a", "q")}
    names["m"].symlink_to(model)
    adapter(names["a"])
    names["q"].write_text('{"question": "Why?", "answer": "1"}')
    return {kind: str(path) for kind, path in names.items()}


def test_names_that_are_not_utf8(run, tmp_path, odd):
    """Written as escapes, and read back the same."""
    flags = ("-m", odd["m"], "--lora", odd["a"], *SHORT)
    status, out, said = run("ask", *flags, "--trace", "t.jsonl", "--json", "hi")
    assert status == 0, said
    for line in (out, (tmp_path / "t.jsonl").read_text(encoding="utf-8")):
        model = json.loads(line.splitlines()[0])["model"]
        assert (model["name"], model["loras"]) == ("m\\udcff", ["a\\udcff"])
        assert "m\\udcff" in model["path"]
    assert run("replay", "t.jsonl")[0] == 0
    assert run("show", "t.jsonl")[0] == 0


def test_a_session_with_a_name_that_is_not_utf8(run, odd):
    """It is listed and shown, and goes on with the same file."""
    assert run("ask", "-m", odd["m"], *SHORT, "why")[0] == 0
    for _ in range(2):
        assert run("last")[0] == 0
        assert "m\\udcff" in run("log")[1]
        assert run("log", "--json")[0] == 0
        assert run("ask", "-c", *SHORT, "again")[0] == 0


def test_results_with_names_that_are_not_utf8(run, odd):
    """They go on where they were."""
    for _ in range(2):
        status, out, said = run("eval", "-m", odd["m"], "--lora", odd["a"], odd["q"], *SHORT)
        assert status == 0, said
        assert "/1" in out


def test_models_toml_holds_text_only(run, odd):
    """So a file whose name is none gets no name there."""
    done = run("models", "add", "odd", odd["m"])
    assert_told(done, status=2)
    assert "not UTF-8" in done[2]


def test_a_reader_that_left_ends_doctor(tmp_path):
    """Whatever it examines just then."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    with subprocess.Popen(
        [sys.executable, "-m", "softchat", "doctor"],
        stdout=subprocess.PIPE, env=mine | {"SOFTCHAT_HOME": str(tmp_path)},
    ) as doctor:  # fmt: skip
        assert doctor.stdout.read(8) == b"softchat"
        doctor.stdout.close()
        assert doctor.wait(300) == 1


@pytest.mark.parametrize("kind", ["file", "link"])
def test_sessions_that_are_no_folder(run, tmp_path, kind):
    """An answer comes, with a warning that names it; to look for sessions is an error."""
    sessions = tmp_path / "home" / "sessions"
    sessions.parent.mkdir()
    if kind == "file":
        sessions.write_text("mine")
    else:
        sessions.symlink_to("nowhere")
    home = {"SOFTCHAT_HOME": str(sessions.parent)}
    model = str(tiny.write(tmp_path / "m.gguf", letters=tiny.ASCII))
    asked = ("ask", "hi", "-m", model, "--max-think", "2", "--max-answer", "2")
    status, out, err = run(*asked, **home)
    assert (status, bool(out)) == (0, True), err
    assert f"warning: this can't be kept: {sessions}: it is no folder" in err
    for command in ("log", "last", "sessions"):
        status, out, err = run(command, **home)
        assert (status, out) == (1, ""), (command, out, err)
        assert err.startswith(f"error: can't use {sessions}: ")
