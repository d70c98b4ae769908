"""The problems of search: answers that another solver finds in the text alone, splits, wordings."""

from __future__ import annotations

import hashlib
import re
from random import Random

import pytest

from training.superposition.families import DEEPEST, KINDS, SPLITS, make, make_of, split_of
from training.superposition.sets import SETS, questions
from training.superposition.words import NAMES, NOUNS

CASES = [
    (name, wording, depth)
    for name, kind in KINDS.items()
    for wording in kind.wordings
    for depth in range(kind.least, DEEPEST + 2)
]


def told_with(name, wording, depth):
    """Some problems that are told in this wording."""
    rng = Random(f"{name} {depth}")
    before = re.escape(wording.before).replace(r"\{e\}", ".*")
    while True:
        puzzle = make(rng, name, depth, held_out=wording.held_out)
        fits = re.fullmatch(pattern(wording.ask), puzzle.questions[0].ask)
        if fits and re.match(before, puzzle.told):
            yield puzzle


def pattern(template):
    """A template as a regular expression: every name in braces one word, `e` any words."""
    found = re.escape(template)
    for name in "abxys":
        found = found.replace(rf"\{{{name}\}}", rf"(?P<{name}>\w+)")
    return found.replace(r"\{e\}", "(?P<e>[^.?:]+)")


def ends_of_walks(edges, shut, at, moves):
    """Where one can be after exactly so many moves, by walking every way."""
    if moves == 0:
        return {at}
    ways = [b for a, b in edges if a == at and b not in shut]
    return set().union(*(ends_of_walks(edges, shut, b, moves - 1) for b in ways))


def ends_of_sums(at, numbers):
    """Which digits every choice of signs leads to."""
    if not 0 <= at <= 9:
        return set()
    if not numbers:
        return {str(at)}
    return ends_of_sums(at + numbers[0], numbers[1:]) | ends_of_sums(at - numbers[0], numbers[1:])


def solved(puzzle, wording, question, depth):
    """All ends that the text allows."""
    ask = re.fullmatch(pattern(wording.ask), question.ask).groupdict()
    if not wording.move:
        told = re.search(pattern(wording.before), puzzle.told)
        return ends_of_sums(int(ask["s"]), [int(n) for n in re.findall(r"\d+", told["e"])]), ask
    body = puzzle.told.removeprefix(wording.before).strip().removesuffix(".")
    moves = [re.fullmatch(pattern(wording.move), m.strip()) for m in body.split(wording.between)]
    edges = [(m["a"], m["b"]) for m in moves]
    extra = ask.get("e") or ""
    shut = extra.split(" and ") if " and " in extra else []
    if extra.isdigit():
        assert int(extra) == depth
    return ends_of_walks(edges, shut, ask["s"], depth), ask


@pytest.mark.parametrize(("name", "wording", "depth"), CASES, ids=str)
def test_the_text_alone_leads_to_the_answer(name, wording, depth):
    """Of the two choices that are asked, exactly the answer is an end that the text allows."""
    source = told_with(name, wording, depth)
    for _ in range(3):
        puzzle = next(source)
        for question in puzzle.questions:
            ends, ask = solved(puzzle, wording, question, depth)
            assert {ask["x"], ask["y"]} == set(question.choices)
            assert [c for c in question.choices if c in ends] == [question.answer]
            assert ends == set(question.levels[-1])
            assert len(question.levels) == len(question.path) == depth + 1
            pairs = zip(question.path, question.levels, strict=True)
            assert all(state in level for state, level in pairs)


def test_both_choices_are_as_often_right():
    """Which choice is named first tells nothing."""
    rng = Random(1)
    for name in KINDS:
        asked = [q for _ in range(150) for q in make(rng, name, 2).questions]
        first = sum(q.answer == q.choices[0] for q in asked) / len(asked)
        assert 0.4 < first < 0.6, name


def test_no_problem_is_in_two_splits():
    """What is told decides the split, and each split has its share."""
    assert sum(SPLITS.values()) == 100
    rng = Random(2)
    for split in SPLITS:
        for name in KINDS:
            puzzle = make_of(rng, split, name, 3)
            assert split_of(puzzle) == split
    found = [split_of(make(rng, "reach", 2)) for _ in range(600)]
    assert 0.85 < found.count("train") / len(found) < 0.95


def test_the_sets_are_new_and_told_apart():
    """No question comes twice, in one set or in two; none is of the training's split."""
    seen = set()
    for name, asked in SETS.items():
        for puzzle, question in questions(name):
            digest = hashlib.sha256(f"{puzzle.told} {question.ask}".encode()).digest()
            assert digest not in seen
            seen.add(digest)
            assert split_of(puzzle) == asked.split != "train"
            assert puzzle.family in asked.families


def test_some_kinds_and_wordings_are_only_asked():
    """Each kind has a wording that is held out, and some kinds have no other."""
    assert any(kind.held_out for kind in KINDS.values())
    rng = Random(3)
    for name, kind in KINDS.items():
        assert any(wording.held_out for wording in kind.wordings)
        assert kind.held_out == all(wording.held_out for wording in kind.wordings)
        if not kind.held_out:
            out = [w for w in kind.wordings if w.held_out]
            asks = [make(rng, name, 2).questions[0].ask for _ in range(20)]
            assert not any(re.fullmatch(pattern(w.ask), ask) for w in out for ask in asks)


def test_words_are_not_two_things():
    """No word comes twice in a pool, and no name is one that a wording has in it."""
    assert len(set(NOUNS)) == len(NOUNS)
    assert len(set(NAMES)) == len(NAMES)
    assert not {"Tom", "Max"} & set(NAMES)
