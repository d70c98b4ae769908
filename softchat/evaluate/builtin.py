"""A small set of questions with known answers, for who has none: sums in words, made by a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

from softchat.evaluate.questions import Question, QuestionFile

NAME = "built-in"
_SEED = 2505
_COUNT = 120

_THINGS = ("apples", "books", "coins", "cards", "eggs", "pens", "shells", "stamps")
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Finn", "Lena", "Tom")


def built_in() -> QuestionFile:
    """The questions, always the same ones."""
    draw = random.Random(_SEED)
    made = [_KINDS[place % len(_KINDS)](draw) for place in range(_COUNT)]
    questions = tuple(
        Question(index=index, text=text, answer=str(answer))
        for index, (text, answer) in enumerate(made)
    )
    text = "\n".join(f"{one.text}\t{one.answer}" for one in questions)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return QuestionFile(path=Path(NAME), sha256=digest, questions=questions)


def _shop(draw: random.Random) -> tuple[str, int]:
    count, price = draw.randint(2, 9), draw.randint(2, 12)
    paid = (count * price // 10 + 1) * 10
    thing = draw.choice(_THINGS)
    text = f"{draw.choice(_NAMES)} buys {count} {thing} for {price} dollars each and pays with "
    return text + f"{paid} dollars. How many dollars come back?", paid - count * price


def _given_away(draw: random.Random) -> tuple[str, int]:
    had, got = draw.randint(20, 60), draw.randint(5, 20)
    gave = draw.randint(5, 19)
    name, thing = draw.choice(_NAMES), draw.choice(_THINGS)
    text = f"{name} has {had} {thing}, gets {got} more and gives {gave} away. "
    return text + f"How many {thing} has {name} now?", had + got - gave


def _shared(draw: random.Random) -> tuple[str, int]:
    people, each, lost = draw.randint(2, 8), draw.randint(3, 12), draw.randint(1, 2)
    thing = draw.choice(_THINGS)
    text = f"{people * each} {thing} are shared evenly among {people} children. Each of them then "
    return text + f"loses {lost}. How many {thing} has each child?", each - lost


def _rows(draw: random.Random) -> tuple[str, int]:
    rows, seats, taken = draw.randint(4, 12), draw.randint(5, 12), draw.randint(3, 18)
    text = f"A hall has {rows} rows of {seats} seats. {taken} seats are taken. How many are free?"
    return text, rows * seats - taken


def _speed(draw: random.Random) -> tuple[str, int]:
    speed, first, second = draw.randint(3, 12), draw.randint(2, 5), draw.randint(1, 4)
    text = f"A boat goes {speed} miles an hour. It sails for {first} hours, rests, and sails for "
    return text + f"{second} more. How many miles is that?", speed * (first + second)


def _ages(draw: random.Random) -> tuple[str, int]:
    young, times, later = draw.randint(3, 9), draw.randint(2, 4), draw.randint(2, 9)
    one, other = draw.sample(_NAMES, 2)
    text = f"{one} is {young} years old. {other} is {times} times as old. "
    return text + f"How old will {other} be in {later} years?", young * times + later


_KINDS: tuple[Callable[[random.Random], tuple[str, int]], ...] = (
    _shop,
    _given_away,
    _shared,
    _rows,
    _speed,
    _ages,
)
