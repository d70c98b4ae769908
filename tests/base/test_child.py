"""A child process that answers, and is ended when it takes too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import pytest

from softchat.base import child as child_module
from softchat.base.child import Child, ChildError

MODULE = """
    import time
    from softchat.base.limits import serve

    def main():
        serve(answer)

    def answer(request):
        return DO[request["do"]](request)

    def opened(request):
        try:
            open(request["path"])
        except OSError as error:
            return {"error": error.errno}
        return {}

    DO = {
        "echo": lambda request: request,
        "open": opened,
        "fill": lambda request: {"length": len(bytes(2**30))},
        "spin": lambda request: sum(iter(int, 1)),
        "sleep": lambda request: time.sleep(1000),
        "crash": lambda request: __import__("os").abort(),
        "flood": lambda request: {"a": "a" * 2**25},
        "children": lambda request: {"pid": __import__("os").getpid()},
    }
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """One that does what a test wants."""
    (tmp_path / "asked.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    child = Child("asked", cpu_s=0.2)
    yield child
    child.close()


def test_it_answers(child):
    """One line for a line, whatever is in it; also when it was started before."""
    child.start()
    for text in ("", "a\nb", "\u2028\ud800", "é🙂", "a" * 10**6):
        asked = {"do": "echo", "text": text}
        assert child.ask(asked) == asked


@pytest.mark.parametrize("do", ["spin", "crash", "flood", "fill"])
def test_a_limit_ends_it(child, do):
    """No answer then; the next question is answered by another."""
    assert child.ask({"do": do}) is None
    assert child.ask({"do": "echo"}) == {"do": "echo"}


def test_the_clock_ends_it(child, monkeypatch):
    """Where it takes no processor time, or a system bounds none."""
    assert child.ask({"do": "echo"})
    monkeypatch.setattr(child_module, "WALL_S", 0.05)
    assert child.ask({"do": "sleep"}) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_it_opens_no_file(child, tmp_path):
    """Nor any connection, which would be one too."""
    assert child.ask({"do": "open", "path": str(tmp_path / "asked.py")}) == {"error": 24}


def test_one_that_was_killed_is_replaced(child):
    """Between two questions nobody notices."""
    pid = child.ask({"do": "children"})["pid"]
    os.kill(pid, signal.SIGKILL)
    while child.ask({"do": "children"}) is None:
        pass  # it was ended just as it was asked
    assert child.ask({"do": "children"})["pid"] != pid


def test_threads_take_turns(child):
    """Each gets the answer to its own question."""
    got = {}

    def ask(number):
        got[number] = child.ask({"do": "echo", "number": number})["number"]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: number for number in range(20)}


def test_no_process_is_said(monkeypatch):
    """Where the system starts none, or what starts does not get ready."""
    monkeypatch.setattr(child_module, "_COMMAND", ["/nowhere/python"])
    with pytest.raises(ChildError, match="no process can be started"):
        Child("asked").ask({})
    monkeypatch.setattr(child_module, "_COMMAND", [sys.executable, "-c"])
    with pytest.raises(ChildError):
        Child("no_such_module").ask({})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_has_its_own(child):
    """Two processes never write to one child."""
    pid = child.ask({"do": "children"})["pid"]
    program = os.fork()
    if program == 0:
        mine = child.ask({"do": "children"})
        child.close()
        os._exit(0 if mine and mine["pid"] != pid else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) == 0
    assert child.ask({"do": "children"})["pid"] == pid


@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_its_parent(tmp_path, stopped):
    """However that ends: there is nobody left to ask; also if somebody has stopped it."""
    if stopped and sys.platform != "linux":
        pytest.skip("only Linux tells it")
    (tmp_path / "asked.py").write_text(textwrap.dedent(MODULE))
    script = (
        "from softchat.base.child import Child; import time\n"
        "child = Child('asked')\n"
        "print(child.ask({'do': 'children'})['pid'], flush=True)\n"
        "time.sleep(1000)"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environ = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ
    ) as it:
        pid = int(it.stdout.readline())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)  # until it stands
        it.kill()
    with suppress(ProcessLookupError):
        while True:  # as long as it takes
            os.kill(pid, 0)
            time.sleep(0.01)
