"""A server that is not there, or goes: one line that names it, nothing lost, and on it goes."""

from __future__ import annotations

import math
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.engine.placement import Placement
from softchat.engine.servers import is_of_servers
from softchat.errors import ModelRefusedError, ServerError, UsageError
from softchat.events import Answer, Finished, Prefill, Started, Step
from softchat.models.locate import Located
from softchat.repl.session import Session
from softchat.settings import resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from tests.rpc.liar import DEVICE_COUNT, GET_ALIGNMENT, GET_TENSOR, Liar

LONG = {"tau": 0.0, "max_think": 300, "loop_steps": 0, "drift_steps": 0, "max_answer": 300}


@pytest.fixture
def load(servers, tiny_model):
    """How the tiny model is loaded, on both servers."""
    placement = Placement(servers=servers.take(2))
    return Load(path=tiny_model, name="tiny", n_ctx=1024, n_threads=1, placement=placement)


@pytest.fixture
def session(load, tiny_model):
    """A session with that model."""
    one = Session(
        Located(name="tiny", path=Path(tiny_model), entry=None),
        lambda found, cancelled: WorkerBackend(Worker(), load, cancelled=cancelled),
        config=Config(),
        chosen=Source(values=LONG, origin=str),
    )
    yield one
    one.close()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("moment", [Started, Prefill, Step, Answer])
def test_a_server_that_is_killed_in_a_turn(servers, session, load, moment, which):
    """It is named, the turn's text is kept, and when it is back the session goes on."""
    address = load.placement.servers[which]
    with pytest.raises(ServerError, match=f"{address} has gone") as caught:  # noqa: PT012  # a loop
        for event in session.ask("Why?", temperature=1.5):
            if isinstance(event, moment):
                servers.kill(address)
                moment = ()
    assert "what was said is kept" in caught.value.hint
    assert session.last().question == "Why?"
    assert session.last().failed
    with pytest.raises(ServerError, match=address):
        list(session.ask("Again?"))
    servers.start(address)
    *_, last = session.ask("And now?", max_think=3, max_answer=3)
    assert isinstance(last, Finished)


def test_a_server_that_goes_between_turns_costs_none(servers, session, load):
    """It is noticed before the next question; if it is back already, that is answered."""
    list(session.ask("One?", max_think=3, max_answer=3))
    address = load.placement.servers[1]
    servers.kill(address)
    servers.start(address)
    with pytest.raises(ServerError, match=address):
        session.check()
    *_, last = session.ask("Two?", max_think=3, max_answer=3)
    assert isinstance(last, Finished)
    assert len(session.turns) == 2


def test_none_at_the_start(servers, load):
    """Loading says which one is missing."""
    address = load.placement.servers[0]
    servers.kill(address)
    with pytest.raises(ServerError, match=f"no server at {address}: connection refused"):
        WorkerBackend(Worker(), load)
    servers.start(address)


def test_two_clients(load, monkeypatch):
    """The second is told that the server has one, and the first goes on."""
    from softchat.engine import servers as known

    with WorkerBackend(Worker(), load) as first:
        monkeypatch.setattr(known.greet, "__kwdefaults__", {"patience_s": 0.2})
        with pytest.raises(ServerError, match="does not answer within"):
            known.greet(load.placement.servers[0])
        settings = resolve(LONG, {"max_think": 3, "max_answer": 3})
        *_, last = first.ask(ChatRequest(text="Why?"), settings)
        assert isinstance(last, Finished)


def test_a_server_that_hangs(servers, load):
    """Ctrl-C gets away from it: after a grace the model is let go, and the server named."""
    address = load.placement.servers[0]
    worker = Worker()
    hangs_from = [math.inf]
    with WorkerBackend(worker, load) as backend:
        worker.grace_s = 0.5
        hung = os.getpgid(servers.process(address))
        try:
            with pytest.raises(ServerError, match=address):  # noqa: PT012  # a loop
                for event in backend.ask(
                    ChatRequest(text="Why?"),
                    resolve(LONG),
                    # Later: told at once, the worker might stop before it asks the server again.
                    cancelled=lambda: time.monotonic() > hangs_from[0] + 1,
                ):
                    if isinstance(event, Step) and math.isinf(hangs_from[0]):
                        os.killpg(hung, signal.SIGSTOP)
                        hangs_from[0] = time.monotonic()
        finally:
            os.killpg(hung, signal.SIGCONT)


def test_memory_that_ends_on_a_server(tiny_model, limited_server):
    """Fewer layers are tried, down to what fits, and a note says how many that are."""
    placement = Placement(servers=(limited_server,), gpu_layers=2)
    load = Load(path=tiny_model, name="x", n_ctx=2048, n_threads=1, placement=placement)
    with WorkerBackend(Worker(), load) as backend:
        assert backend.info.gpu_layers < 2
        assert f"of 3 layers are on {limited_server}" in backend.note


def test_named_devices(servers, load, tiny_model):
    """One of two servers by its device's name; a name that is none lists those there are."""
    both = load.placement.servers
    one = Load(
        path=tiny_model,
        name="x",
        n_ctx=64,
        n_threads=1,
        placement=Placement(servers=both, devices=("RPC1",)),
    )
    with WorkerBackend(Worker(), one) as backend:
        assert backend.info.devices == both[1:]
    wrong = Load(
        path=tiny_model, name="x", n_ctx=64, placement=Placement(servers=both, devices=("X",))
    )
    with pytest.raises(UsageError, match="no device X") as caught:
        WorkerBackend(Worker(), wrong)
    assert "RPC0, RPC1; or none" in caught.value.hint


TWO_LOADS = """
import sys
from pathlib import Path
from softchat.engine.llama import LlamaEngine
from softchat.engine.placement import Placement
for server in sys.argv[2:]:
    placement = Placement(servers=(server,))
    LlamaEngine(Path(sys.argv[1]), n_ctx=64, n_threads=1, placement=placement).close()
    print(server, flush=True)
    input()
"""


def test_a_server_that_is_killed_while_questions_are_answered(
    servers, softchat, environ, tiny_model, tmp_path
):
    """`eval` has the model itself: it names the server, too, and the same command goes on."""
    first, _ = servers.take(2)
    data, out = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    data.write_text("\n".join(f'{{"question": "{n}?", "answer": "1"}}' for n in range(40)))
    flags = ["-m", str(tiny_model), "--rpc", first, "--out", str(out), "--max-think", "300"]
    flags += ["--tau", "0", "--loop-steps", "0", "--drift-steps", "0", "--max-answer", "9"]
    with subprocess.Popen(
        [sys.executable, "-m", "softchat", "eval", str(data), *flags],
        env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        while not out.exists() or out.read_text().count("\n") < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        servers.kill(first)
        _, said = process.communicate()
    assert process.returncode == 1
    *_, error, hint = said.splitlines()
    assert error == f"error: {first} has gone"
    assert hint.endswith("the same command goes on there")
    kept = out.read_text()
    done = softchat("eval", str(data), *flags, "--limit", "1")
    assert done.status == 1, done  # none is there
    assert f"no server at {first}" in done.err
    servers.start(first)
    assert softchat("eval", str(data), *flags, "--limit", "1").status == 0
    assert out.read_text().startswith(kept)


def test_a_server_of_before_is_not_asked(servers, tiny_model):
    """llama.cpp knows it for good; that it has gone does not end a process that loads elsewhere."""
    first, second = servers.take(2)
    with subprocess.Popen(
        [sys.executable, "-c", TWO_LOADS, str(tiny_model), first, second],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout.readline() == f"{first}\n"
        servers.kill(first)
        assert process.communicate("\n\n")[0] == f"{second}\n"
    assert process.returncode == 0
    servers.start(first)


@pytest.fixture
def liar(servers):
    """Make somebody who stands before a server, and passes on all but one answer."""
    made = []

    def make(command, lie=None, **how):
        (server,) = servers.take(1)
        made.append(Liar(server, command, lie, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_server_that_stalls_before_a_model_is_loaded(liar, tiny_model):
    """It is hung up on after ten seconds, and named."""
    one = liar(DEVICE_COUNT, after=1)
    load = Load(path=tiny_model, name="x", n_ctx=64, placement=Placement(servers=(one.address,)))
    with pytest.raises(ServerError, match=one.address):
        WorkerBackend(Worker(), load)
    assert one.stalled.is_set()


@pytest.mark.parametrize(
    ("command", "lie", "said"),
    [
        (GET_ALIGNMENT, lambda body: struct.pack("<Q", 3), "llama.cpp died of SIGABRT"),
        (GET_TENSOR, lambda body: struct.pack("<f", math.nan) * (len(body) // 4), "no token a log"),
        (GET_TENSOR, lambda body: os.urandom(len(body)), "embedding rows and their tokens"),
    ],
)
def test_a_server_that_answers_wrongly(liar, tiny_model, command, lie, said):
    """The model's file is not blamed alone."""
    one = liar(command, lie)
    load = Load(path=tiny_model, name="x", n_ctx=64, placement=Placement(servers=(one.address,)))
    with pytest.raises(ModelRefusedError, match=said) as caught:
        WorkerBackend(Worker(), load)
    assert caught.value.hint.endswith(f"; or {one.address} answers wrongly")


STALLED_LOAD = """
import sys
from pathlib import Path
from softchat.engine import rpc
rpc.no_silence.__wrapped__.__defaults__ = (1.0,)  # seconds of patience
from softchat.engine.llama import LlamaEngine
from softchat.engine.placement import Placement
LlamaEngine(Path(sys.argv[1]), n_ctx=64, n_threads=1, placement=Placement(servers=(sys.argv[2],)))
"""


def test_a_server_that_stalls_while_a_model_is_loaded(liar, tiny_model, environ):
    """It is hung up on after a while: ggml ends the process then, as if the server had gone."""
    one = liar(GET_ALIGNMENT)
    done = subprocess.run(
        [sys.executable, "-c", STALLED_LOAD, tiny_model, one.address],
        env={**environ, "GGML_NO_BACKTRACE": "1"}, check=False, capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == -signal.SIGABRT
    assert is_of_servers(done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stalls_while_questions_are_answered(
    liar, environ, tiny_model, tmp_path, number
):
    """A second signal ends `eval` all the same, and what is asked of no one is told."""
    one = liar(GET_TENSOR, after=40)
    data = tmp_path / "data.jsonl"
    data.write_text('{"question": "1?", "answer": "1"}\n' * 9)
    flags = ["-m", str(tiny_model), "--rpc", one.address, "--max-think", "30", "--parallel", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "softchat", "eval", str(data), *flags],
        env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert one.stalled.wait(60)
        for _ in range(2):
            time.sleep(0.5)
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)
    assert said.splitlines()[-1].endswith(f"was ended: does {one.address} still answer?")
