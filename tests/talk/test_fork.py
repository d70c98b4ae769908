"""Forks on a real engine: what they cost, that they are exact, and what they leave in the cache."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest

from softchat.engine.delegate import Delegate
from softchat.engine.kv_cache import CachedSequence
from softchat.engine.llama import LlamaEngine
from softchat.errors import UsageError
from softchat.events import Answer, Finished, Mode, Prefill, Started, Step
from softchat.prompt.tags import ThinkTags
from softchat.record.runs import Run
from softchat.settings import StrategyName, resolve
from softchat.talk.backend import ChatRequest
from softchat.talk.conversation import Conversation
from softchat.talk.local import LocalBackend
from softchat.talk.worker.wire import read_request
from softchat.thinking.feed import fed_by
from softchat.thinking.fork import find_token, make_fork
from tests import tiny, zoo
from tests.machine import TEMPLATE, alike, next_logits

TAGS = ThinkTags(open="丁", close="七三七", before_close="", after_close="万")  # not by chance
LONG = {"tau": 0.0, "temperature": 1.5, "max_think": 12, "max_answer": 4, "seed": 3, "topn": 4}


class Lettered(LlamaEngine):
    """The tiny model, which never ends by itself."""

    def is_end(self, token):
        return False


class Counted(Delegate):
    """An engine that counts the positions that it decodes, and how often it is rolled back."""

    def __init__(self, engine):
        super().__init__(engine)
        self.decoded = self.rollbacks = 0

    @property
    def position(self):
        return self._engine.position

    def decode_tokens(self, tokens):
        self.decoded += len(tokens)
        return self._engine.decode_tokens(tokens)

    def decode_embedding(self, embedding):
        self.decoded += 1
        return self._engine.decode_embedding(embedding)

    def rollback(self, position):
        self.rollbacks += position < self.position
        self._engine.rollback(position)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("fork") / "tiny.gguf", chat_template=TEMPLATE)


@pytest.fixture
def engine(model):
    with Lettered(model, n_ctx=512, n_threads=1) as opened:
        yield Counted(opened)


@pytest.fixture
def backend(engine):
    return LocalBackend(engine, tags=TAGS)


def ask(backend, *, fresh=False, **knobs):
    return Run.of(backend.ask(ChatRequest(text="一上三", fresh=fresh), resolve(LONG, knobs)))


def fork(backend, run, at, wanted="", *, fresh=False, **once):
    take = find_token(run.steps[at], wanted) if wanted else None
    begun, settings = make_fork(run.started, run.steps, at, take=take, once=once)
    # As over the wire.
    request = json.loads(json.dumps(asdict(ChatRequest(text="一上三", fork=begun, fresh=fresh))))
    return Run.of(backend.ask(read_request(request), settings))


def path(run):
    """What was thought and answered, without times."""
    steps = [(s.index, s.entropy, s.concept, s.below, s.mode, s.why, s.token) for s in run.steps]
    return steps, run.halted.reason, run.halted.injected, run.answer


@pytest.mark.parametrize("strategy", StrategyName)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_fork_that_changes_nothing_is_the_same_run(backend, strategy, fresh):
    """With every strategy, at every step, from the cache and from an empty one: bit for bit."""
    run = ask(backend, strategy=strategy)
    assert len(run.steps) == 12
    for at in (1, 5, 11):
        again = fork(backend, run, at, fresh=fresh)
        assert path(again) == path(run)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_token_it_took_anyway_is_the_same_run(backend, fresh):
    """A hard step feeds one token: taking it changes nothing of what follows."""
    run = ask(backend, strategy="hard")
    for at in (0, 4, 11):
        again = fork(backend, run, at, "1", fresh=fresh)
        assert [s.concept for s in again.steps] == [s.concept for s in run.steps]
        assert [s.entropy for s in again.steps] == [s.entropy for s in run.steps]
        assert again.answer == run.answer


def test_it_decodes_only_what_comes_after(backend, engine):
    """At most n - k steps, the closing and the answer; and one rollback."""
    for at, wanted in [(9, "2"), (9, ""), (5, "2"), (0, "2"), (0, "")]:
        run = ask(backend)
        engine.decoded = engine.rollbacks = 0
        other = fork(backend, run, at, wanted)
        assert engine.rollbacks == 1
        answer = other.finished.answer_tokens
        closing = len(other.halted.injected)
        assert engine.decoded - closing - answer <= len(other.steps) - at + (not wanted)
        prefill = next(e for e in other.events if isinstance(e, Prefill))
        # Other settings need the logits behind the last step before.
        assert prefill.tokens == (0 if wanted else 1)
        assert prefill.cached + prefill.tokens == other.started.prompt_tokens + at


def test_what_is_fed_is_told(backend, engine):
    """The taken token as a token; the steps before it as they were, to the bit."""
    run = ask(backend, strategy="gaussian")
    before = backend._sequence.items
    other = fork(backend, run, 6, "2")
    assert other.steps[:6] == run.steps[:6]
    start = run.started.prompt_tokens
    items = backend._sequence.items[start:]
    for mine, then in zip(items[:6], before[start:], strict=False):
        assert np.array_equal(mine, then)
    assert items[6] == run.steps[6].concept[1].id
    taken = other.steps[6]
    assert taken.mode is Mode.HARD
    assert taken.change.instead_of == run.steps[6].concept
    assert other.started.fork.step == 6
    assert other.started.fork.taken == taken.concept[0].piece
    told = list(fed_by(engine, other.steps[: len(items)]))
    for mine, then in zip(items, told, strict=False):
        assert np.array_equal(mine, then)


def test_a_fork_of_a_fork(backend):
    """Its steps before are those of both; noise is what it was, whatever the seed is now."""
    run = ask(backend, strategy="gaussian")
    once = fork(backend, run, 3, seed=77)
    assert once.steps[:3] == run.steps[:3]
    assert path(once) != path(run)
    kept = backend._sequence.items
    twice = fork(backend, once, 8, "2", fresh=True)
    assert twice.steps[:8] == once.steps[:8]
    start = run.started.prompt_tokens
    for mine, then in zip(backend._sequence.items[start : start + 8], kept[start:], strict=False):
        assert np.array_equal(mine, then)


def test_other_settings_from_a_step_on(backend):
    """Before it nothing differs; from it on the steps are those of the other strategy."""
    run = ask(backend)
    other = fork(backend, run, 4, strategy="hard")
    assert other.steps[:4] == run.steps[:4]
    assert {s.mode for s in other.steps[4:]} == {Mode.HARD}
    assert other.started.settings["strategy"] == "hard"
    assert other.started.fork.settings == {"strategy": "hard"}


def by_hand(backend, keys, **knobs):
    pressed = iter(keys)
    asked = ChatRequest(text="一上三")
    return Run.of(backend.ask(asked, resolve(LONG, knobs), keys=lambda: next(pressed, "")))


def temperatures(run):
    return [step.change and step.change.temperature for step in run.steps]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_temperature_of_the_hand_holds_on(backend, fresh):
    """Whatever was pressed before a fork: from there on it is the run that it was."""
    run = by_hand(backend, "  tt   TTT  r")
    assert temperatures(run) == [None] * 2 + [1.3] * 3 + [1.6] * 7
    for at in (1, 3, 4, 6, 11):
        again = fork(backend, run, at, fresh=fresh)
        told = again.steps if at > 4 else again.steps[:5]
        # The keys of the run are not pressed again.
        expected = [*temperatures(run)[:at], *[temperatures(run)[at - 1]] * (12 - at)]
        assert temperatures(again) == expected
        if at > 5:
            assert path(again) == path(run)
        twice = fork(backend, again, 2, fresh=fresh)
        assert temperatures(twice) == [None] * 12
        assert told[:2] == twice.steps[:2]


def test_a_temperature_that_is_said_wins(backend):
    """At a step that was made by another one, and behind it."""
    run = by_hand(backend, "  tt     r")
    for at in (2, 3, 6):
        for wanted in ("", "2"):
            other = fork(backend, run, at, wanted, temperature=0.4)
            assert temperatures(other)[at:] == [None] * (12 - at)
            assert other.started.settings["temperature"] == 0.4
            sharp = fork(backend, run, at, wanted)
            assert sharp.steps[at + 1].entropy > other.steps[at + 1].entropy


def test_a_step_that_is_taken_has_its_own_temperature_behind_it(backend):
    """A key that made it warmer again counts, as it did."""
    run = by_hand(backend, "  tt   TT  r")
    assert temperatures(run) == [None] * 2 + [1.3] * 3 + [None] * 7
    assert temperatures(fork(backend, run, 5, "2"))[5:] == [None] * 7
    assert temperatures(fork(backend, run, 2, "2"))[2:] == [1.3] * 10


def test_a_fork_can_answer_where_it_parts(backend):
    """With no more steps than that; after the token that is fed there, if one is."""
    run = ask(backend)
    ended = fork(backend, run, 5, max_think=5)
    assert (ended.steps, ended.halted.reason) == (run.steps[:5], "step_limit")
    assert ended.answer
    ended = fork(backend, run, 5, "2", max_think=6)
    assert (ended.steps[:5], len(ended.steps)) == (run.steps[:5], 6)
    assert ended.halted.reason == "step_limit"
    assert ended.answer


def test_a_model_that_does_not_think_now_forks_nothing(backend):
    """As where its tags are not known any more: told, and no step is fed."""
    run = ask(backend)
    begun, settings = make_fork(run.started, run.steps, 2, take=run.steps[2].concept[1])
    asked = ChatRequest(text="一上三", fork=begun)
    with pytest.raises(UsageError, match="does not think"):
        list(backend.ask(asked, replace(settings, think=False)))


def test_the_time_goes_on(backend):
    """Steps that are told again took their time then; those after it come later."""
    run = ask(backend)
    other = fork(backend, run, 8, "2")
    times = [s.elapsed_s for s in other.steps]
    assert times == sorted(times)
    assert times[:8] == [s.elapsed_s for s in run.steps[:8]]
    assert other.finished.think_s >= times[-1]


def test_taking_the_closing_tag_ends_the_thinking(engine):
    """A token means what it means."""
    tags = ThinkTags(open="丁", close="七", before_close="", after_close="万")
    backend = LocalBackend(engine, tags=tags)
    close = engine.tokenize(tags.close)[0]
    run = ask(backend, temperature=50.0, topn=96, top_k=0, top_p=1.0, min_p=0.0)
    at = next(s.index for s in run.steps if any(e.id == close for e in s.concept[1:]))
    ended = fork(backend, run, at, tags.close)
    assert ended.halted.reason == "closed"
    assert len(ended.steps) == at + 1
    assert ended.answer


def test_a_run_of_another_model_is_refused(backend):
    """Tokens that this one does not have are told, and nothing is decoded."""
    run = ask(backend)
    begun, settings = make_fork(run.started, run.steps, 2)
    for broken in (
        {"prompt": (1, 96)},
        {"steps": (run.steps[0], unknown(run.steps[1]))},
        {"first": unknown(run.steps[2])},
    ):
        bad = ChatRequest(text="一", fork=replace(begun, **broken))
        with pytest.raises(UsageError, match=r"tokens that .* does not have"):
            list(backend.ask(bad, settings))


def unknown(step):
    first = replace(step.concept[0], id=10**6)
    return replace(step, concept=(first, *step.concept[1:]))


@pytest.mark.parametrize("kind", ["mamba", "jamba", "gemma3"])
def test_other_memories_fork_too(tmp_path, monkeypatch, kind):
    """A recurrent state goes back to a checkpoint, and what it fed is put back: the same run."""
    monkeypatch.setattr("softchat.engine.decoder._TAIL", 4)
    path_ = zoo.write(tmp_path / "tiny.gguf", kind, chat_template=TEMPLATE)
    with Lettered(path_, n_ctx=512, n_threads=1) as engine:
        backend = LocalBackend(engine, tags=TAGS)
        run = ask(backend)
        for at in (1, 6):
            again = fork(backend, run, at)
            # A recurrent prompt is put back in other batches than it came in.
            assert [s.concept[0].id for s in again.steps] == [s.concept[0].id for s in run.steps]
            entropies = [s.entropy for s in run.steps]
            assert [s.entropy for s in again.steps] == pytest.approx(entropies, abs=1e-3)
        assert fork(backend, run, 6, "2").steps[:6] == run.steps[:6]


def test_thoughts_that_are_kept_stay_below_a_fork(engine):
    """With --keep-thoughts the prompt holds soft positions: the fork goes on from these."""
    talk = Conversation(engine, tags=TAGS, keep_thoughts=True)
    list(talk.ask("一上", resolve(LONG)))
    run = Run.of(talk.ask("三", resolve(LONG)))
    assert run.started.prompt == ()
    begun, settings = make_fork(run.started, run.steps, 5)
    turn = talk.turns.pop()
    again = Run.of(talk.ask("三", settings, fork=begun))
    assert path(again) == path(run)
    assert turn.answer == talk.turns[-1].answer


@pytest.mark.parametrize("change", ["system", "drop", "nothing"])
@pytest.mark.parametrize("then", ["ask", "continue"])
def test_what_changed_before_a_fork_holds_behind_it(model, change, then):
    """A fork goes on from the prompt that its run had; what follows it, from what holds now."""

    def positions(*, forked):
        with Lettered(model, n_ctx=512, n_threads=1) as engine:
            talk = Conversation(engine, tags=TAGS, keep_thoughts=change != "drop")
            if change == "drop":
                list(talk.ask("三", resolve(LONG)))
                talk.keep_thoughts = True
            run = Run.of(talk.ask("一上", resolve(LONG)))
            if change == "drop":
                del talk.turns[0]
            elif change == "system":
                talk.system = "万七"
            if forked:
                begun, settings = make_fork(run.started, run.steps, 5)
                talk.turns.pop()
                assert path(Run.of(talk.ask("一上", settings, fork=begun))) == path(run)
            go_on = talk.continue_ if then == "continue" else partial(talk.ask, "丈")
            list(go_on(resolve(LONG)))
            return talk.backend._sequence.items

    plain, behind = positions(forked=False), positions(forked=True)
    assert len(plain) == len(behind)
    assert all(np.array_equal(a, b) for a, b in zip(plain, behind, strict=True))


def test_the_events_of_a_fork_are_those_of_a_run(backend):
    """started, prefill, the steps told again, those of its own, halted, answers, finished."""
    run = ask(backend)
    events = fork(backend, run, 7, "2").events
    kinds = [type(event) for event in events]
    assert kinds[:2] == [Started, Prefill]
    assert kinds[2:14] == [Step] * 12
    assert kinds[-1] is Finished
    assert Answer in kinds


def test_the_cache_is_right_after_a_fork(backend, model):
    """What is asked next meets the same logits as on an engine that has seen nothing."""
    run = ask(backend)
    fork(backend, run, 4, "2")
    _, items = backend._prompt(ChatRequest(text="丈"), resolve(LONG))
    reused = next_logits(backend._sequence, items)
    with Lettered(model, n_ctx=512, n_threads=1) as other:
        assert alike(reused, next_logits(CachedSequence(other), items))
