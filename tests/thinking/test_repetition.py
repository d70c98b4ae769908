"""Whether a row of tokens repeats itself."""

from __future__ import annotations

import random

import pytest

from softchat.thinking.repetition import Repetition


def repeated(tokens, copies=2):
    repetition = Repetition()
    for token in tokens:
        repetition.add(token)
    return repetition.tokens(copies)


@pytest.mark.parametrize("length", [1, 2, 5, 63, 64])
def test_a_block_over_and_over_is_seen(length):
    """Of any length up to 64: two copies are two blocks of tokens, and a part more counts."""
    block = list(range(100, 100 + length))
    assert repeated([1, 2, 3, *block, *block]) == 2 * length
    assert repeated([1, 2, 3, *block, *block, block[0]]) == 2 * length + 1
    assert repeated([*block, *block], copies=3) == 0
    assert repeated([*block, *block, *block], copies=3) == 3 * length


def test_a_block_that_is_too_long_is_not():
    """65 tokens are longer than what is looked for."""
    assert repeated(list(range(65)) * 3) == 0


def test_one_other_token_ends_it():
    """A repetition is one of the last tokens, without a gap."""
    assert repeated([1, 2, 3] * 10) == 30
    assert repeated([*[1, 2, 3] * 10, 7]) == 0
    assert repeated([*[1, 2, 3] * 10, 7, 1]) == 0


def test_it_knows_what_would_come_next():
    """The token that stood one block earlier."""
    repetition = Repetition()
    for token in [9, *[1, 2, 3] * 3, 1]:
        repetition.add(token)
    assert repetition.next_token(2) == 2


def test_it_agrees_with_looking_at_all_the_tokens():
    """Against the definition, on rows of few tokens, where repetitions are many."""
    rng = random.Random(1)
    for _ in range(200):
        tokens = [rng.randrange(2) for _ in range(rng.randrange(1, 60))]
        for copies in (2, 3):
            found = 0
            for length in range(1, 65):
                run = 0
                while run + length < len(tokens) and tokens[-1 - run] == tokens[-1 - run - length]:
                    run += 1
                if run >= (copies - 1) * length:
                    found = max(found, run + length)
            assert repeated(tokens, copies) == found
