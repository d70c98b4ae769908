"""Names and things that the problems are about, and how one of several wordings is picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem, with the working that leads to its answer."""

    question: str
    steps: tuple[str, ...]
    """Short lines, each complete in itself: a sum with its result, a fact that follows."""
    answer: str


SHE = [
    "Ann",
    "Mia",
    "Sara",
    "Lucy",
    "Emma",
    "Nina",
    "Rosa",
    "Tina",
    "Olga",
    "Kate",
    "Julia",
    "Maria",
    "Zoe",
    "Ella",
    "Ida",
    "Lena",
    "Grace",
    "Amy",
    "Eva",
    "Ruth",
    "Clara",
    "Diana",
    "Fatima",
    "Priya",
    "Mei",
    "Leila",
    "Hana",
    "Alice",
    "Carla",
    "Jane",
]
HE = [
    "Tom",
    "Ben",
    "Sam",
    "Max",
    "Leo",
    "Paul",
    "Jack",
    "Omar",
    "Ivan",
    "David",
    "Peter",
    "Luis",
    "Carl",
    "Finn",
    "Noah",
    "Hugo",
    "Liam",
    "Eric",
    "Adam",
    "Oscar",
    "Ravi",
    "Kofi",
    "Hassan",
    "Felix",
    "Bob",
    "John",
    "Mark",
    "Jim",
    "Daniel",
    "Simon",
]
NAMES = SHE + HE
THINGS = [
    "apples",
    "marbles",
    "stickers",
    "pencils",
    "books",
    "coins",
    "cards",
    "eggs",
    "oranges",
    "shells",
    "stamps",
    "cookies",
    "toys",
    "buttons",
    "flowers",
    "balloons",
    "candies",
    "stones",
    "tickets",
    "bottles",
    "plums",
    "nuts",
    "tomatoes",
    "muffins",
    "peaches",
    "crayons",
    "badges",
    "ribbons",
    "pears",
    "lemons",
    "potatoes",
    "beads",
]
CONTAINERS = [
    "boxes",
    "bags",
    "baskets",
    "jars",
    "crates",
    "packs",
    "shelves",
    "drawers",
    "trays",
    "bins",
]
HOLDERS = (
    ("classes", "students"),
    ("fields", "cows"),
    ("tables", "chairs"),
    ("teams", "players"),
    ("trees", "birds"),
    ("streets", "houses"),
    ("cars", "people"),
    ("rooms", "lamps"),
    ("ponds", "frogs"),
    ("pages", "pictures"),
)
"""What has equal groups of something."""
FOODS = [
    "apple",
    "cake",
    "pen",
    "notebook",
    "sandwich",
    "juice",
    "ball",
    "cup",
    "candle",
    "banana",
    "toy",
    "book",
    "poster",
    "pie",
    "plant",
    "ticket",
    "hat",
    "muffin",
    "kite",
    "mug",
]
MADE_UP = [
    "dax",
    "wug",
    "fep",
    "blick",
    "zorp",
    "lum",
    "tove",
    "mimsy",
    "gorp",
    "quon",
    "rell",
    "snark",
    "vorp",
    "yim",
    "plim",
    "brax",
    "jorf",
    "kell",
    "nib",
    "tark",
    "wump",
    "drel",
    "foz",
    "hish",
]
COLOURS = ["red", "blue", "green", "yellow", "white", "black", "pink", "grey", "brown", "purple"]
PLACES = [
    "Arden",
    "Brook",
    "Colby",
    "Dale",
    "Elm",
    "Ford",
    "Glen",
    "Hove",
    "Ilam",
    "Kirk",
    "Lynn",
    "Moor",
    "Nash",
    "Oak",
    "Pell",
    "Rye",
    "Stow",
    "Tarn",
    "Ware",
    "York",
]
ASIDES = (
    "It is a sunny day.",
    "It is raining outside.",
    "The weather is cold.",
    "Everyone is in a good mood.",
    "This happens every year.",
    "The shop is near the school.",
    "It is Monday morning.",
    "Nobody is in a hurry.",
)


def pronoun(name: str) -> str:
    """She or he, as somebody of this name is called."""
    return "She" if name in SHE else "He"


def a_(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def one(rng: Random, *wordings: str) -> str:
    """One of several wordings."""
    return rng.choice(wordings)


def some(rng: Random, words: Sequence[str], count: int) -> list[str]:
    """So many different ones of the words."""
    return rng.sample(list(words), count)


def listed(words: Sequence[str]) -> str:
    """The words as a list in a sentence: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def tell(rng: Random, *sentences: str) -> str:
    """The sentences one after the other, now and then with one among them that does not matter."""
    parts = [s for s in sentences if s]
    if rng.random() < 0.08:
        parts.insert(rng.randrange(len(parts)), rng.choice(ASIDES))
    return " ".join(parts)


def plus(a: int, b: int) -> str:
    """The line of a sum."""
    return f"{a} + {b} = {a + b}"


def minus(a: int, b: int) -> str:
    """The line of a difference."""
    return f"{a} - {b} = {a - b}"


def times(a: int, b: int) -> str:
    """The line of a product."""
    return f"{a} * {b} = {a * b}"


def over(a: int, b: int) -> str:
    """The line of a division that leaves nothing."""
    return f"{a} / {b} = {a // b}"
