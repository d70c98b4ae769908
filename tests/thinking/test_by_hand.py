"""Thinking step by step: every key, in every order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softchat.engine.kv_cache import CachedSequence
from softchat.engine.llama import LlamaEngine
from softchat.events import Finished, Halted, HaltReason, Lens, Mode, Step, told_last
from softchat.record.runs import Run
from softchat.settings import resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.local import LocalBackend
from softchat.testing import FakeEngine
from softchat.thinking.by_hand import Hand
from softchat.thinking.feed import fed_by
from softchat.thinking.prompt import Prompt
from softchat.thinking.stepper import Stepper
from softchat.thinking.think import think
from tests import tiny
from tests.machine import TEMPLATE, alike
from tests.talk.test_fork import TAGS

MIXED = {"a": 0.5, "b": 0.3, "c": 0.2}
VOCABULARY = ["<end>", "Q", "a", "b", "c", "\n", "</think>"]
LIMITS = {"tau": 0.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_answer": 2}


class Pressed:
    """Keys that are pressed one after the other; then none, and Ctrl-C if one is waited for."""

    def __init__(self, keys):
        self._keys = iter(keys)
        self.out = False

    def __call__(self):
        key = next(self._keys, "")
        self.out = self.out or not key
        return key

    def cancelled(self):
        return self.out


def run(keys, *, script=None, most=4, **knobs):
    """The events of a run with these keys, and the sequence that it ran on."""
    engine = CachedSequence(FakeEngine(VOCABULARY, script or [MIXED]))
    prompt = Prompt(tokens=(engine.tokenize("Q")[0],), close="</think>", inject="</think>")
    pressed = Pressed(keys)
    ticks = itertools.count()
    events = think(
        engine,
        prompt,
        resolve({}, LIMITS | {"max_think": most} | knobs),
        hand=Hand(keys=pressed, logits_at=engine.logits_at),
        cancelled=pressed.cancelled,
        clock=lambda: float(next(ticks)),
    )
    return Run.of(events), engine


def told(run):
    """Every step as it was told: its index and its tokens."""
    steps = [event for event in run.events if isinstance(event, Step)]
    return [f"{s.index}{''.join(e.piece for e in s.concept)}" for s in steps]


def test_space_goes_on():
    """A key a step; without more of them it waits, until Ctrl-C."""
    done, engine = run("  ")
    assert told(done) == ["0abc", "1abc", "2abc"]
    assert done.halted.reason is HaltReason.INTERRUPTED
    assert len(engine.items) == 3  # the prompt and two steps: the third one waits


def test_a_digit_feeds_that_token_alone():
    """It is told again, as it is fed; what is not there is not taken."""
    done, engine = run("92 ")
    assert told(done) == ["0abc", "0b", "1abc", "2abc"]
    assert engine.items[1] == engine.tokenize("b")[0]
    first = done.steps[0]
    assert first.mode is Mode.HARD
    assert [e.piece for e in first.change.instead_of] == ["a", "b", "c"]
    assert done.steps[1].change is None


def test_x_leaves_the_heaviest_out_and_waits_again():
    """Again and again, until one is left; space feeds what is left."""
    done, engine = run("xxxx ")
    assert told(done) == ["0abc", "0bc", "0c", "1abc"]
    assert engine.items[1] == engine.tokenize("c")[0]
    done, engine = run("x ")
    rows = engine.embedding_rows(engine.tokenize("bc"))
    np.testing.assert_allclose(engine.items[1], 0.6 * rows[0] + 0.4 * rows[1], rtol=1e-5)


def test_a_token_that_was_left_out_can_still_be_taken():
    """The digits are those of the step as it was."""
    done, _ = run("x1 ")
    assert told(done)[:3] == ["0abc", "0bc", "0a"]


def test_t_and_big_t_change_the_temperature_from_there_on():
    """The step is made anew of the same logits; the steps after it too, and the trace says so."""
    done, _ = run("tt  T ")
    entropies = [event.entropy for event in done.events if isinstance(event, Step)]
    assert entropies[0] > entropies[1] > entropies[2]
    temperatures = [step.change and step.change.temperature for step in done.steps]
    assert temperatures == [0.8, 0.8, 0.9, 0.9]
    done, _ = run("tT ")
    assert done.steps[0].change is None  # it is that of the settings again
    done, _ = run("t" * 20 + " ", topn=3)
    assert [e.piece for e in done.steps[0].concept] == ["a"]  # no colder than 0
    assert done.steps[0].change.temperature == 0


def test_b_goes_back_a_step():
    """The step before is offered as it was at first; what was fed there is forgotten."""
    done, engine = run("2 b3 ")
    assert told(done) == ["0abc", "0b", "1abc", "2abc", "1abc", "1c", "2abc", "3abc"]
    assert [step.index for step in done.steps] == [0, 1, 2, 3]
    assert engine.items[1:3] == (*engine.tokenize("b"), *engine.tokenize("c"))
    done, _ = run(" Tb ")  # with it the temperature
    assert done.steps[1].change is None
    done, engine = run("2bb ")  # before the first there is none
    assert told(done) == ["0abc", "0b", "1abc", "0abc", "1abc"]
    assert not isinstance(engine.items[1], int)


def test_a_answers_now():
    """What was offered last is told, and not fed."""
    done, engine = run(" a")
    assert done.halted == Halted(reason=HaltReason.ASKED, steps=2, injected="</think>")
    assert len(engine.items) > 2
    assert engine.items[2] == engine.tokenize("</think>", special=True)[0]


def test_r_runs_on_and_space_waits_again():
    """Without a key; a space among the steps has the next one wait."""
    keys = iter(["r", "", "", " ", "2", "a"])
    engine = CachedSequence(FakeEngine(VOCABULARY, [MIXED]))
    prompt = Prompt(tokens=(1,), close="</think>", inject="</think>")
    hand = Hand(keys=lambda: next(keys), logits_at=engine.logits_at)
    done = Run.of(think(engine, prompt, resolve({}, LIMITS | {"max_think": 9}), hand=hand))
    assert told(done) == ["0abc", "1abc", "2abc", "3abc", "3b", "4abc"]


def test_unknown_keys_do_nothing():
    """Neither are they told."""
    done, _ = run("q?0\x1bZ ")
    assert told(done) == ["0abc", "1abc"]


def test_the_closing_tag_ends_it_when_it_is_let_go():
    """The step waits like any other; another token goes on thinking."""
    script = [MIXED, {"</think>": 0.6, "a": 0.4}, MIXED]
    done, _ = run("  ", script=script)
    assert done.halted.reason is HaltReason.CLOSED
    done, _ = run(" 2 ", script=script)
    assert done.halted.reason is HaltReason.INTERRUPTED
    assert [e.piece for e in done.steps[1].concept] == ["a"]


def test_the_step_limit_holds():
    """As without keys."""
    done, _ = run("    ", most=3)
    assert done.halted.reason is HaltReason.STEP_LIMIT
    assert len(done.steps) == 3


def test_waiting_is_no_thinking():
    """However long a key is waited for, the times of the steps are the same."""

    def times(keys):
        pressed = iter(keys)
        engine = CachedSequence(FakeEngine(VOCABULARY, [MIXED]))
        ticks = itertools.count()
        events = think(
            engine,
            Prompt(tokens=(1,), close="</think>", inject="</think>"),
            resolve({}, LIMITS | {"max_think": 3}),
            hand=Hand(keys=lambda: next(pressed), logits_at=engine.logits_at),
            clock=lambda: float(next(ticks)),
        )
        return [step.elapsed_s for step in Run.of(events).steps]

    assert times("   ") == times(["", "", " ", "", "", "", " ", " "])


def test_neither_a_ctrl_c_nor_a_wish_for_the_answer_makes_waiting_thinking():
    """A key is waited for until one of them comes: that was no thinking either."""

    def spent(*, cancelled=lambda: False, answer_now=lambda: False, keys=lambda: ""):
        engine = CachedSequence(FakeEngine(VOCABULARY, [MIXED]))
        events = think(
            engine,
            Prompt(tokens=(1,), close="</think>", inject="</think>"),
            resolve({}, LIMITS | {"max_think": 3}),
            hand=Hand(keys=keys, logits_at=engine.logits_at),
            cancelled=cancelled,
            answer_now=answer_now,
            clock=lambda: now[0],
        )
        return Run.of(events)

    def later():
        now[0] += 100.0  # somebody looks at the screen
        return now[0] > 250

    for wish in ({"cancelled": later}, {"answer_now": later}):
        now = [0.0]
        done = spent(**wish)
        assert done.finished.think_s == 0.0
        assert done.finished.total_s >= 250


EACH = {"halt_at": "steps", "halt_every": 1, "max_think": 16}
RULES = {
    "eat": EACH | {"halt": "eat", "eat_variance": 0.01, "eat_probes": 5},
    "agree": EACH | {"halt": "agree", "agree_count": 3},
    "deer": EACH | {"halt": "deer", "deer_confidence": 0.9},
    "deer, no looks left": EACH | {"halt": "deer", "deer_confidence": 0.9, "deer_probes": 3},
    "sure": EACH | {"halt": "sure", "sure_entropy": 0.1, "halt_every": 2},
}


class Follows(FakeEngine):
    """What comes behind a token depends on it and on how much there is, not on what was tried."""

    def _decode(self, items):
        super()._decode(items)
        logits = np.full(self.info.n_vocab, -np.inf, np.float32)
        tokens = [item for item in self.fed if isinstance(item, int)]
        last = items[-1] if isinstance(items[-1], int) else -1
        if last == self.id("</think>"):  # the answer: sure from the fourth step on
            likely = {"b": 0.99, "a": 0.01} if self.position > 6 else {"a": 0.6, "c": 0.4}
            if self.position == 4:  # no agreement before
                likely = {"c": 0.8, "a": 0.2}
        elif self.id("</think>") in tokens:
            likely = {"<end>": 1.0}
        else:
            likely = {"a": 0.6, "b": 0.4} if self.position % 2 else {"a": 0.5, "c": 0.5}
        for piece, probability in likely.items():
            logits[self.id(piece)] = np.log(probability)
        return logits


def by_rule(rule, keys=None, **knobs):
    """A run that this rule ends, by hand if there are keys; and how often it looked ahead."""
    engine = CachedSequence(Follows(VOCABULARY, [MIXED]))
    pressed = Pressed(keys) if keys is not None else None
    events = think(
        engine,
        Prompt(tokens=(1,), close="</think>", inject="</think>"),
        resolve({}, LIMITS | RULES[rule] | knobs),
        hand=Hand(keys=pressed, logits_at=engine.logits_at) if pressed else None,
        cancelled=pressed.cancelled if pressed else lambda: False,
        clock=lambda: 0.0,
    )
    return Run.of(events)


@pytest.mark.parametrize("rule", RULES)
def test_space_alone_is_the_run_without_keys(rule):
    """With each rule that looks ahead too: what it has seen stays seen."""
    alone = by_rule(rule)
    ended = "step_limit" if "no looks" in rule else RULES[rule]["halt"]
    assert (alone.halted.reason, len(alone.steps) > 4) == (ended, True)
    assert by_rule(rule, " " * 20).events == alone.events


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("keys", ["  b  ", "   bb   ", " tT ", "  tb "])
def test_what_is_undone_is_undone_for_the_rules(rule, keys):
    """Back and on again is as if nothing had been pressed."""
    alone, hand = by_rule(rule), by_rule(rule, keys + " " * 20)
    assert hand.steps == alone.steps
    assert hand.halted.reason == alone.halted.reason


def test_back_undoes_what_the_lens_has_counted():
    """It looks where it would have looked, had nobody gone back."""

    def looked(keys):
        done = by_rule("sure", keys, halt="none", lens=True, lens_every=3, max_think=9)
        return [lens.index for lens in told_last(by_kinds(done)) if isinstance(lens, Lens)]

    assert looked(" " * 9) == [2, 5, 8]
    assert looked("  b" + " " * 9) == [2, 5, 8]
    assert looked("   b" + " " * 9) == [2, 5, 8]
    assert looked(" bbb  bb" + " " * 9) == [2, 5, 8]


def by_kinds(done):
    return [event for event in done.events if isinstance(event, Step | Lens)]


def test_nothing_is_remembered_again_unless_a_key_changed_it(monkeypatch):
    """A step costs no more the further the thought has come."""
    counted = []
    remember = Stepper.remember
    monkeypatch.setattr(Stepper, "remember", lambda *args: counted.append(1) or remember(*args))
    run(" " * 30, most=30)
    before = len(counted)
    counted.clear()
    run("", most=30)
    assert before == len(counted)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("hand") / "tiny.gguf", chat_template=TEMPLATE)


class Lettered(LlamaEngine):
    def is_end(self, token):
        return False


@pytest.fixture(scope="module")
def engines(model):
    with Lettered(model, n_ctx=512, n_threads=1) as one, Lettered(model, n_ctx=512) as other:
        yield one, other


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    keys=st.text(" xtTb123r", max_size=14),
    strategy=st.sampled_from(["soft", "adaptive", "switching", "gumbel", "gaussian", "multiplex"]),
)
def test_any_keys_in_any_order(engines, keys, strategy):
    """What counts in the end is what was fed, to the bit; and the logits are a fresh context's."""
    engine, other = engines
    backend = LocalBackend(engine, tags=TAGS)
    knobs = {"tau": 0.0, "temperature": 1.5, "topn": 4, "max_think": 10, "max_answer": 1}
    chosen = resolve({}, knobs | {"strategy": strategy, "seed": 3})
    pressed = Pressed(keys)
    done = Run.of(
        backend.ask(
            ChatRequest(text="一上三", fresh=True),
            chosen,
            keys=pressed,
            cancelled=pressed.cancelled,
        )
    )
    assert isinstance(done.events[-1], Finished)
    steps = [event for event in done.events if isinstance(event, Step)]
    assert done.steps == tuple(told_last(steps))
    assert [step.index for step in done.steps] == list(range(len(done.steps)))
    start = done.started.prompt_tokens
    held = backend._sequence.items
    for fed, item in zip(fed_by(engine, done.steps), held[start : start + 10], strict=False):
        assert np.array_equal(fed, item)
    if keys.count("r"):
        return  # it ran to the answer
    # The next step's logits, here and on an engine that has only been fed what counts.
    fresh = CachedSequence(other)
    fresh.replay(held[:-1])
    anew = fresh.replay(held[-1:]).copy()
    here = backend._sequence.logits_at(len(held))
    assert alike(here, anew)
