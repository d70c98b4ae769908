"""A backend in a worker is one in this process, seen through a pipe."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from softchat.engine.placement import Placement
from softchat.engine.protocol import Lora
from softchat.errors import ContextError, DecodeAbortedError, ModelRefusedError
from softchat.events import Finished, FinishReason, Halted, HaltReason, Prefill, Step, to_dict
from softchat.prompt.tags import ThinkTags
from softchat.record.runs import Run
from softchat.settings import StrategyName, resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.conversation import Conversation
from softchat.talk.load import Load
from softchat.talk.local import LocalBackend
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend

SHORT = {"tau": 0.0, "topn": 4, "temperature": 1.2, "max_think": 9, "max_answer": 6, "seed": 1}
LONG = {"tau": 0.0, "max_think": 900, "loop_steps": 0, "drift_steps": 0, "temperature": 1.2}


def timeless(events):
    return [without_times(to_dict(event)) for event in events]


def without_times(event):
    return {name: value for name, value in event.items() if not name.endswith("_s")}


def talk_of(backend, **more):
    """What a conversation of several turns gives: all events, and what was told between."""
    talk = Conversation(backend, **more)
    seen = []
    for question, values in (
        ("One?", {}), ("Two?", {"strategy": "hard"}), ("Three?", {"max_think": 0}),
    ):  # fmt: skip
        settings = resolve(SHORT, values)
        seen.append(talk.room(question, settings))
        seen.append(timeless(talk.ask(question, settings)))
        seen.append(talk.used)
    talk.turns.pop()
    seen.append(timeless(talk.ask("Four?", resolve(SHORT), keep=False)))
    del talk.turns[:1]
    seen.append(timeless(talk.ask("Five?", resolve(SHORT))))
    return seen


@pytest.mark.parametrize("keep_thoughts", [False, True])
def test_a_worker_gives_the_events_of_this_process(remote, load, keep_thoughts):
    """Over turns, with undo, drop and what is only tried out; all but the times."""
    more = {"system": "Speak.", "keep_thoughts": keep_thoughts}
    with LocalBackend(load.engine(cancelled=lambda: False)) as here:
        assert here.info == remote.info
        assert here.scale == remote.scale
        assert talk_of(remote, **more) == talk_of(here, **more)


def test_so_it_is_on_the_default_model(real_model):
    """With each strategy."""
    load = Load(path=real_model, name="real", n_ctx=512, n_threads=1)
    question = ChatRequest(text="How many legs have three spiders?", fresh=True)
    with (
        WorkerBackend(Worker(), load) as remote,
        LocalBackend(load.engine(cancelled=lambda: False)) as here,
    ):
        for strategy in StrategyName:
            short = {"max_think": 24, "max_answer": 12, "seed": 3}
            settings = resolve(short, {"strategy": strategy})
            there = timeless(remote.ask(question, settings))
            assert there == timeless(here.ask(question, settings)), strategy
            assert sum(event["event"] == "step" for event in there) > 3


def test_the_command_line_can_do_without_a_worker(softchat):
    """SOFTCHAT_WORKER=0 has the model in softchat's own process; the events are the same."""
    flags = ("--json", "--seed", "3", "--max-think", "6", "--max-answer", "6", "--threads", "1")
    runs = [softchat("ask", "Why?", *flags, SOFTCHAT_WORKER=worker) for worker in "10"]
    there, here = (
        [without_times(json.loads(line)) for line in run.out.splitlines()] for run in runs
    )
    assert there == here
    assert here[-1]["event"] == "finished"


def test_a_fresh_question_reads_all_of_its_prompt(remote):
    """As the first one did: what is compared has nothing of another run."""
    settings = resolve(SHORT)
    first, again, fresh = (
        list(remote.ask(ChatRequest(text="One?", fresh=fresh), settings))
        for fresh in (False, False, True)
    )
    assert [one.cached > 0 for one in (first[1], again[1], fresh[1])] == [False, True, False]
    assert isinstance(fresh[1], Prefill)
    assert timeless(first) == timeless(fresh)


def test_an_error_comes_back_as_what_it_was(remote):
    """Its kind, message, hint and exit status; and the next turn works."""
    talk = Conversation(remote)
    with pytest.raises(ContextError, match="the prompt has 20") as raised:
        list(talk.ask("x" * 2000, resolve(SHORT)))
    assert raised.value.hint == "shorten it, or give more with --ctx"
    assert isinstance(list(talk.ask("x", resolve(SHORT)))[-1], Finished)
    assert len(talk.turns) == 1


def test_a_bug_in_the_worker_keeps_its_traceback(remote):
    """It is no error of the user's."""
    with pytest.raises(RuntimeError, match=r"in the worker:[\s\S]*Traceback"):
        remote.worker.call("room", question={"text": "x", "said": []}, settings=None)


def test_a_model_that_can_not_be_loaded_is_refused(load, tmp_path):
    """In the words of the engine, with nothing left running."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(load.path.read_bytes()[:-50000])
    worker = Worker()
    with pytest.raises(ModelRefusedError, match=r"cut short: cut\.gguf"):
        WorkerBackend(worker, replace(load, path=cut))
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_all_of_a_load_is_sent(load):
    """A worker gets each value as it was given, paths of any bytes included."""
    whole = replace(
        load,
        path=Path("/a/\udcff.gguf"),
        n_ctx_most=7,
        n_threads=3,
        placement=Placement(gpu_layers=3, devices=("a",), servers=("b:1",), cache_type="q8_0"),
        loras=(Lora(path=Path("x=1"), scale=0.5),),
        merge=Path("/b"),
        tags=ThinkTags(open="[", close="]"),
    )
    assert Load.read(asdict(whole)) == whole


def stopped_after(calls):
    """A `cancelled` that says so from then on."""
    count = itertools.count()
    return lambda: next(count) >= calls


def test_a_turn_that_is_stopped_ends_as_interrupted(remote):
    """Within the turn: what has been said is its answer, and the next turn is not stopped."""
    talk = Conversation(remote)
    for calls in (0, 1, 5, 30):
        events = list(talk.ask("One?", resolve(LONG), cancelled=stopped_after(calls)))
        assert events[-1].finish_reason is FinishReason.INTERRUPTED
        assert events[-2] == Halted(reason="interrupted", steps=events[-1].steps, injected="")
        after = list(talk.ask("Two?", resolve(SHORT)))
        assert after[-1].finish_reason is not FinishReason.INTERRUPTED


def test_a_stop_that_comes_too_late_stops_nothing(remote):
    """It is for the turn that it was pressed in, not for the next."""
    talk = Conversation(remote)
    list(talk.ask("One?", resolve(SHORT)))
    remote.worker._stop(remote.worker._asked)
    remote.worker._stopped = 0
    after = list(talk.ask("Two?", resolve(SHORT)))
    assert after[-1].finish_reason is not FinishReason.INTERRUPTED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_a_worker_that_somebody_stopped_goes_on(remote):
    """With what it is asked, and with the Ctrl-C that ends a turn."""
    talk = Conversation(remote)
    stopped = []
    for event in talk.ask("One?", resolve(LONG), cancelled=lambda: bool(stopped)):
        if isinstance(event, Step) and not stopped:
            os.kill(remote.worker.pid, signal.SIGSTOP)
            stopped.append(event)
    assert event.finish_reason is FinishReason.INTERRUPTED
    os.kill(remote.worker.pid, signal.SIGSTOP)
    assert talk.room("Two?", resolve(SHORT)).missing == 0


def test_a_turn_that_nobody_looks_at_any_more_is_stopped(remote):
    """Its rest is none of the next turn's."""
    talk = Conversation(remote)
    expected = timeless(Conversation(remote).ask("Two?", resolve(SHORT)))
    events = talk.ask("One?", resolve(LONG))
    assert isinstance(list(itertools.islice(events, 5))[-1], Step)
    events.close()
    assert talk.turns == []
    found = timeless(talk.ask("Two?", resolve(SHORT)))
    assert found[2:] == expected[2:]  # the prompt, partly, is there already


@pytest.mark.parametrize("hangs", [False, True])
def test_loading_can_be_stopped(load, hangs):
    """Before the worker has even begun, also if it hangs; and nothing of it is left."""
    worker, soon = Worker(), stopped_after(3)

    def cancelled():
        if hangs:
            os.kill(worker.pid, signal.SIGSTOP)
        return soon()

    with pytest.raises(DecodeAbortedError):
        WorkerBackend(worker, load, cancelled=cancelled)
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_a_worker_waits_for_a_reader_that_is_slow(remote):
    """It runs on until the pipe is full, then it waits; nothing is lost."""
    events = remote.ask(ChatRequest(text="One?"), resolve(LONG))
    first = list(itertools.islice(events, 3))
    time.sleep(0.5)
    whole = [*first, *events]
    steps = [event.index for event in whole if isinstance(event, Step)]
    assert steps == list(range(len(steps)))
    assert isinstance(whole[-1], Finished)


def test_keys_go_over_the_wire(remote):
    """Each step waits for one in the worker too; those of another run do not count."""
    settings = resolve({}, SHORT | {"tau": 0.0, "max_think": 6, "max_answer": 2})
    talk = Conversation(remote)
    keys = iter([" ", "2", " ", "b", "1", "a", "x", "x"])
    run = Run.of(talk.ask("One?", settings, keys=lambda: next(keys, "")))
    assert run.halted.reason is HaltReason.ASKED
    steps = [event for event in run.events if isinstance(event, Step)]
    assert [step.index for step in steps][:4] == [0, 1, 1, 2]
    assert len(run.steps) == 4
    again = Run.of(talk.ask("One?", settings))
    assert again.halted.reason is not HaltReason.ASKED
