"""Native code that ends its process: a turn is cut, and the conversation goes on."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from softchat.config.file import Config
from softchat.config.layers import Source
from softchat.errors import WorkerDiedError
from softchat.events import Answer, Error, Finished, Step, to_dict
from softchat.models import Located
from softchat.record.session_file import SessionFile
from softchat.record.session_format import read_file
from softchat.repl.loop import Repl
from softchat.repl.session import Session
from softchat.settings import resolve
from softchat.talk.conversation import Conversation
from softchat.talk.load import Load
from softchat.talk.local import LocalBackend
from softchat.talk.worker import process
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from softchat.views.plain import AnswerView
from tests import tiny
from tests.faults.soak import times
from tests.terminal import LONG, assert_settled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no workers")
SIGNALS = [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL]
CHOSEN = {
    "tau": 0.0, "topn": 4, "temperature": 1.2, "max_think": 60, "max_answer": 40, "seed": 1,
    "loop_steps": 0, "drift_steps": 0, "answer_temperature": 1.5,
}  # fmt: skip


@pytest.fixture
def repl(tiny_model, tmp_path, monkeypatch):
    """A session without a terminal, whose model is in a worker.

    Each step is read when it comes: the tiny model would have answered before the next look.
    """
    monkeypatch.setattr(process, "_LOT_S", 0.0)

    def open_backend(found, cancelled):
        load = Load(path=found.path, name="tiny", n_ctx=2048, n_threads=1)
        return WorkerBackend(Worker(), load, cancelled=cancelled)

    session = Session(
        Located(name="tiny", path=tiny_model, entry=None),
        open_backend,
        config=Config(),
        chosen=Source(values=CHOSEN, origin=str),
    )
    out = StringIO()
    one = Repl(
        session,
        Console(file=out, width=200),
        make_view=lambda: AnswerView(out),
        find=lambda name: session.found,
        saved=SessionFile(tmp_path / "sessions"),
    )
    one.out = out
    yield one
    one.close()


def pid_of(session):
    return session.conversation().backend.worker.pid


def kill_after(repl, number, events):
    """Have the worker end in this way once so many events were seen, in the next turn alone."""
    make_view, seen = repl._make_view, []

    class View(AnswerView):
        def show(self, event):
            super().show(event)
            seen.append(event)
            if len(seen) == events:
                os.kill(pid_of(repl.session), number)

    def once():
        repl._make_view = make_view
        return View(repl.out)

    repl._make_view = once
    return seen


def test_a_worker_that_dies_at_a_random_step_costs_the_rest_of_a_turn(repl, tiny_model):
    """What was seen of it is kept, and the next turn is the one of a process that never died."""
    rng = random.Random(5)
    load = Load(path=tiny_model, name="tiny", n_ctx=2048, n_threads=1)
    tried = 0
    with LocalBackend(load.engine(cancelled=lambda: False)) as here:
        while tried < times(8, 50):
            number = SIGNALS[tried % len(SIGNALS)]
            repl.out.truncate(0)
            seen = kill_after(repl, number, rng.randint(1, 80))
            repl.handle("One?")
            cut = repl.session.last()
            if not cut.failed:  # it had ended before
                continue
            tried += 1
            assert cut.events[: len(seen)] == tuple(seen)
            assert isinstance(cut.events[-1], Error)
            assert cut.answer == "".join(one.text for one in cut.events if isinstance(one, Answer))
            assert f"error: llama.cpp died of {number.name} on tiny.gguf" in repl.out.getvalue()
            assert "the model is loaded again" in repl.out.getvalue()
            before = list(repl.session.turns)
            repl.handle("Two?")
            talk = Conversation(here)
            talk.turns = before
            asked = replace(talk.question("Two?"), fresh=True)
            expected = list(here.ask(asked, resolve(CHOSEN)))
            assert answer_of(repl.session.last().events) == answer_of(expected)
            repl.handle("/clear")
    print(tried, "deaths, each in a turn that was kept, each with a turn behind it that was whole")


def answer_of(events):
    """All of a run that does not depend on what the cache held before, nor on the clock."""
    assert isinstance(events[-1], Finished)
    whole = [to_dict(event) for event in events if isinstance(event, Step | Answer)]
    return [{k: v for k, v in one.items() if k != "elapsed_s"} for one in whole]


def test_what_was_seen_is_on_disk(repl, tmp_path):
    """The question and the part of the answer, in the session's file."""
    for wanted in ("max_answer 1000", "answer_temperature 0", "answer_loop 0"):
        repl.handle(f"/set {wanted}")  # or all of it is told before the signal comes
    seen = kill_after(repl, signal.SIGSEGV, 75)
    repl.handle("One?")
    (path,) = (tmp_path / "sessions").glob("*.json")
    (turn,) = read_file(path).turns
    assert turn.question == "One?"
    assert turn.answer.startswith("".join(one.text for one in seen if isinstance(one, Answer)))
    assert turn.answer
    repl.handle("/stats")
    assert re.search(r"1 +- +- +died", repl.out.getvalue())


def test_a_model_that_dies_again_and_again_is_left_alone(repl):
    """Two new workers at the most without a turn that ends; /model has another go."""
    repl.handle("/set max_answer 400")  # or all of it is told before the signal comes
    for said in ("loaded again", "loaded again", "in vain"):
        kill_after(repl, signal.SIGABRT, 3)
        repl.handle("One?")
        assert said in repl.out.getvalue().splitlines()[-1]
    repl.out.truncate(0)
    repl.handle("Two?")
    assert "error: llama.cpp died of SIGABRT" in repl.out.getvalue()
    assert len(repl.session.turns) == 3
    repl.handle("/model tiny")
    repl.handle("Two?")
    assert repl.session.last().finished
    kill_after(repl, signal.SIGABRT, 3)  # the count begins anew
    repl.handle("One?")
    assert "loaded again" in repl.out.getvalue().splitlines()[-1]


def test_a_turn_between_two_deaths_makes_them_two_single_ones(repl):
    """Many deaths in a long session are no reason to give up."""
    for _ in range(4):
        kill_after(repl, signal.SIGKILL, 3)
        repl.handle("One?")
        repl.handle("Two?")
        assert repl.session.last().finished


def test_a_worker_that_dies_between_turns_costs_none(repl):
    """The next question is asked of a new one, with a warning."""
    repl.handle("One?")
    os.kill(pid_of(repl.session), signal.SIGKILL)
    time.sleep(0.1)
    repl.handle("Two?")
    assert "warning: llama.cpp died of SIGKILL on tiny.gguf" in repl.out.getvalue()
    assert [turn.question for turn in repl.session.turns if turn.finished] == ["One?", "Two?"]


def test_again_has_its_turn_back(repl):
    """A whole answer is not given up for a part of one."""
    repl.handle("One?")
    before = repl.session.last()
    kill_after(repl, signal.SIGSEGV, 70)
    repl.handle("/again seed=2")
    assert repl.session.turns == [before]


def test_a_file_that_is_cut_while_it_is_open(tiny_model, tmp_path):
    """SIGBUS, where llama.cpp reads what is no longer there; told with the file's name."""
    copy = tmp_path / "short.gguf"
    copy.write_bytes(tiny_model.read_bytes())
    with WorkerBackend(Worker(), Load(path=copy, name="t", n_ctx=256, n_threads=1)) as remote:
        os.truncate(copy, 4096)
        talk = Conversation(remote)
        with pytest.raises(WorkerDiedError, match=r"llama\.cpp died of SIGBUS on short\.gguf"):
            list(talk.ask("One?", resolve(CHOSEN)))
        assert talk.turns[0].failed


@pytest.fixture
def twice(tmp_path):
    """A vocabulary that holds one token twice: llama.cpp aborts."""
    letters = tiny.ASCII[:-1] + tiny.ASCII[0]
    return tiny.write(tmp_path / "twice.gguf", letters=letters)


@pytest.mark.parametrize(
    "command",
    [("ask", "x"), ("compare", "x"), ("ask", "x", "--json"), ("models", "info", "--prove")],
)
def test_a_file_that_aborts_llama_cpp_is_refused(softchat, twice, command):
    """One line and a hint, with what llama.cpp said last; status 3, and no debugger is started."""
    where = (str(twice),) if "info" in command else ("-m", str(twice))
    result = softchat(*command, *where)
    assert result.status == 3, result
    error, hint = result.err.splitlines()
    assert error.startswith("error: llama.cpp died of SIGABRT on twice.gguf: llama-vocab.cpp:")
    assert hint.startswith("hint: the file may be damaged")


@pytest.mark.parametrize(
    "command",
    [("ask", "x"), ("ask", "x", "--samples", "2"), ("compare", "x"), ("eval", "in.jsonl")],
)
def test_a_vocabulary_for_another_tokenizer_is_refused(softchat, tmp_path, monkeypatch, command):
    """One line that names the file, and a hint; status 3."""
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text('{"question": "x", "answer": "1"}\n')
    path = tiny.write(tmp_path / "other.gguf", tokenizer="rwkv")
    result = softchat(*command, "-m", str(path))
    assert result.status == 3, result
    *_, error, hint = result.err.splitlines()
    assert error == "error: the tokenizer of other.gguf gives tokens that are none (-1)"
    assert hint.startswith("hint: its vocabulary is broken")


def test_with_json_the_error_comes_last(environ, real_model):
    """Behind all events that were seen; status 1."""
    command = [sys.executable, "-m", "softchat", "ask", "Why?", "--json", "-m", "smollm2-plain"]
    command += ["--tau", "0", "--max-think", "3000", "--loop-steps", "0", "--drift-steps", "0"]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        lines = [child.stdout.readline() for _ in range(4)]
        (worker,) = children_of(child.pid)
        os.kill(worker, signal.SIGSEGV)
        lines += child.stdout.readlines()
        error = child.stderr.read()
    assert child.returncode == 1
    assert all(line.startswith('{"event": ') for line in lines)
    assert lines[-1].startswith('{"event": "error", "kind": "worker_died", "message": "llama.cpp')
    assert error.startswith("error: llama.cpp died of SIGSEGV on SmolLM2")


def children_of(pid):
    """The processes that this one has started."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        pytest.skip("this system does not tell of children")


def test_without_a_worker_such_a_file_ends_softchat(softchat, twice):
    """So the tests above would see it if there were none."""
    assert softchat("ask", "x", "-m", str(twice), SOFTCHAT_WORKER="0").status == -signal.SIGABRT


def test_a_session_leaves_no_process_behind(terminal, own_home):
    """Neither on its way out nor when another model is loaded."""
    one = terminal()
    one.until(r"context \d+/\d+$")
    (first,) = children_of(one.child.pid)
    one.child.send("/model smollm2-plain\r")
    one.until(r"model smollm2-plain[\s\S]*context \d+/\d+$")
    (second,) = children_of(one.child.pid)
    assert first != second
    one.child.sendeof()
    assert one.finish() == 0
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@contextmanager
def hanging(pid):
    """Have this process stand still, also if it is told to go on."""
    over = threading.Event()

    def stop():
        with suppress(ProcessLookupError):
            while not over.wait(0.001):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_second_ctrl_c_waits_for_nobody(terminal, own_home):
    """A worker that hangs is killed; softchat leaves with 130, the terminal as before."""
    one = terminal("ask", "Why is the sky blue?", *LONG)
    one.until(r"\d+ steps")
    (worker,) = children_of(one.child.pid)
    with hanging(worker):
        one.child.send("\x03")
        one.read(0.3)
        one.child.send("\x03")
        assert one.finish() == 130
    assert_settled(one)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
