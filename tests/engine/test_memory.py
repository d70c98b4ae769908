"""Memories that are more than a KV cache: what they hold after a rollback is what they should."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress

import llama_cpp
import numpy as np
import pytest

import softchat.engine.checkpoints as checkpoints
from softchat.engine.kv_cache import CachedSequence
from softchat.engine.llama import LlamaEngine
from softchat.errors import DecodeAbortedError, DecodeError
from softchat.events import Finished, FinishReason
from softchat.settings import resolve
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests import zoo
from tests.faults.soak import times

WINDOWS = ["gemma2", "gemma3", "cohere2", "gpt-oss", "llama4"]
STATES = ["mamba", "mamba2", "rwkv7"]
HYBRIDS = ["jamba", "lfm2", "granitehybrid", "nemotron_h", "kimi-linear", "qwen3next", "falcon-h1"]
TOLERANCE = 2e-3  # of the logits' range: sums in another order, keys and values of 16 bits


def tokens(count, seed=0):
    """Random letters."""
    return np.random.default_rng(seed).integers(3, zoo.VOCABULARY, count).tolist()


@pytest.fixture
def opened(request, tmp_path):
    """Engines on a tiny model: `opened("mamba")`."""
    engines = []

    def open_(model, *, n_ctx=256, kind=LlamaEngine, **more):
        path = tmp_path / "tiny.gguf"
        if not path.exists():
            zoo.write(path, model)
        engines.append(kind(path, n_ctx=n_ctx, n_threads=1, **more))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


def gap(logits, expected):
    return np.abs(logits - expected).max() / np.ptp(expected)


def after_a_long_way_back(opened, model):
    """The difference from an empty cache, after 1500 positions, 1400 of them taken back."""
    long, other = tokens(1500), tokens(5, seed=1)
    engine, fresh = opened(model, n_ctx=2048), opened(model, n_ctx=2048)
    engine.decode_tokens(long)
    engine.rollback(100)
    assert engine.position == 100
    fresh.decode_tokens(long[:100])
    return gap(engine.decode_tokens(other).copy(), fresh.decode_tokens(other))


@pytest.mark.parametrize("model", WINDOWS)
def test_a_sliding_window_slides_back(opened, model):
    """With windows of 8 positions and 1400 taken back, logits are those of an empty cache."""
    assert after_a_long_way_back(opened, model) <= TOLERANCE


@pytest.mark.parametrize("model", ["gemma2", "gemma3", "gpt-oss"])
def test_a_cache_of_the_window_alone_would_be_wrong(opened, model, monkeypatch):
    """Without `swa_full` llama.cpp drops what comes back into the window, and does not say so."""
    make = llama_cpp.llama_init_from_model

    def make_small(handle, params):
        params.swa_full = False
        return make(handle, params)

    monkeypatch.setattr(llama_cpp, "llama_init_from_model", make_small)
    assert after_a_long_way_back(opened, model) > 5 * TOLERANCE


@pytest.mark.parametrize("model", [*STATES, "jamba"])
def test_a_state_goes_back_to_a_checkpoint(opened, model):
    """It lies 32 tokens before a prompt's end; further back there is the last one's, then none."""
    sequence, fresh = CachedSequence(opened(model)), CachedSequence(opened(model))
    other = tokens(7, seed=2)
    thoughts = list(sequence.embedding_rows(tokens(10, seed=3)))
    sequence.replay([*tokens(60), *thoughts, *tokens(50, seed=1)])
    for wanted, kept in ((100, 88), (87, 28), (27, 0)):
        sequence.rollback(wanted)
        assert sequence.position == kept
        fresh.rollback(0)
        fresh.replay(sequence.items)
        assert gap(sequence.decode_tokens(other).copy(), fresh.decode_tokens(other)) <= TOLERANCE


class Pieces(LlamaEngine):
    """An engine that can tell what each decode of what it holds was given."""

    pieces: tuple[list, ...] = ()

    def decode(self, items, undo_to, *, logits=True):
        self.pieces = self.held()
        super().decode(items, undo_to, logits=logits)
        self.pieces += (items,)

    def held(self):
        """The pieces that are still there: each way back ends where one did."""
        ends = list(itertools.accumulate(map(len, self.pieces), initial=0))
        return self.pieces[: ends.index(self.position)]


@pytest.mark.parametrize("tail", [4, 32])
@pytest.mark.parametrize("model", [*STATES, *HYBRIDS])
def test_random_ways_back_are_exact(opened, model, tail, monkeypatch):
    """After tokens, thoughts, returns and stops in any order the logits are, bit for bit, those of
    an empty cache that is given the same pieces: other pieces alone change them by up to 7e-3.
    """
    monkeypatch.setattr("softchat.engine.decoder._TAIL", tail)
    rng, left = random.Random(f"{model} {tail}"), [10**9]

    def cancelled():
        left[0] -= 1
        return left[0] < 0

    engine, fresh = opened(model, kind=Pieces, cancelled=cancelled), opened(model)
    sequence, rows = CachedSequence(engine), engine.embedding_rows(range(3, zoo.VOCABULARY))
    back = stopped = 0
    for _ in range(times(60, 2000)):
        wanted = list(sequence.items[: rng.randrange(150)])
        if rng.random() < 0.5:
            del wanted[rng.randrange(len(wanted) + 1) :]
        wanted += [
            rng.randrange(3, zoo.VOCABULARY) for _ in range(rng.choice([1, 2, 5, 8, 33, 40]))
        ]
        wanted += [rng.choice(rows) for _ in range(rng.choice([0, 0, 1, 4]))]
        engine._slow, left[0] = True, rng.choice([10**9, 10**9, rng.randrange(200)])
        before, kept = sequence.position, sequence.rewind(wanted)
        back += 0 < kept < before  # to a checkpoint
        with suppress(DecodeAbortedError):
            sequence.replay(wanted[kept:])
        stopped += left[0] < 0
        left[0] = 10**9
        wanted.append(rng.randrange(3, zoo.VOCABULARY))
        kept = sequence.rewind(wanted)
        sequence.replay(wanted[kept:-1])
        logits = sequence.decode_tokens(wanted[-1:])
        fresh.rollback(0)
        for piece in engine.held():
            fresh.decode(piece, 0)
        assert fresh.position == len(wanted)
        assert np.array_equal(logits, fresh.context.logits())
    assert back > 0
    assert stopped > 0
    print(f"{model}: {back} times back to a checkpoint, {stopped} times stopped")


def test_few_checkpoints_are_kept(opened):
    """Each takes as much memory as the state does."""
    engine = opened("mamba")
    for seed in range(4):
        engine.decode_tokens(tokens(40, seed))
    assert len(engine._checkpoints._copies) == checkpoints._KEPT
    engine.rollback(0)
    assert engine._checkpoints._copies == []


@pytest.mark.parametrize("model", ["mamba", "jamba", "rwkv7", "gemma3"])
@pytest.mark.parametrize("after", [0, 7, 30])
def test_a_stopped_decode_leaves_no_half_state(opened, model, after):
    """A state that was stopped half way is not used: the engine goes back to where it knows it."""
    calls = [10**9]

    def cancelled():
        calls[0] -= 1
        return calls[0] < 0

    engine, fresh = opened(model, cancelled=cancelled), opened(model)
    engine.decode_tokens(tokens(50))
    calls[0] = after
    with pytest.raises(DecodeAbortedError):
        engine.decode_tokens(tokens(40, seed=1))
    calls[0] = 10**9
    assert engine.position == (50 if model == "gemma3" else 18)
    rest = [*tokens(50), *tokens(5, seed=2)]
    if engine.position:
        fresh.decode_tokens(rest[: engine.position])
    left = rest[engine.position :]
    assert gap(engine.decode_tokens(left).copy(), fresh.decode_tokens(left)) <= TOLERANCE


def test_nothing_goes_on_with_a_memory_that_was_lost(opened):
    """After a stop on a recurrent model a sequence must be rewound before it takes more."""
    stop = [False]
    sequence = CachedSequence(opened("mamba", cancelled=lambda: stop[0]))
    sequence.decode_tokens(tokens(20))
    stop[0] = True
    with pytest.raises(DecodeAbortedError):
        sequence.decode_tokens(tokens(20, seed=1))
    stop[0] = False
    assert sequence.position == 0
    with pytest.raises(DecodeError, match="lost in a stop"):
        sequence.decode_tokens([5])
    with pytest.raises(DecodeError, match="lost in a stop"):
        sequence.decode_embedding(sequence.embedding_rows([5])[0])
    wanted = tokens(20)
    assert sequence.rewind(wanted) == 0
    sequence.replay(wanted)
    assert sequence.items == tuple(wanted)


@pytest.mark.parametrize("after", range(0, 400, 37))
def test_a_run_that_is_stopped_ends(opened, after):
    """`think` on a recurrent model decodes nothing behind a stop, wherever it comes."""
    calls = [10**9]

    def cancelled():
        calls[0] -= 1
        return calls[0] < 0

    engine = opened("mamba", cancelled=cancelled)
    engine._slow = True  # asked also while single tokens are decoded
    decode, stopped = engine.decode, []

    def watch(*arguments, **more):
        assert not stopped
        engine._slow = True
        try:
            decode(*arguments, **more)
        except DecodeAbortedError:
            stopped.append(engine.position)
            raise

    engine.decode = watch
    engine.is_end = lambda token: False
    calls[0] = after
    prompt = Prompt(tokens=tuple(tokens(12)), close="", inject="一")
    settings = resolve({"tau": 0.0, "max_think": 8, "max_answer": 8})
    *_, last = think(engine, prompt, settings)
    assert isinstance(last, Finished)
    assert (last.finish_reason is FinishReason.INTERRUPTED) == bool(stopped)
