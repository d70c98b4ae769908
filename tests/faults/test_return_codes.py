"""Whatever code a native decode returns: memory and softchat's record of it agree afterwards.

The codes are faked. 1 (no room), -1 (a bad batch) restore the memory; 2 (stopped) and those below
-1 (out of memory, a failed computation) may leave in it what was decoded before: both are tried for
every code, as another back end, or another version, may do otherwise than it says.
"""

from __future__ import annotations

from contextlib import closing, contextmanager

import numpy as np
import pytest

from softchat.engine import native
from softchat.engine.batch import run_together
from softchat.engine.kv_cache import CachedSequence
from softchat.engine.llama import LlamaEngine
from softchat.errors import DecodeAbortedError, DecodeError
from softchat.events import FinishReason
from softchat.prompt.tags import ThinkTags
from softchat.settings import resolve
from softchat.talk.conversation import Conversation
from tests import tiny, zoo
from tests.faults.soak import times

CODES = [1, 2, -1, -2, -3, 3, -99, 2**31 - 1]
KINDS = {2: DecodeAbortedError}  # all others are DecodeError
TAGS = ThinkTags(open="丁", close="七", before_close="", after_close="万")
TEMPLATE = (
    "{% for m in messages %}{{ '丄' if m.role == 'user' else '丅' }}{{ m.content }}{% endfor %}丅"
)
TOLERANCE = 2e-3  # of the logits' range: sums in another order, keys and values of 16 bits
PROMPT = [1, 17, 42, 5]

pytestmark = pytest.mark.parametrize("left", [False, True], ids=["restored", "left"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("codes") / "tiny.gguf", chat_template=TEMPLATE)


@contextmanager
def failing(after, code, left):
    """The native call after so many more returns this code; if `left`, its batch is in memory."""
    process, calls = native.Context.process, []

    def fail(self):
        calls.append(1)
        if len(calls) == after + 1:
            if left:
                assert process(self) == 0
            return code
        return process(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(native.Context, "process", fail)
        yield calls


def gap(logits, expected):
    """The largest difference, as a share of what they span."""
    return np.abs(logits - expected).max() / np.ptp(expected)


def next_logits(sequence, fresh):
    """Of both, behind what the first holds: it is put into the second, which is emptied."""
    fresh.rollback(0)
    CachedSequence(fresh).replay(sequence.items)
    return sequence.decode_tokens([9]).copy(), fresh.decode_tokens([9]).copy()


@pytest.mark.parametrize("code", CODES)
def test_the_engine_is_where_it_was(model, code, left):
    """A prompt of three batches that fails in any, a token, an embedding: nothing of it stays.

    The logits behind it are a fresh context's to the last bit, and the error names the code.
    """
    with (
        LlamaEngine(model, n_ctx=2048, n_threads=1) as engine,
        LlamaEngine(model, n_ctx=2048, n_threads=1) as fresh,
    ):
        row = engine.embedding_rows([7])[0]
        fails = [(engine.decode_tokens, [5] * 1500, batch) for batch in range(3)]
        fails += [(engine.decode_tokens, [5], 0), (engine.decode_embedding, row, 0)]
        for decode, what, after in fails:
            for one in (engine, fresh):
                one.rollback(0)
                one.decode_tokens(PROMPT)
            with (
                failing(after, code, left),
                pytest.raises(KINDS.get(code, DecodeError)) as raised,
            ):
                decode(what)
            assert engine.position == len(PROMPT)
            if code != 2:
                assert f"code {code}" in raised.value.message
                assert raised.value.hint
            assert engine.decode_tokens([9]).tobytes() == fresh.decode_tokens([9]).tobytes()


@pytest.mark.parametrize("kind", ["mamba", "rwkv7", "jamba", "gemma3", "deepseek2"])
@pytest.mark.parametrize("code", CODES[: times(5, len(CODES))])
def test_other_memories(tmp_path, kind, code, left):
    """A state that may hold half of a batch is not used: it goes back to where it is known."""
    path = zoo.write(tmp_path / "tiny.gguf", kind)
    tokens = np.random.default_rng(0).integers(3, zoo.VOCABULARY, 120).tolist()
    with (
        LlamaEngine(path, n_ctx=256, n_threads=1) as engine,
        LlamaEngine(path, n_ctx=256, n_threads=1) as fresh,
    ):
        sequence = CachedSequence(engine)
        sequence.replay([*tokens[:50], *engine.embedding_rows([5, 6])])
        for what in (tokens[50:], [5]):
            before = sequence.items
            with failing(0, code, left), pytest.raises(KINDS.get(code, DecodeError)):
                sequence.decode_tokens(what)
            assert sequence.rewind([*before, 9]) == sequence.position
            mine, other = next_logits(sequence, fresh)
            assert gap(mine, other) <= TOLERANCE


def turn(talk, question, seed):
    """Ask, as many steps and tokens whatever the model says: how it ended."""
    settings = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0, "max_think": 4, "max_answer": 4}
    *_, last = talk.ask(question, resolve({"seed": seed}, settings))
    return last


class Endless(LlamaEngine):
    """The tiny model, whose answers never end by themselves."""

    def is_end(self, token):
        return False


@pytest.mark.parametrize("keep", [False, True], ids=["dropped", "kept"])
@pytest.mark.parametrize("code", CODES[: times(5, len(CODES))])
def test_a_conversation_goes_on(model, code, keep, left):
    """The second turn fails at each of its decodes: that is an error, or a turn that was stopped.

    Memory is a fresh context's then, and again when a question has been answered after it.
    """
    with (
        Endless(model, n_ctx=512, n_threads=1) as engine,
        LlamaEngine(model, n_ctx=512, n_threads=1) as fresh,
    ):
        after, failed = 0, True
        while failed:
            talk = Conversation(engine, tags=TAGS, keep_thoughts=keep)
            turn(talk, "一丁", 1)
            with failing(after, code, left) as calls:
                try:
                    last = turn(talk, "万丈", 2)
                except DecodeError:
                    assert code != 2
                    assert len(talk.turns) == 1
                else:
                    failed = len(calls) > after
                    assert (last.finish_reason is FinishReason.INTERRUPTED) == failed
            for _ in range(2):
                mine, other = next_logits(talk.backend._sequence, fresh)
                assert gap(mine, other) <= TOLERANCE
                assert turn(talk, "三上", 3).finish_reason is FinishReason.LENGTH
            after += 1
        assert after > 9


@pytest.mark.parametrize("code", CODES)
def test_runs_that_run_together(model, code, left):
    """A batch of several runs fails, at any time: each run is told, and each can go on from there.

    Also one whose prompt has several batches, of which some had been decoded.
    """

    def job(engine):
        told = 0
        for decode, what in decodes(engine, length_of[engine.sequence]):
            try:
                logits = decode(what)
            except (DecodeError, DecodeAbortedError):
                told += 1
                logits = decode(what)
        return told, logits.copy()

    length_of = {0: 3, 1: 1100, 2: 40}
    with (
        closing(LlamaEngine(model, n_ctx=1280, n_threads=1, sequences=3)) as engine,
        LlamaEngine(model, n_ctx=1280, n_threads=1) as fresh,
    ):
        for after in range(6):
            with failing(after, code, left):
                found = dict(run_together(engine, [job] * 3))
            assert any(told for told, _ in found.values())
            for lane, (_, logits) in found.items():
                fresh.rollback(0)
                for decode, what in decodes(fresh, length_of[lane]):
                    expected = decode(what)
                assert gap(logits, expected) <= TOLERANCE


def decodes(engine, length):
    """A prompt of this length, an embedding and a token."""
    yield engine.decode_tokens, [5] * length
    yield engine.decode_embedding, engine.embedding_rows([7])[0]
    yield engine.decode_tokens, [9]
