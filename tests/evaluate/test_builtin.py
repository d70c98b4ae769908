"""The built-in questions: the same for everyone, and their answers are right."""

from __future__ import annotations

import re

from softchat.evaluate.answers import make_reader
from softchat.evaluate.builtin import built_in


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def test_they_are_always_the_same():
    """Whoever measures with them can compare with others."""
    assert built_in() == built_in()
    assert built_in().sha256 == built_in().sha256
    assert len({question.text for question in built_in().questions}) >= 110


def test_the_answers_are_right():
    """Each kind worked out anew from the numbers in its text."""
    ways = {
        "come back": lambda n, price, paid: paid - n * price,
        "away": lambda had, got, gave: had + got - gave,
        "evenly": lambda all_, people, lost: all_ // people - lost,
        "free": lambda rows, seats, taken: rows * seats - taken,
        "miles is": lambda speed, a, b: speed * (a + b),
        "years?": lambda young, times, later: young * times + later,
    }
    reader = make_reader("number")
    for question in built_in().questions:
        way = next(way for word, way in ways.items() if word in question.text)
        assert int(question.answer) == way(*numbers(question.text)), question.text
        assert int(question.answer) >= 0
        assert reader.can_be(question.answer)
