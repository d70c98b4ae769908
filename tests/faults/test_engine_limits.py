"""What llama.cpp would abort on, or read beyond its end, never reaches it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from softchat.engine.llama import LlamaEngine
from softchat.engine.native import BATCH
from softchat.errors import ContextError, NumericsError
from softchat.events import Finished, FinishReason, Halted, HaltReason
from softchat.settings import Settings
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests import tiny
from tests.faults.soak import times

NEVER = {"tau": 0.0, "loop_steps": 0, "drift_steps": 0}


def bad_row(rng):
    """An embedding that is none, in one of the ways there are."""
    good = rng.standard_normal(tiny.WIDTH).astype(np.float32)
    match rng.integers(5):
        case 0:
            good[rng.integers(tiny.WIDTH)] = rng.choice([np.nan, np.inf, -np.inf])
            return good
        case 1:
            wrong = int(rng.choice([n for n in range(100) if n != tiny.WIDTH]))
            return np.zeros(wrong, np.float32)
        case 2:
            return good.reshape([(1, -1), (-1, 1), (2, -1), (2, 2, -1)][rng.integers(4)])
        case 3:
            return good.astype(rng.choice([np.float64, np.float16, np.int32, np.uint8]))
        case _:
            return np.full(tiny.WIDTH, np.finfo(np.float64).max).astype(np.float64)


def test_bad_rows_are_refused(tiny_model):
    """NaN, infinity, another shape or type: refused, and the next logits are untouched."""
    rng = np.random.default_rng(0)
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as engine:
        engine.decode_tokens([1, 17, 42])
        expected = engine.decode_tokens([9]).copy()
        engine.rollback(3)
        for _ in range(times(200, 1000)):
            with pytest.raises((NumericsError, ValueError), match="embedding"):
                engine.decode_embedding(bad_row(rng))
            assert engine.position == 3
        assert engine.decode_tokens([9]).tobytes() == expected.tobytes()


def halted_of(engine, length, **settings):
    """A run on a prompt of so many tokens from an empty context: why it halted, and its end."""
    engine.rollback(0)
    prompt = Prompt(tokens=(5,) * length, close="</think>", inject="\n</think>\n")
    events = list(think(engine, prompt, Settings(**NEVER, **settings)))
    (halted,) = (event for event in events if isinstance(event, Halted))
    assert isinstance(events[-1], Finished)
    assert engine.position <= engine.info.n_ctx
    return halted, events[-1]


@pytest.mark.parametrize("length", [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH - 1, 2 * BATCH + 1])
def test_prompts_around_a_batch(tiny_model, length):
    """One token less or more than llama.cpp takes at once is a run like any other."""
    with LlamaEngine(tiny_model, n_ctx=2048, n_threads=1) as engine:
        halted, _ = halted_of(engine, length, max_think=4, max_answer=2)
    assert halted.steps > 0


@pytest.mark.parametrize("seed", range(times(40, 200)))
def test_a_context_that_gets_full(tiny_model, seed):
    """Any prompt, any context from 64 on: thinking ends by name, or nothing is begun."""
    rng = random.Random(seed)
    n_ctx = rng.choice([64, 64, 65, 100, 256, BATCH - 1, BATCH, BATCH + 1])
    length = rng.choice([1, n_ctx // 2, n_ctx - 40, n_ctx - 20, n_ctx - 1, n_ctx, n_ctx + 1])
    length = max(1, length + rng.randint(-2, 2))
    settings = {"max_answer": rng.choice([1, 10, 1000]), "max_think": rng.choice([0, 9, 1000])}
    with LlamaEngine(tiny_model, n_ctx=n_ctx, n_threads=1) as engine:
        engine.is_end = lambda token: False
        try:
            halted, finished = halted_of(engine, length, **settings, strategy=rng.choice(
                ["soft", "hard", "gumbel", "mixed-input"]
            ))  # fmt: skip
        except ContextError:
            assert engine.position == 0
            return
    full = halted.reason is HaltReason.CONTEXT_FULL
    assert full or halted.steps == settings["max_think"]
    assert finished.finish_reason is FinishReason.LENGTH
    assert finished.answer_tokens > 0


def test_thinking_that_fills_the_context_leaves_room_to_answer(tiny_model):
    """In a context of 64 the thinking goes on until a fourth is left, then an answer comes."""
    with LlamaEngine(tiny_model, n_ctx=64, n_threads=1) as engine:
        engine.is_end = lambda token: False
        halted, finished = halted_of(engine, 10, max_think=1000, max_answer=1000)
    assert halted.reason is HaltReason.CONTEXT_FULL
    assert halted.steps > 10
    assert finished.answer_tokens >= 16


def test_a_small_context_takes_what_it_holds(tiny_model):
    """llama.cpp rounds a context of 100 up to 256: prompts between are decoded, not refused."""
    with LlamaEngine(tiny_model, n_ctx=100, n_threads=1) as engine:
        assert engine.info.n_ctx == 256
        for length in range(99, 257):
            engine.rollback(0)
            engine.decode_tokens([5] * length)
            assert engine.position == length
