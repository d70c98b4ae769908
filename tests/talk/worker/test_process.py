"""The process of a worker: what it gets, what it can't reach, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softchat.errors import ModelRefusedError, WorkerDiedError
from softchat.settings import resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.conversation import Conversation
from softchat.talk.worker import process
from softchat.talk.worker.process import Worker, environment
from softchat.talk.worker.remote import WorkerBackend

SECRETS = {
    "HF_TOKEN": "pl4nted", "HUGGING_FACE_HUB_TOKEN": "pl4nted", "AWS_SECRET_ACCESS_KEY": "pl4nted",
    "LLAMA_API_KEY": "pl4nted", "PIP_INDEX_URL": "http://user:pl4nted@127.0.0.1/simple",
    "SSH_AUTH_SOCK": "/tmp/pl4nted", "SOMETHING_NEW": "pl4nted",
}  # fmt: skip
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def gone(pid, seconds=20):
    """Whether this process ends soon; a zombie that nobody waits for has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_only_variables_that_are_needed_are_passed_on():
    """Where things are, how to compute; no secret, and nothing that nobody has thought of."""
    needed = {"PATH": "/bin", "LC_ALL": "C", "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0"}
    passed = environment({**needed, **SECRETS})
    assert passed.items() >= {**needed, "GGML_NO_BACKTRACE": "1"}.items()
    assert "pl4nted" not in str(passed)


def test_a_system_that_starts_no_process(monkeypatch):
    """Out of processes or memory, say: one line, and a way that needs none."""
    monkeypatch.setattr(process, "COMMAND", ["/nowhere/python"])
    with pytest.raises(WorkerDiedError, match=r"no process can be started: No such file") as caught:
        Worker()
    assert "SOFTCHAT_WORKER=0" in caught.value.hint


@needs_proc
def test_no_secret_is_in_the_process(monkeypatch, load):
    """Nor are they in what the system tells of it."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with WorkerBackend(Worker(), load) as remote:
        found = Path(f"/proc/{remote.worker.pid}/environ").read_bytes()
        assert b"PATH=" in found
        assert b"pl4nted" not in found
        limits = Path(f"/proc/{remote.worker.pid}/limits").read_text()
        assert limits.partition("Max core file size")[2].split()[:2] == ["0", "0"]


def test_it_is_of_a_session_of_its_own(remote):
    """No key of the terminal reaches it, and no signal to softchat's group."""
    assert os.getsid(remote.worker.pid) == remote.worker.pid != os.getsid(0)


def test_it_imports_this_very_softchat(monkeypatch, tmp_path):
    """Wherever it is started: a folder `softchat` there is not run."""
    (tmp_path / "softchat").mkdir()
    (tmp_path / "softchat" / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    worker = Worker()
    with pytest.raises(RuntimeError, match="nothing is loaded"):
        worker.call("room")
    worker.close()


PRINTS = """
import os, sys
from softchat.talk.worker import serve
answer = serve._Server.answer
def printing(self, request):
    for what in (b"\\x1b[2J{}\\n" * 30000, b'{"done": 1, "used": 0, "result": null}\\n'):
        os.write(1, what)  # as native code would, to what it takes for stdout
        os.write(2, what)
    os.write(2, b"/src/x.cpp:1: \\x1b]52;c;eA==\\x07\\x9bthe end\\n")
    answer(self, request)
serve._Server.answer = printing
serve.main()
"""


def test_what_native_code_prints_goes_nowhere(monkeypatch, load, capfd):
    """Not onto the wire, not onto the terminal; the last of it is told when it dies, made inert."""
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", PRINTS])
    with WorkerBackend(Worker(), load) as remote:
        events = list(
            remote.ask(ChatRequest(text="One?"), resolve({"max_think": 3, "max_answer": 3}))
        )
        assert [event.event for event in events[:2]] == ["started", "prefill"]
        os.kill(remote.worker.pid, signal.SIGABRT)
        with pytest.raises(WorkerDiedError) as raised:
            list(remote.ask(ChatRequest(text="Two?"), resolve({})))
    said = "x.cpp:1: ␛]52;c;eA==␇�the end"
    assert raised.value.message == f"llama.cpp died of SIGABRT on tiny.gguf: {said}"
    assert capfd.readouterr() == ("", "")


LIES = """
import os, sys, time
sys.stdin.readline()
os.write(1, {!r}.encode() + b"\\n")
time.sleep(60)
"""


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"event": "step"}', '{"event": "answer", "text": 7}', '{"event": []}', "\x00"],
)
def test_what_is_no_event_ends_the_worker(monkeypatch, load, line):
    """It is not shown, and not asked again."""
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", LIES.format(line)])
    worker = Worker()
    with pytest.raises(ModelRefusedError, match="the worker sent what is no event"):
        WorkerBackend(worker, load)
    assert gone(worker.pid)


def test_closing_leaves_nothing(load):
    """No process, not even one that waits to be counted, and no open file."""
    before = len(list(Path("/dev/fd").iterdir()))
    remote = WorkerBackend(Worker(), load)
    remote.close()
    remote.close()
    with pytest.raises(ProcessLookupError):
        os.kill(remote.worker.pid, 0)
    with pytest.raises(WorkerDiedError):
        list(remote.ask(ChatRequest(text="x"), resolve({})))
    assert len(list(Path("/dev/fd").iterdir())) == before


PARENT = """
import sys, time
from pathlib import Path
from softchat.settings import resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
worker = Worker()
print(worker.pid, flush=True)
if sys.argv[1] != "starting":
    remote = WorkerBackend(worker, Load(path=Path(sys.argv[2]), name="t", n_ctx=2048, n_threads=1))
    print("loaded", flush=True)
if sys.argv[1] == "thinking":
    long = resolve({"max_think": 2000, "tau": 0, "loop_steps": 0, "drift_steps": 0})
    while True:
        for event in remote.ask(ChatRequest(text="x"), long):
            pass
time.sleep(600)
"""


@pytest.mark.parametrize("doing", ["starting", "waiting", "thinking", "stopped"])
def test_it_ends_with_its_parent(tiny_model, doing):
    """Whatever it is at, also if the parent has no time for a last word, or somebody stopped it."""
    if doing == "stopped" and sys.platform != "linux":
        pytest.skip("only Linux tells it")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, doing, str(tiny_model)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid = int(parent.stdout.readline())
        if doing != "starting":
            assert parent.stdout.readline() == "loaded\n"
        if doing == "stopped":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)  # until it stands
        parent.kill()
    assert gone(pid)


def test_who_talks_to_a_worker_imports_no_engine():
    """Neither llama.cpp nor numpy is in a process that only asks; Ctrl-C is soon told there."""
    code = (
        "import sys, softchat.talk.worker.remote, softchat.repl.session, softchat.cli.model\n"
        "print(sorted({'llama_cpp', 'numpy', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_signal_to_stop_is_soon_obeyed(remote):
    """Within a step or two of a model as small as this, however long it would go on."""
    long = {"max_think": 900, "tau": 0.0, "loop_steps": 0, "drift_steps": 0, "temperature": 1.2}
    talk = Conversation(remote)
    pressed = []
    events = []
    for event in talk.ask("One?", resolve(long), cancelled=lambda: bool(pressed)):
        events.append(event)
        if len(events) == 20:
            pressed.append(True)
    assert len(events) < 400


def test_an_answer_that_is_wanted_now_comes(remote):
    """The thinking ends in the worker, and the turn goes on to its answer."""
    talk = Conversation(remote)
    seen = []
    long = {"max_think": 900, "max_answer": 3, "tau": 0.0, "loop_steps": 0, "drift_steps": 0}
    settings = resolve(long | {"temperature": 1.2})
    for event in talk.ask("One?", settings, answer_now=lambda: len(seen) > 3):
        seen.append(event)
    halted = next(event for event in seen if event.event == "halted")
    assert (halted.reason, halted.injected != "") == ("asked", True)
    assert 0 < halted.steps < 400
    assert seen[-1].event == "finished"
