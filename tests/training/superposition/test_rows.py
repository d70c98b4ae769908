"""Problems as tokens: who sees whom, and what is learned."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from training.superposition.families import make
from training.superposition.rows import NOBODY, Encoder, Style, visible

torch = pytest.importorskip("torch")  # an extra

from tests.training.superposition import small  # noqa: E402  # it needs torch


def test_a_question_sees_what_is_told_and_itself():
    """Neither another question, nor what fills a row up, nor what comes later."""
    keys = np.array([[0, 0], [0, 0], [1, 0], [1, 0], [2, 0], [NOBODY, 0]])
    seen = visible(keys[2:], keys)
    assert seen.astype(int).tolist() == [
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_a_lookup_sees_its_question_only():
    """None of the thoughts beside it, no other lookup; and no thought sees it."""
    before = [[0, 0], [1, 0], [2, 0]]
    own = [[1, 0], [1, 0], [1, 1], [1, 2], [2, 0]]
    seen = visible(np.array(own), np.array(before + own))
    assert seen.astype(int).tolist() == [
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 1, 0, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 0, 0, 1, 0],
        [1, 0, 1, 0, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize("style", Style)
def test_what_a_style_thinks(style):
    """A frontier, a state, all states, a pause a level, or nothing; mixtures of sum 1."""
    v, rng = small.vocabulary(), Random(4)
    puzzle = make(rng, "reach", 3)
    (branch, _) = Encoder(v, style).row(puzzle, rng, lookups=5).branches
    q = puzzle.questions[0]
    states = [[v.state(s) for s in level] for level in q.levels]
    wanted = {
        Style.FRONTIER: states,
        Style.PATH: [[v.state(s)] for s in q.path],
        Style.LISTING: [[s] for level in states for s in level],
        Style.PAUSE: [v.tokens(".")] * len(states),
        Style.NONE: [],
    }
    assert [list(ids) for ids, _ in branch.thoughts] == wanted[style]
    assert len(branch.lookups) == (0 if style in (Style.PAUSE, Style.NONE) else 5)
    mixtures = [*branch.thoughts, *branch.fed]
    mixtures += [m for look in branch.lookups for m in (look.fed, look.goal)]
    assert all(sum(weights) == pytest.approx(1) for _, weights in mixtures)
    assert branch.tail == (*v.close, v.state(q.answer), *v.end)
    assert {branch.answer, branch.other} == {v.state(c) for c in q.choices}


@pytest.mark.parametrize("family", ["reach", "closed", "lights", "signed"])
def test_a_lookup_is_what_the_moves_lead_to(family):
    """Its goal is the even mixture of all that its states lead to at its step; the end closes."""
    v, rng = small.vocabulary(), Random(5)
    for _ in range(10):
        puzzle = make(rng, family, 3)
        words = {
            v.state(w): w for moves in puzzle.moves for a, to in moves.items() for w in (a, *to)
        }
        for branch in Encoder(v).row(puzzle, rng, lookups=12).branches:
            for look in branch.lookups:
                after = set()
                if look.step < len(puzzle.moves):
                    moves = puzzle.moves[look.step]
                    after = {v.state(b) for a in look.fed[0] for b in moves.get(words[a], ())}
                assert set(look.goal[0]) == (after or {v.close[0]})
