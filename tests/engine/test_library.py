"""llama.cpp's library that can't be loaded is told in a line, wherever it is wanted."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from softchat.doctor.examine import examine
from softchat.errors import ServerError, SoftchatError
from softchat.talk.worker import rpc_process
from softchat.talk.worker.process import Worker
from softchat.talk.worker.rpc_process import RpcServer

SAID = "llama.cpp can't be loaded: Shared library with base name 'llama' not found"


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path / "nothing"))


def test_in_this_process(nowhere):
    """One error with a hint, for the command line and the library."""
    code = "from softchat.errors import SoftchatError\ntry:\n    import softchat.engine.{}\n"
    code += "except SoftchatError as error: print(error.message, error.hint, sep='\\n')"
    for module in ("llama", "bare", "rpc"):
        command = [sys.executable, "-c", code.format(module)]
        said, hint = subprocess.check_output(command, text=True).splitlines()
        assert said == SAID
        assert hint.endswith("pip install --force-reinstall --no-cache-dir llama-cpp-python")


def test_in_a_worker(nowhere):
    """It lives, and says why."""
    with closing(Worker()) as worker, pytest.raises(SoftchatError) as caught:
        worker.call("build", servers=[])
    assert caught.value.message == SAID
    assert "llama-cpp-python" in caught.value.hint


def test_in_doctor(nowhere, tmp_path):
    """The process that llama.cpp runs in starts, and is not blamed."""
    report = examine({"SOFTCHAT_HOME": str(tmp_path)})
    assert SAID in [one.what for one in report.problems]
    assert report.facts["worker"] == {"on": True, "starts": True}


def test_in_a_server(nowhere):
    """As everywhere else."""
    with pytest.raises(ServerError) as caught:
        RpcServer("127.0.0.1", 1)
    assert caught.value.message == SAID
    assert "llama-cpp-python" in caught.value.hint


def test_a_server_that_dies_of_something_else(monkeypatch):
    """The last line that it has printed is the cause."""
    command = [sys.executable, "-c", "raise ValueError('too small')"]
    monkeypatch.setattr(rpc_process, "_COMMAND", command)
    with pytest.raises(ServerError) as caught:
        RpcServer("127.0.0.1", 1)
    assert caught.value.message == "ValueError: too small"
