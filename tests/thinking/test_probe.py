"""The look ahead at the answer: what it says, and that it leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.errors import DecodeError
from softchat.testing import FakeEngine
from softchat.thinking.probe import LONGEST, is_sure

VOCABULARY = ["<end>", "a", "b", "</", ">"]
SURE = {"a": 0.99, "b": 0.01}  # 0.056 nats
UNSURE = {"a": 0.6, "b": 0.4}
END = {"<end>": 1.0}


def probed(script, *, n_ctx=64, entropy=0.1):
    """Whether the answer that this script gives is settled, and the engine."""
    engine = FakeEngine(VOCABULARY, script, n_ctx=n_ctx)
    engine.fed.extend([1, 2, 1])
    return is_sure(engine, engine.tokenize("</>"), entropy), engine


def test_an_answer_that_is_sure_to_its_end_is_settled():
    """Every token under the limit, the end of the text among them."""
    assert probed([SURE, SURE, END])[0]


@pytest.mark.parametrize("script", [[UNSURE], [SURE, UNSURE], [SURE, {"<end>": 0.6, "a": 0.4}]])
def test_one_unsure_token_is_enough(script):
    """The first, a later one, or the end itself."""
    assert not probed([*script, END])[0]


def test_the_limit_itself_is_not_under_it():
    """H < limit, not ≤: at 0 nats nothing is under a limit of 0."""
    assert not probed([END], entropy=0.0)[0]
    assert probed([END], entropy=1e-6)[0]


def test_it_looks_no_further_than_it_must():
    """The first unsure token ends it: two tokens of tag, one decode, none of answer."""
    _, engine = probed([UNSURE, SURE, END])
    engine.decode_tokens([1])
    assert engine._decodes == 2  # the tag, and this one


def test_a_long_answer_is_not_settled():
    """Sure without an end is not known to be settled."""
    assert not probed([SURE] * LONGEST + [END])[0]
    assert probed([SURE] * (LONGEST - 1) + [END])[0]


@pytest.mark.parametrize("script", [[END], [UNSURE], [SURE] * 99])
def test_it_leaves_no_trace(script):
    """The engine holds what it held."""
    assert probed(script)[1].fed == [1, 2, 1]


def test_without_room_nothing_is_decoded():
    """3 positions, a tag of 2 and a whole answer must fit."""
    assert probed([END], n_ctx=5 + LONGEST)[0]
    assert not probed([END], n_ctx=4 + LONGEST)[0]


def test_a_memory_that_cannot_be_cut_is_told():
    """A recurrent model goes back further than it was asked to: that is no place to think on."""

    class Recurrent(FakeEngine):
        def rollback(self, position):
            self.fed.clear()

    engine = Recurrent(VOCABULARY, [SURE, END])
    engine.fed.append(np.zeros(4, np.float32))
    with pytest.raises(DecodeError, match="can't be cut"):
        is_sure(engine, engine.tokenize("</>"), 0.1)
