"""The look ahead at the answer: what it reads, what it costs, and that it leaves no trace."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from softchat.errors import DecodeError
from softchat.testing import FakeEngine
from softchat.thinking.probe import Probe

VOCABULARY = ["<end>", "a", "b", "</", ">"]
SURE = {"a": 0.99, "b": 0.01}  # 0.056 nats
UNSURE = {"b": 0.6, "a": 0.4}
END = {"<end>": 1.0}


def make(script, *, n_ctx=64):
    """A probe on an engine that holds three tokens, and the engine."""
    engine = FakeEngine(VOCABULARY, script, n_ctx=n_ctx)
    engine.fed.extend([1, 2, 1])
    ticks = itertools.count()
    return Probe(engine, engine.tokenize("</>"), clock=lambda: float(next(ticks))), engine


def read(script, longest=12, **more):
    """The answer that this script gives, the probe and the engine."""
    probe, engine = make(script, **more)
    with probe.answer(longest) as answer:
        return list(answer), probe, engine


def test_it_reads_the_likeliest_answer_to_its_end():
    """Each token with its entropy and probability; the end is one of them."""
    guesses, _, _ = read([SURE, UNSURE, END])
    assert [guess.token for guess in guesses] == [1, 2, 0]
    assert [guess.peak for guess in guesses] == pytest.approx([0.99, 0.6, 1.0])
    assert guesses[0].entropy == pytest.approx(0.0560, abs=1e-4)
    assert [guess.is_end for guess in guesses] == [False, False, True]


def test_it_reads_no_further_than_it_is_asked():
    """A long answer is cut; whoever stops earlier pays for what was read only."""
    guesses, probe, _ = read([SURE] * 30, longest=5)
    assert len(guesses) == 5
    assert probe.tokens == 2 + 4  # the tag, and all but the last
    probe, engine = make([UNSURE, SURE, END])
    with probe.answer(12) as answer:
        next(answer)
    assert (probe.looks, probe.tokens, engine._decodes) == (1, 2, 1)
    with probe.answer(12):
        pass
    assert (probe.looks, probe.tokens) == (2, 2)
    assert probe.seconds == 2.0


@pytest.mark.parametrize("script", [[END], [UNSURE], [SURE] * 99])
def test_it_leaves_no_trace(script):
    """The engine holds what it held."""
    assert read(script)[2].fed == [1, 2, 1]


def test_without_room_nothing_is_decoded():
    """3 positions, a tag of 2 and a whole answer must fit."""
    assert read([END], n_ctx=17)[0]
    guesses, probe, _ = read([END], n_ctx=16)
    assert not guesses
    assert (probe.looks, probe.tokens) == (0, 0)


def test_a_memory_that_cannot_be_cut_is_told():
    """A recurrent model goes back further than it was asked to: that is no place to think on."""

    class Recurrent(FakeEngine):
        def rollback(self, position):
            self.fed.clear()

    engine = Recurrent(VOCABULARY, [SURE, END])
    engine.fed.append(np.zeros(4, np.float32))
    with (
        pytest.raises(DecodeError, match="can't be cut"),
        Probe(engine, engine.tokenize("</>")).answer(12) as answer,
    ):
        list(answer)
