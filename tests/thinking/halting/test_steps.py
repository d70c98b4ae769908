"""When the thinking ends."""

from __future__ import annotations

import numpy as np
import pytest

from softchat.thinking.concept import Distribution
from softchat.thinking.halting.steps import ClosingTag, ColdStop, Drift, Loop, TagBegun


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


@pytest.mark.parametrize(
    ("pieces", "tokens"),
    [
        (["4", "</think>"], 1),
        (["4", "\n</", "think", ">\n\n"], 3),
        ([*"x" * 50, *"</think>"], 8),
        (["<", "</", "think", "", ">"], 4),
    ],
)
def test_the_tokens_of_a_tag_are_counted(pieces, tokens):
    """Those that hold any of it; what stands before it has tokens of its own."""
    tag = ClosingTag("</think>")
    assert [tag.update(piece.encode()) for piece in pieces][-1]
    assert tag.tokens == tokens


def test_a_tag_that_is_begun_twice_is_seen():
    """`<</think>` and `</think</think>` hold the tag."""
    for text in ("<</think>", "</think</think>"):
        tag = ClosingTag("</think>")
        assert [tag.update(bytes([b])) for b in text.encode()][-1]


def test_a_tag_is_begun_until_it_breaks_off():
    """Token by token; what is begun again counts anew, and a tag of one token has no beginning."""
    tag = TagBegun([5, 6, 7])
    told = [tag.update(token) for token in [6, 5, 6, 8, 5, 5, 6, 7, 6]]
    assert told == [False, True, True, False, True, True, True, True, False]
    assert not any(TagBegun(tag).update(5) for tag in ([5], []))


def test_no_tag_is_never_complete():
    """An empty tag does not stop the first step."""
    assert not ClosingTag("").update(b"a")


def test_a_loop_is_pure_repetition_for_so_many_steps():
    """A block of three tokens, 48 tokens long in all, and not a token sooner."""
    loop = Loop(steps=48)
    assert [loop.update(token) for token in [7, 8, 9] * 16] == [False] * 47 + [True]


def test_a_loop_is_three_copies_at_the_least():
    """A paragraph that is said twice is no loop, however long; its third time is."""
    paragraph = list(range(60))
    loop = Loop(steps=48)
    told = [loop.update(token) for token in paragraph * 3]
    assert told == [False] * 179 + [True]


def test_lists_and_tables_are_no_loops():
    """What counts up repeats itself all but for the number."""
    loop = Loop(steps=48)
    for row in range(100):
        for token in (1, 2, 100 + row, 3, 4):
            assert not loop.update(token)


def test_drift_is_a_row_of_mixtures_without_a_sure_step():
    """Twelve above 2.5 nats in a row; one sure step, the end of a word, starts it anew."""
    drift = Drift(entropy=2.5, steps=12)
    assert not any(drift.update(h, mixed=True) for h in [3.0] * 11 + [2.5] + [3.0] * 11)
    assert drift.update(3.0, mixed=True)


def test_a_single_mixture_may_be_drift():
    """If one step is enough to say so, the first above the bound does, and none at it."""
    drift = Drift(entropy=2.5, steps=1)
    assert [drift.update(h, mixed=True) for h in (2.5, 2.6)] == [False, True]


def test_tokens_do_not_drift():
    """Whoever draws freely is unsure all the time, and makes sense all the same."""
    drift = Drift(entropy=2.5, steps=2)
    assert not any(drift.update(9.0, mixed=False) for _ in range(50))
    assert not drift.update(9.0, mixed=True)
    assert not drift.update(9.0, mixed=False)
    assert not drift.update(9.0, mixed=True)
    assert drift.update(9.0, mixed=True)


def test_guards_can_be_turned_off():
    """0 steps never fire."""
    loop, drift = Loop(steps=0), Drift(entropy=0.0, steps=0)
    assert not any(loop.update(1) or drift.update(9.0, mixed=True) for _ in range(500))
