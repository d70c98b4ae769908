"""Turns on one cache give what an empty cache would give."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from softchat.engine.llama import LlamaEngine
from softchat.errors import ContextError, DecodeAbortedError
from softchat.events import Finished, FinishReason, Halted, Prefill, Started, Step
from softchat.prompt.tags import ThinkTags
from softchat.settings import resolve
from softchat.talk.conversation import Conversation
from softchat.testing import FakeEngine
from softchat.thinking.concept import mixture
from tests import tiny, zoo
from tests.machine import LETTERS, TEMPLATE, CacheMachine, run_machine

TAGS = ThinkTags(open="丁", close="七", before_close="", after_close="万")


class Lettered(LlamaEngine):
    """The tiny model, whose answers are letters."""

    def is_end(self, token):
        return token < 3


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("conversation") / "tiny.gguf", chat_template=TEMPLATE)


def make_machine(path, keep_thoughts):
    class Machine(CacheMachine):
        def __init__(self):
            super().__init__(partial(Lettered, path, n_ctx=512, n_threads=1))
            self.talk = Conversation(self.engine, tags=TAGS, keep_thoughts=keep_thoughts)

        def conversation(self):
            return self.talk

        def run(self, question, seed, *, stop_after=10**6, keep=True, **values):
            calls = iter(range(10**9))
            settings = resolve({"tau": 0.0, "topn": 3, "seed": seed}, values)
            return list(
                self.talk.ask(
                    question, settings, cancelled=lambda: next(calls) >= stop_after, keep=keep
                )
            )

        question = st.text(LETTERS, min_size=1, max_size=6)
        knobs = st.fixed_dictionaries(
            {
                "strategy": st.sampled_from(["soft", "hard"]),
                "max_think": st.integers(0, 6),
                "max_answer": st.integers(1, 5),
                "temperature": st.sampled_from([0.6, 1.5]),
            }
        )

        @rule(question=question, seed=st.integers(0, 99), knobs=knobs)
        def ask(self, question, seed, knobs):
            events = self.run(question, seed, **knobs)
            assert self.talk.turns[-1].events == tuple(events)

        @rule(question=question, seed=st.integers(0, 99), knobs=knobs, after=st.integers(0, 9))
        def ask_and_stop(self, question, seed, knobs, after):
            self.run(question, seed, stop_after=after, **knobs)

        @rule(question=question, seed=st.integers(0, 99), knobs=knobs, left=st.integers(0, 150))
        def ask_and_stop_within_a_decode(self, question, seed, knobs, left):
            self.left = left
            with suppress(DecodeAbortedError):  # where kept thoughts are put back before the run
                self.run(question, seed, **knobs)
            self.left = 10**9

        @rule(question=question, seed=st.integers(0, 99), knobs=knobs)
        def try_out(self, question, seed, knobs):
            before = list(self.talk.turns)
            self.run(question, seed, keep=False, **knobs)
            assert self.talk.turns == before

        @precondition(lambda self: self.talk.turns)
        @rule(seed=st.integers(0, 99), knobs=knobs)
        def again(self, seed, knobs):
            self.run(self.talk.turns.pop().question, seed, **knobs)

        @precondition(lambda self: self.talk.turns)
        @rule(seed=st.integers(0, 99), knobs=knobs)
        def compare(self, seed, knobs):
            turn = self.talk.turns.pop()
            self.run(turn.question, seed, keep=False, **knobs)
            self.talk.turns.append(turn)

        @precondition(lambda self: self.talk.turns)
        @rule()
        def undo(self):
            self.talk.turns.pop()

        @rule()
        def clear(self):
            self.talk.turns.clear()

        @rule(count=st.integers(0, 2))
        def drop(self, count):
            del self.talk.turns[:count]

        @rule(system=st.text(LETTERS, max_size=3))
        def say_otherwise(self, system):
            self.talk.system = system

    return Machine


@pytest.mark.parametrize("keep_thoughts", [False, True])
def test_random_conversations(model, keep_thoughts):
    """After any turns, undo, again, clear, drops and stops, the cache is right."""
    run_machine(make_machine(model, keep_thoughts), 25)


@pytest.mark.parametrize("keep_thoughts", [False, True])
@pytest.mark.parametrize("kind", ["mamba", "jamba", "gemma3", "qwen2vl"])
def test_random_conversations_on_other_memories(tmp_path, monkeypatch, kind, keep_thoughts):
    """So it is with recurrent states, hybrids, sliding windows, several positions a token."""
    monkeypatch.setattr("softchat.engine.decoder._TAIL", 4)  # these prompts are short
    path = zoo.write(tmp_path / "tiny.gguf", kind, chat_template=TEMPLATE)
    run_machine(make_machine(path, keep_thoughts), 8)


@pytest.fixture
def engine(model):
    with Lettered(model, n_ctx=512, n_threads=1) as opened:
        yield opened


SHORT = {"tau": 0.0, "topn": 3, "temperature": 1.5, "max_think": 5, "max_answer": 4}


def prefill_of(events):
    return next(event for event in events if isinstance(event, Prefill))


def test_a_turn_prefills_only_what_is_new(engine):
    """Of the second turn's prompt, the first turn's is there already; `started` counts both."""
    talk = Conversation(engine, tags=TAGS)
    first = list(talk.ask("一上三", resolve(SHORT)))
    second = list(talk.ask("下", resolve(SHORT)))
    started = next(event for event in second if isinstance(event, Started))
    assert prefill_of(first).cached == 0
    # All of the first prompt but its open tag, where the answer stands now.
    assert prefill_of(second).cached >= prefill_of(first).tokens - 1
    assert started.prompt_tokens == prefill_of(second).cached + prefill_of(second).tokens


def test_kept_thoughts_are_soft_positions(engine):
    """With keep_thoughts the next turn's cache holds each mixture that was fed, in its place."""
    talk = Conversation(engine, tags=TAGS, keep_thoughts=True)
    events = list(talk.ask("一丈三", resolve(SHORT)))
    steps = [event for event in events if isinstance(event, Step)]
    halted = next(event for event in events if isinstance(event, Halted))
    fed = steps if halted.reason == "step_limit" else steps[:-1]
    list(talk.ask("下", resolve(SHORT | {"max_think": 0})))
    held = [item for item in talk.backend._sequence.items if not isinstance(item, int)]
    assert len(held) == len(fed) > 0
    for item, step in zip(held, fed, strict=True):
        rows = engine.embedding_rows([entry.id for entry in step.concept])
        weights = np.array([entry.weight for entry in step.concept], np.float32)
        assert np.array_equal(item, mixture(weights, rows))


def test_other_thoughts_at_the_same_place_are_replaced(engine):
    """What was only tried out does not stay in the cache in place of what was kept."""
    talk = Conversation(engine, tags=TAGS, keep_thoughts=True)
    list(talk.ask("一丈三", resolve(SHORT)))
    kept = talk.backend._sequence.items
    turn = talk.turns.pop()
    list(talk.ask("一丈三", resolve(SHORT | {"topn": 2, "temperature": 1.0}), keep=False))
    talk.turns.append(turn)
    list(talk.ask("上", resolve(SHORT | {"max_think": 0})))
    for mine, other in zip(talk.backend._sequence.items[: len(kept)], kept, strict=True):
        assert np.array_equal(mine, other)


def test_what_is_dropped_takes_later_thoughts_along(engine):
    """Thoughts that were thought behind a dropped turn, or another system prompt, are not kept."""
    talk = Conversation(engine, tags=TAGS, keep_thoughts=True)
    for question in ("一丈三", "上"):
        list(talk.ask(question, resolve(SHORT)))
    assert goes_on_from_thoughts(talk)
    del talk.turns[:1]
    assert not goes_on_from_thoughts(talk)
    list(talk.ask("丈", resolve(SHORT)))
    assert goes_on_from_thoughts(talk)
    talk.system = "三"
    assert not goes_on_from_thoughts(talk)


def goes_on_from_thoughts(talk):
    """Whether the next prompt holds what was thought."""
    prompt, items = talk.backend._prompt(talk.question("下"), resolve({}))
    return items != prompt.tokens


def test_without_keep_thoughts_they_are_gone(engine):
    """The history holds questions and answers only."""
    talk = Conversation(engine, tags=TAGS)
    list(talk.ask("一上三", resolve(SHORT)))
    list(talk.ask("下", resolve(SHORT | {"max_think": 0})))
    assert all(isinstance(item, int) for item in talk.backend._sequence.items)


def test_a_turn_that_was_stopped_is_kept_with_what_it_said(engine):
    """It is there for the user; what said nothing is not shown to the model."""
    talk = Conversation(engine, tags=TAGS)
    calls = iter(range(99))
    list(talk.ask("一", resolve(SHORT), cancelled=lambda: next(calls) >= 2))
    assert talk.turns[-1].interrupted
    assert talk.turns[-1].answer == ""
    assert talk.question("上").said == ()


def test_what_was_thought_stays_if_what_was_to_replace_it_said_nothing(engine):
    """The turn can come back with its thoughts, and its answer go on."""
    talk = Conversation(engine, tags=TAGS, keep_thoughts=True)
    list(talk.ask("一丈三", resolve(SHORT)))
    turn = talk.turns.pop()
    ended = talk.backend._ended
    calls = iter(range(99))
    list(talk.ask("一丈三", resolve(SHORT), cancelled=lambda: next(calls) >= 2))
    talk.turns[:] = [turn]
    assert goes_on_from_thoughts(talk)
    assert talk.backend._ended is ended


def test_room_tells_before_what_ask_would_raise(engine):
    """A turn fits exactly when nothing is missing."""
    talk = Conversation(engine, tags=TAGS)
    settings = resolve(SHORT)
    for length in (300, 450, 480, 490, 500, 600):
        question = "一" * length
        missing = talk.room(question, settings).missing
        if missing:
            with pytest.raises(ContextError):
                list(talk.ask(question, settings))
        else:
            assert isinstance(list(talk.ask(question, settings))[-1], Finished)
            talk.turns.clear()
    assert missing > 0


def test_dropping_the_oldest_turns_makes_room(engine):
    """What is dropped is no longer in the prompt."""
    talk = Conversation(engine, tags=TAGS)
    for question in ("一" * 165, "上" * 165):
        list(talk.ask(question, resolve(SHORT)))
    assert talk.room("三" * 165, resolve(SHORT)).missing > 0
    del talk.turns[:1]
    assert talk.room("三" * 165, resolve(SHORT)).missing == 0
    assert isinstance(list(talk.ask("三" * 165, resolve(SHORT)))[-1], Finished)


class Recurrent(FakeEngine):
    """A memory that can only be kept or emptied."""

    def rollback(self, position):
        super().rollback(position if position >= self.position else 0)


def test_a_memory_that_cannot_be_cut_is_filled_anew():
    """Recurrent models get a full prefill, and hold exactly the prompt."""
    vocabulary = ["<end>", *map(chr, range(32, 127)), "\n"]
    engine = Recurrent(vocabulary, [{"a": 1.0}], n_ctx=512)
    engine.chat_template = "{% for m in messages %}{{ m.content }};{% endfor %}"
    talk = Conversation(engine)
    list(talk.ask("one", resolve({"max_think": 2, "max_answer": 2})))
    events = list(talk.ask("two", resolve({"max_think": 0, "max_answer": 1})))
    assert prefill_of(events).cached == 0
    text = b"".join(engine.piece(token) for token in engine.fed)
    assert text.startswith(b"one;aa;two;<think>\n")


def test_the_finish_reason_of_a_stopped_answer_is_interrupted(engine):
    """What was answered up to then is the turn's answer."""
    talk = Conversation(engine, tags=TAGS)
    calls = iter(range(99))
    settings = resolve(SHORT | {"max_think": 0, "max_answer": 50})
    events = list(talk.ask("一", settings, cancelled=lambda: next(calls) >= 2))
    assert events[-1].finish_reason is FinishReason.INTERRUPTED
    assert talk.turns[-1].answer == events[-1].answer


def test_a_late_turn_prefills_no_more_than_an_early_one(engine):
    """The answer before and the question, however long the conversation has become."""
    talk = Conversation(engine, tags=TAGS)
    beside = []  # what is decoded besides the answer before
    answered = 0
    for index in range(16):
        events = list(talk.ask("一上三", resolve(SHORT)))
        if index:
            beside.append(prefill_of(events).tokens - answered)
        answered = events[-1].answer_tokens
    assert max(beside) == beside[0]  # less behind a turn that said nothing: it is not shown
    assert prefill_of(events).cached > 10 * prefill_of(events).tokens


LONG = {
    "max_think": 3, "temperature": 1.0, "answer_temperature": 0.0, "tau": 0.0, "seed": 1,
    "loop_steps": 0, "drift_steps": 0,
}  # fmt: skip


@pytest.mark.parametrize("between", [False, True])
def test_an_answer_that_was_cut_goes_on_as_if_it_had_not_been(model, between):
    """Thoughts included: the same answer and the same memory as one that was longer at once."""
    with Lettered(model, n_ctx=512, n_threads=1) as engine:
        whole = Conversation(engine, tags=TAGS)
        list(whole.ask("丁", resolve(LONG, {"max_answer": 8})))
        items = whole.backend._sequence.items
    with Lettered(model, n_ctx=512, n_threads=1) as engine:
        cut = Conversation(engine, tags=TAGS)
        list(cut.ask("丁", resolve(LONG, {"max_answer": 3})))
        first = cut.turns[0]
        if between:  # something else has used the memory
            list(cut.ask("丂", resolve(LONG, {"max_answer": 2}), keep=False))
        events = list(cut.continue_(resolve(LONG, {"max_answer": 5})))
        assert not any(isinstance(event, Step | Halted) for event in events)
        assert events[0].settings["think"] is False  # no view says that it thinks
        (turn,) = cut.turns
        mine = cut.backend._sequence.items
    assert turn.answer == whole.turns[0].answer
    assert turn.answer.startswith(first.answer)
    assert len(mine) == len(items)
    assert all(np.array_equal(a, b) for a, b in zip(mine, items, strict=True))
    assert (turn.number, turn.question) == (first.number, "丁")
    assert turn.finished.answer == turn.answer
    steps = whole.turns[0].finished.steps
    assert (turn.finished.answer_tokens, turn.finished.steps) == (8, steps)
    assert sum(isinstance(event, Finished) for event in turn.events) == 1
    assert sum(isinstance(event, Step) for event in turn.events) == steps > 0


def test_an_answer_of_an_earlier_session_goes_on(model):
    """Its thoughts are gone: it goes on behind an empty one. Then the next question sees all."""
    with Lettered(model, n_ctx=512, n_threads=1) as engine:
        before = Conversation(engine, tags=TAGS)
        list(before.ask("丁", resolve(LONG, {"max_answer": 3})))
    with Lettered(model, n_ctx=512, n_threads=1) as engine:
        later = Conversation(engine, tags=TAGS)
        later.turns = [replace(before.turns[0], number=10**6, events=())]
        list(later.continue_(resolve(LONG, {"max_answer": 2})))
        (turn,) = later.turns
        assert turn.answer.startswith(before.turns[0].answer)
        assert len(turn.answer) == 5
        assert turn.events == ()
        engine_text = [engine.piece(item).decode() for item in later.backend._sequence.items]
        assert "".join(engine_text).endswith(TAGS.close + TAGS.after_close + turn.answer)


SPLIT = ["</think>", "<end>", "a", "b", b"\xc3", b"\xa9", "<think>", *"\nUserAsitn: q"]


def said_by(script, *, first, more=5, abort_at=None):
    """The fake's answer to a question that is cut, what going on makes of it; what is decoded."""
    engine = FakeEngine(SPLIT, script, abort_at=abort_at)
    talk = Conversation(engine, tags=ThinkTags(open="<think>", close="</think>"))
    options = resolve({"seed": 1}, {"answer_temperature": 0.0})
    list(talk.ask("q", replace(options, max_answer=first)))
    cut = talk.turns[0].answer
    list(talk.continue_(replace(options, max_answer=more)))
    return cut, talk.turns[0].answer, [engine.piece(token) for token in engine.fed[-3:]]


def test_an_answer_that_was_cut_in_a_character_goes_on_with_the_rest_of_it():
    """The half is no part of the answer, and nothing of it is lost."""
    script = [{"</think>": 1}, {"a": 1}, {b"\xc3": 1}, {}, {b"\xa9": 1}, {"b": 1}, {"<end>": 1}]
    script[3] = {"<end>": 1}  # behind the half; nobody looks there before it is decoded again
    assert said_by(script, first=2) == ("a", "aéb", [b"\xc3", b"\xa9", b"b"])


def test_an_answer_that_was_stopped_in_a_decode_goes_on_behind_what_was_said():
    """The token that was being decoded is shown already: it is not said twice."""
    script = [{"</think>": 1}, {"a": 1}, {"b": 1}, {}, {"a": 1}, {"<end>": 1}]
    assert said_by(script, first=9, abort_at=4) == ("ab", "aba", [b"a", b"b", b"a"])


def test_an_answer_goes_on_without_turns_that_were_dropped(model):
    """What the memory held with them is not what is said now."""
    with Lettered(model, n_ctx=512, n_threads=1) as engine:
        talk = Conversation(engine, tags=TAGS)
        list(talk.ask("丂上丂上丂上", resolve(LONG, {"max_answer": 3})))
        list(talk.ask("丁", resolve(LONG, {"max_answer": 3})))
        before = talk.backend.used
        del talk.turns[0]
        list(talk.continue_(resolve(LONG, {"max_answer": 2})))
        assert talk.backend.used < before - 6
