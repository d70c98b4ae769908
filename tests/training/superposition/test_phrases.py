"""Problems told in phrases that are put together anew: their answers, and that all is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest

from training.superposition import families
from training.superposition.families import KINDS, YES_NO, make
from training.superposition.phrases import PHRASES, draw, filled, joined

PEOPLE = Path(families.__file__).parent / "people.jsonl"


def words_of(text):
    """As a reader takes them: a plural is of its word."""
    found = re.findall(r"[^\W_]+", text)
    return {*found, *(word.removesuffix("s") for word in found)}


@pytest.mark.parametrize("name", PHRASES)
def test_the_answer_is_the_end_that_can_be_had(name):
    """Of two ends that are asked for, one; where one is, yes or no."""
    rng, said = Random(f"answers {name}"), set()
    for _ in range(300):
        puzzle = make(rng, name, rng.choice([2, 3]), freely=True)
        assert len(puzzle.questions) == 2
        for question in puzzle.questions:
            last, asked = {*question.levels[-1]}, words_of(question.ask)
            if question.choices == YES_NO:
                said.add(question.answer)
                named = last & asked - {question.levels[0][0]}
                if question.answer == "Yes":
                    assert last & asked
                elif name not in ("signed", "lights"):  # whose numbers and colours are named too
                    assert not named
            else:
                assert set(question.choices) <= asked
                assert [c for c in question.choices if c in last] == [question.answer]
    assert said == set(YES_NO)


@pytest.mark.parametrize("name", [name for name in PHRASES if name != "signed"])
def test_every_move_is_told(name):
    """Whoever reads the text alone can find the answer: each move, and what is forbidden."""
    rng = Random(f"moves {name}")
    for _ in range(200):
        puzzle = make(rng, name, rng.choice([2, 3]), freely=True)
        there = words_of(puzzle.told)
        for a, after in puzzle.moves[0].items():
            assert {a, *after} <= there
        for question in puzzle.questions:
            assert question.levels[0][0] in words_of(question.ask)


@pytest.mark.parametrize("name", PHRASES)
def test_every_phrase_has_its_places(name):
    """A question names start and ends, and what is closed or counted; two moves stand apart."""
    phrases = PHRASES[name]
    for ask in phrases.ask:
        assert "{s}" in ask
        assert "{x}" in ask
        if name in ("closed", "lights", "signed"):
            assert "{e}" in ask or "{r}" in ask
    for move, join, between in phrases.moves:
        assert ("{a}" in move and "{b}" in move) or name == "signed"
        assert not join or join != between
    held_out = [w for w in KINDS[name].wordings if w.held_out]
    assert not {w.ask for w in held_out} & set(phrases.ask)


def test_articles():
    """Before a vowel it is `an`; single letters are no words, and a state called A no article."""
    assert filled("A {a} for a {b}", a="egg", b="pen") == "An egg for a pen"
    assert filled("{a} and {b}, a {s}", a="A", b="B", s="e") == "A and B, a e"
    assert joined(["pen", "egg", "cup"], " or a ") == "pen or an egg or a cup"
    assert joined(["A", "e"], " or ") == "A or e"
    assert joined(["dog", "ant"], "s or ") == "dogs or ant"


def test_deep_problems_have_words_enough():
    """Letters are too few for two trees of four moves."""
    rng = Random(4)
    for _ in range(200):
        assert len(draw(PHRASES["reach"], rng, 4)[0]) >= 32


def test_what_people_asked():
    """Eighty-four questions, twelve of a kind, each answer one of the words in its question."""
    lines = [json.loads(line) for line in PEOPLE.read_text("utf-8").splitlines()]
    assert len(lines) == len({line["question"] for line in lines}) == 84
    kinds = [line["kind"] for line in lines]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(PHRASES, 12)
    for line in lines:
        assert line["answer"] in re.findall(r"[^\W_]+", line["question"])
