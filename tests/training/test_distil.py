"""What is asked of the untrained model, and what is kept of its answers."""

from __future__ import annotations

import string
from itertools import islice

import numpy as np
import pytest

from softchat.testing import FakeEngine
from training.chat import questions
from training.distil import answer, asked, invent
from training.known import FACTS, is_right

END = "<|im_end|>"
ANSWER = [{"a": 0.6, "b": 0.4}, {"c": 0.7, END: 0.3}, {END: 0.9, "a": 0.1}]


@pytest.fixture
def make_engine():
    """Each character is a token; what the model says behind a prompt is given."""

    def make(script):
        return FakeEngine([*string.printable, END], script, end=[END], n_ctx=1024)

    return make


def test_an_answer_comes_with_the_distributions_behind_it(make_engine):
    """The likeliest tokens, the end among them, and how likely each was beside the others."""
    engine = make_engine(ANSWER)
    told = answer(engine, "Why?", 9)
    assert (told.answer, told.ended) == ("ac", True)
    assert told.tokens == [engine.id(piece) for piece in ("a", "c", END)]
    assert [ids[0] for ids in told.likely] == told.tokens
    assert told.likely[0][1] == engine.id("b")
    np.testing.assert_allclose([w[:2] for w in told.weights], [[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]])


def test_an_answer_that_is_cut_has_no_end(make_engine):
    """Then nothing of how it goes on is learned."""
    told = answer(make_engine(ANSWER), "Why?", 2)
    assert (told.answer, told.ended, len(told.tokens)) == ("ac", False, 2)


def test_a_question_that_is_made_up_ends_and_is_one_line(make_engine):
    """What goes on and on, or has a line's end in it, is thrown away."""
    endless = [{"a": 1.0}] * 40
    two_lines = [{"a": 1.0}, {"\n": 1.0}, {"b": 1.0}, {END: 1.0}]
    good = [{"W": 1.0}, {"?": 1.0}, {END: 1.0}]
    # The last of the forty is fed as well.
    engine = make_engine([*endless, {"a": 1.0}, *two_lines, *good])
    assert invent(engine, np.random.default_rng(0)) == "W?"


def test_facts_are_measured_not_trained():
    """None of the questions that the adapter is measured by is among those of its training."""
    assert len(questions()) > 700
    assert not FACTS.keys() & set(questions())


def test_both_kinds_are_asked_each_time_the_same(make_engine):
    """Also if it goes on in the middle."""
    made_up = [{"W": 1.0}, {"?": 1.0}, {END: 1.0}]
    first = list(islice(asked(make_engine(made_up * 9), 0), 6))
    later = list(islice(asked(make_engine(made_up * 9), 3), 3))
    assert first[3:] == later
    assert 0 < first.count("W?") < 6


def test_a_word_is_found_whole():
    """Not as a part of another, and whatever its case."""
    assert is_right("It is PARIS.", "Paris")
    assert is_right("da Vinci", "Leonardo|Vinci")
    assert not is_right("a comparison", "Paris")
