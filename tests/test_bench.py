"""The benchmark measures what it says: counts and forms, never a clock."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from softchat.bench.others import TRANSFORMERS_NEEDS, TransformersLoop, ask_to_llm
from softchat.bench.timing import _by_position, _others
from softchat.engine.bare import BareContext
from softchat.errors import ModelRefusedError
from softchat.settings import StrategyName
from softchat.testing import FakeEngine


def test_a_run_of_the_command(softchat, real_model):
    """A table with ratios first, then one line of JSON that holds the same figures."""
    done = softchat(
        "bench",
        "-m",
        str(real_model),
        "--steps",
        "8",
        "--repeats",
        "1",
        "--no-others",
        "--at",
        "128",
    )
    assert done.status == 0, done
    *table, line = done.out.splitlines()
    report = json.loads(line)
    assert report["command"].startswith("softchat bench -m ")
    assert len(report["sha256"]) == 64
    assert set(report["by_strategy"]) == {str(name) for name in StrategyName}
    assert list(report["by_position"]) == ["128"]
    assert report["soft_to_bare"] == report["by_strategy"]["soft"] > 0
    assert report["ask_to_llm"] is report["streaming_to_bare"] is None
    assert table[0].split() == [
        "soft",
        "step",
        "÷",
        "bare",
        "decode",
        f"{report['soft_to_bare']:.3f}",
    ]
    assert any(row.startswith("arrays of a step, V = 262144") for row in table)


def test_other_libraries_are_measured_where_they_are(real_model):
    """llama-cpp-python's own chat is here with softchat; transformers may be."""
    streaming, transformers = _others(real_model, [1, 2, 3, 4], steps=12, repeats=2)
    assert streaming > 0
    here = all(importlib.util.find_spec(name) for name in TRANSFORMERS_NEEDS)
    assert (transformers is not None) == here


def test_a_model_that_transformers_does_not_know(tmp_path):
    """Has no such column; it fails nothing."""
    path = tmp_path / "no-model.gguf"
    path.write_bytes(b"GGUF")
    assert TransformersLoop.of(path) is None


def test_what_can_not_be_measured_is_refused_in_words(softchat, tmp_path, real_model):
    """A damaged file, or a context that no memory holds: one line, no traceback, no crash."""
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    refused = softchat("bench", "-m", "bad.gguf")
    assert (refused.status, refused.err.count("\n")) == (3, 2), refused
    with pytest.raises(ModelRefusedError, match="can't make a context of"):
        BareContext(real_model, n_ctx=2**31 - 1)


def test_a_long_prompt_is_not_measured_before_its_end():
    """Some chat templates write more of their own than a position has that is asked for."""
    engine = FakeEngine([chr(code) for code in range(128)], [{"a": 1}], end=())
    assert list(_by_position(engine, None, [2, 4], steps=8, repeats=1)) == []


def test_an_llm_without_the_model_is_left_out(tmp_path, monkeypatch):
    """It costs the benchmark nothing."""
    script = tmp_path / "llm"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_to_llm(1) is None


def test_llm_is_measured_where_it_is(tmp_path, monkeypatch, home, real_model):
    """It is whatever `llm` the PATH finds; it is asked what softchat is asked."""
    monkeypatch.setenv("SOFTCHAT_HOME", str(home))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_to_llm(1) is None
    asked = tmp_path / "asked"
    script = tmp_path / "llm"
    script.write_text(f'#!/bin/sh\necho "$*" > {asked}\n')
    script.chmod(0o700)
    assert ask_to_llm(1) > 0
    assert asked.read_text() == "-m SmolLM2 What is the capital of France?\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the child's own anyway")
def test_memory_is_that_of_the_child_alone():
    """Linux counts in a child's ru_maxrss what its parent held when it was started."""
    child = "from softchat.bench.timing import _peak; print(_peak())"
    parent = (
        "import subprocess, sys; held = b'x' * 600 * 2**20;"
        f"print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))"
    )
    done = subprocess.check_output([sys.executable, "-c", parent], text=True)
    assert 20 * 2**20 < int(done) < 400 * 2**20
