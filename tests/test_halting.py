"""When the thinking ends."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.concept import Distribution
from softchat.halting import ClosingTag, ColdStop


def test_sure_steps_trip_the_cold_stop():
    """p = (0.96, 0.03, 0.01), repeated, is under τ = 0.2 and stops at the patience-th step."""
    entropy = Distribution(np.log(np.array([0.96, 0.03, 0.01], np.float32))).entropy
    cold = ColdStop(tau=0.2, patience=3)
    assert [cold.update(entropy) for _ in range(3)] == [False, False, True]


def test_a_warm_step_starts_the_count_again():
    """Only steps in a row count."""
    cold = ColdStop(tau=0.1, patience=2)
    assert [cold.update(h) for h in (0.05, 0.5, 0.05, 0.05)] == [False, False, False, True]
    assert cold.below == 2


def test_the_threshold_itself_is_not_cold():
    """H < τ, not ≤; so τ = 0 never stops, not even at H = 0."""
    assert not ColdStop(tau=0.1, patience=1).update(0.1)
    never = ColdStop(tau=0.0, patience=1)
    assert not any(never.update(0.0) for _ in range(100))


@pytest.mark.parametrize(
    "pieces", [["</think>"], ["</", "think", ">"], ["so ", "4</th", "ink>"], list("</think>")]
)
def test_a_tag_is_seen_however_it_is_cut(pieces):
    """The tag is complete with its last piece, and not before."""
    tag = ClosingTag("</think>")
    assert [tag.update(piece.encode()) for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_what_stands_behind_the_tag_is_kept():
    """The rest of the token that closes the tag belongs to the answer."""
    tag = ClosingTag("</think>")
    assert not tag.update(b"x" * 1000 + b"</thin")
    assert tag.update(b"k>\n\n4")
    assert tag.rest == b"\n\n4"


def test_a_tag_that_is_begun_twice_is_seen():
    """`<</think>` and `</think</think>` hold the tag."""
    for text in ("<</think>", "</think</think>"):
        tag = ClosingTag("</think>")
        assert [tag.update(bytes([b])) for b in text.encode()][-1]


def test_no_tag_is_never_complete():
    """An empty tag does not stop the first step."""
    assert not ClosingTag("").update(b"a")
