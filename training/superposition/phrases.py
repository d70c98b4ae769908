"""Many ways to tell the problems that are trained on, put together anew for each of them.

The few wordings of `families` are what is measured by, and most of what is trained on. People type
other ones: these are for them. None of these is in a set that is measured by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from training.superposition.words import (
    ADJECTIVES,
    BEINGS,
    CAPITALS,
    CITIES,
    COLOURS,
    DIGITS,
    MORE_NAMES,
    NAMES,
    NOUNS,
    PLACES,
    SMALL,
    THINGS,
)

_MOST_STATES = 8  # a move
Move = tuple[str, str, str]
"""How a move is told, what joins two that begin in the same state, what stands between others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a problem is told: a move, what stands between two moves, and the question."""

    ask: str
    move: str = ""
    between: str = ""
    before: str = ""
    join: str = ""
    """What joins moves that begin in the same state; empty: each is told by itself."""
    joined: str = ""
    """What stands between the forbidden states, or the numbers; empty: what is usual."""
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """What the problems of a kind can be told in; of each, one is drawn."""

    words: tuple[Sequence[str], ...]
    """States."""
    before: tuple[str, ...]
    ask: tuple[str, ...]
    moves: tuple[Move, ...] = (("", "", ""),)
    joined: tuple[str, ...] = ("",)
    """What stands between the forbidden states, or the numbers."""


def draw(phrases: Phrases, rng: Random, depth: int) -> tuple[Sequence[str], Wording]:
    """States and a wording; half of the time, moves that begin in the same state are joined."""
    move, join, between = rng.choice(phrases.moves)
    words = rng.choice(phrases.words)
    while len(words) < _MOST_STATES * depth and len(phrases.words) > 1:  # two trees need so many
        words = rng.choice(phrases.words)
    if "{a}s" in move:
        words = BEINGS  # of which there are several
    return words, Wording(
        before=rng.choice(phrases.before),
        ask=rng.choice(phrases.ask),
        move=move,
        join=join if rng.random() < 0.5 else "",
        between=between,
        joined=rng.choice(phrases.joined),
    )


def filled(template: str, **words: str) -> str:
    """The template with these words in its places, and `an` for `a` before a vowel."""

    def article(found: re.Match[str]) -> str:
        return found[1] + "n" * _takes_an(words[found[2]]) + f" {{{found[2]}}}"

    return re.sub(r"\b([Aa]) \{(\w)\}", article, template).format(**words)


def joined(words: Sequence[str], by: str) -> str:
    """Some words with this between them, which may end in an article."""
    said = words[0]
    for word in words[1:]:
        said += by.removesuffix(" ") + "n" * (by.endswith(" a ") and _takes_an(word))
        said += " " * by.endswith(" ") + word
    return said


def _takes_an(word: str) -> bool:
    return len(word) > 1 and word[0] in "aeiou"


_TO: tuple[Move, ...] = (
    ("{a} to {b}", " or ", ","),
    ("{a} to {b}", " and ", ";"),
    ("from {a} to {b}", " or ", ","),
    ("from {a} to {b}", " and ", ","),
    ("{a} -> {b}", " or ", ","),
    ("{a} -> {b}", ", ", ";"),
    ("{a}->{b}", "", ","),
    ("{a}->{b}", "", ""),
    ("{a} => {b}", "", ","),
    ("{a}-{b}", "", ","),
    ("{a}: {b}", ", ", ";"),
    ("{a} goes to {b}", " and to ", ","),
    ("{a} leads to {b}", " or ", "."),
    ("{a} leads to {b}", " and ", ";"),
    ("{a} connects to {b}", " and ", ","),
    ("{a} links to {b}", " and ", "."),
    ("you can go from {a} to {b}", " or to ", ","),
    ("one can get from {a} to {b}", " and ", ";"),
)
_MAPS = (
    "",
    "Roads:",
    "One-way roads:",
    "The roads are one-way:",
    "Streets (one way only):",
    "Here is a graph:",
    "Graph:",
    "Directed edges:",
    "The edges are",
    "In a graph the edges are",
    "Trains run",
    "Flights go",
    "Buses go",
    "There are paths",
    "There are one-way doors",
    "Tunnels:",
    "Links:",
    "The map:",
    "On this island",
    "In our town",
    "We know:",
    "I have a map.",
)
_GET = (
    "From {s}, can you get to {x} or {y}?",
    "Can you get from {s} to {x} or to {y}?",
    "Can one come from {s} to {x} or to {y}?",
    "Starting at {s}, can I reach {x} or {y}?",
    "I am at {s}. Can I get to {x} or {y}?",
    "I am in {s} now. Where can I get: {x} or {y}?",
    "Which can be reached from {s}, {x} or {y}?",
    "Is {x} or {y} reachable from {s}?",
    "You are in {s}. Can you reach {x} or {y}?",
    "Which one can you reach from {s}: {x} or {y}?",
    "Start: {s}. Goal: {x} or {y}?",
    "If I start at {s}, can I end at {x} or {y}?",
    "Where can I end up from {s}: {x} or {y}?",
    "Is there a path from {s} to {x} or to {y}?",
    "Is there a way from {s} to {x} or {y}?",
    "Leaving from {s}, which place can we get to: {x} or {y}?",
    "A man starts in {s}. Can he come to {x} or to {y}?",
    "Which of {x} and {y} can be reached from {s}?",
    "{s} is where we begin. Do we get to {x} or {y}?",
    "from {s} can i reach {x} or {y}?",
    "Begin at {s}. Which is possible, {x} or {y}?",
    "Can you get from {s} to {x}?",
    "Can I reach {x} from {s}?",
    "Is there a path from {s} to {x}?",
    "I am at {s}. Is there a way to {x}?",
    "Is {x} reachable from {s}?",
)
_MAP_WORDS = (NOUNS, CAPITALS, CAPITALS, SMALL, CITIES, PLACES, PLACES)

PHRASES: Mapping[str, Phrases] = {
    "reach": Phrases(words=_MAP_WORDS, before=_MAPS, moves=_TO, ask=_GET),
    "closed": Phrases(
        words=_MAP_WORDS,
        before=(*_MAPS, "Some places are closed.", "There was a storm."),
        moves=_TO,
        joined=(" and ", ", ", " and also "),
        ask=(
            "{e} {be} closed. From {s}, can you get to {x} or {y}?",
            "{e} {be} closed. Can you still get from {s} to {x} or to {y}?",
            "{e} {be} blocked. Starting at {s}, can I still reach {x} or {y}?",
            "But {e} {be} closed today. From {s}, can we reach {x} or {y}?",
            "Do not go through {e}. Which can be reached from {s}: {x} or {y}?",
            "Without going through {e}, can I get from {s} to {x} or {y}?",
            "You must not enter {e}. You start at {s}. Can you get to {x} or {y}?",
            "Nobody may pass {e}. From {s}, is it {x} or {y} that can be reached?",
            "Now {e} cannot be used. I am at {s}. Can I get to {x} or {y}?",
            "If {e} {be} forbidden, can you come from {s} to {x} or to {y}?",
            "Avoiding {e}, where can I end up from {s}: {x} or {y}?",
            "There is no way through {e}. Leaving {s}, which is still possible: {x} or {y}?",
            "Blocked: {e}. Start: {s}. Goal: {x} or {y}?",
            "From {s}, avoiding {e}, can you reach {x} or {y}?",
            "Which of {x} and {y} can still be reached from {s} when {e} {be} closed?",
            "The road from {r} is closed. From {s}, can you get to {x} or {y}?",
            "The way from {r} is blocked. Can you still get from {s} to {x} or to {y}?",
            "But from {r} it is closed. Starting at {s}, can I still reach {x} or {y}?",
            "{e} {be} closed. Can you still get from {s} to {x}?",
            "Is there a way from {s} to {x} that avoids {e}?",
            "Without going through {e}, can I get from {s} to {x}?",
        ),
    ),
    "kinds": Phrases(
        words=(NOUNS, BEINGS, BEINGS, (*BEINGS, *ADJECTIVES)),
        before=("", "", "We know this:", "Facts:", "Rules:", "In this world", "Kinds:", "On Mars"),
        moves=(
            ("Every {a} is a {b}", " or a ", "."),
            ("every {a} is a {b}", " and a ", ","),
            ("Each {a} is a {b}", "", "."),
            ("A {a} is a {b}", " or a ", "."),
            ("a {a} is always a {b}", "", ";"),
            ("Any {a} is also a {b}", "", "."),
            ("{a} is a {b}", " and a ", ","),
            ("{a} is {b}", " and ", ","),
            ("all {a} are {b}", " or ", ","),
            ("All {a} are {b}", " and ", "."),
            ("All {a}s are {b}s", "s or ", "."),
            ("all {a}s are {b}s", "s and ", ","),
            ("{a}s are {b}s", "s or ", ","),
            ("every {a} is a {b}", " or a ", ";"),
            ("Every {a} is either a {b}", " or a ", "."),
            ("if it is a {a} it is a {b}", "", ";"),
            ("being {a} means being {b}", " and ", ","),
        ),
        ask=(
            "Rex is a {s}. Is he a {x} or a {y}?",
            "Kim is a {s}. Is she a {x} or a {y}?",
            "Sam is a {s}. Is Sam a {x} or a {y}?",
            "Sam is {s}. Is Sam {x} or {y}?",
            "This is a {s}. Is it a {x} or a {y}?",
            "It is {s}. Is it {x} or {y}?",
            "I have a {s}. Is it a {x} or a {y}?",
            "Is a {s} a {x} or a {y}?",
            "What is a {s}: a {x} or a {y}?",
            "Which is true of a {s}, {x} or {y}?",
            "Look, a {s}! Could it be a {x} or a {y}?",
            "Bob saw a {s}. Was it a {x} or a {y}?",
            "Fay is a {s}. So is Fay a {x} or a {y}?",
            "Is a {s} a {x}?",
            "Rex is a {s}. Is he a {x}?",
            "Is every {s} a {x}?",
        ),
    ),
    "key": Phrases(
        words=(NAMES, MORE_NAMES, MORE_NAMES, CAPITALS),
        before=(
            "",
            "",
            "Who gives to whom:",
            "Today",
            "At school",
            "In the office",
            "Friends pass things on:",
            "We know that",
            "A game:",
            "The rule is:",
            "Letters are passed on.",
        ),
        moves=(
            ("{a} gives to {b}", " or ", ","),
            ("{a} gives it to {b}", " or to ", "."),
            ("{a} can give it to {b}", " or ", ","),
            ("{a} may give it to {b}", " or to ", ";"),
            ("{a} might hand it to {b}", " or to ", "."),
            ("{a} hands things to {b}", " or ", ","),
            ("{a} passes it to {b}", " or ", ","),
            ("{a} could pass it on to {b}", " or to ", "."),
            ("{a} lends to {b}", " or ", ","),
            ("{a} sends it to {b}", " or ", ";"),
            ("{a} throws to {b}", " or ", ","),
            ("{a} to {b}", " or ", ","),
            ("{a} -> {b}", "", ","),
            ("{a} shares with {b}", " and ", "."),
        ),
        ask=tuple(
            text.replace("KEY", thing)
            for thing in ("key", "ball", "letter", "book", "ring")
            for text in (
                "{s} has the KEY. Who may get it: {x} or {y}?",
                "{s} has the KEY now. Who could have it in the end, {x} or {y}?",
                "The KEY is with {s}. Who can end up with it: {x} or {y}?",
                "The KEY is with {s} first. Could {x} or {y} have it at last?",
                "At first {s} holds the KEY. Who might hold it later: {x} or {y}?",
                "{s} starts with the KEY. Can {x} or {y} get it?",
                "If {s} has the KEY, can it come to {x} or to {y}?",
                "Who may have the KEY that {s} had: {x} or {y}?",
                "{s} found a KEY. Who could get it, {x} or {y}?",
                "Where could the KEY of {s} be now: with {x} or with {y}?",
                "{s} has the KEY. Can {x} get it?",
                "{s} has the KEY first. Could it end up with {x}?",
            )
        ),
    ),
    "lights": Phrases(
        words=(COLOURS,),
        before=(
            "",
            "A lamp changes its colour:",
            "A press turns",
            "Each press changes the light:",
            "There is a lamp with a button.",
            "When you press, the light goes",
            "At each step",
            "The machine can change",
            "A traffic light changes",
            "Rules:",
            "With every push",
        ),
        moves=(
            ("{a} to {b}", " or ", ","),
            ("{a} to {b}", " or to ", ";"),
            ("from {a} to {b}", " or ", ","),
            ("{a} -> {b}", " or ", ","),
            ("{a}: {b}", " or ", ";"),
            ("{a} becomes {b}", " or ", ","),
            ("{a} turns {b}", " or ", "."),
            ("{a} turns into {b}", " or ", ","),
            ("{a} can turn into {b}", " or ", ";"),
            ("{a} goes to {b}", " or ", ","),
            ("{a} might change to {b}", " or ", "."),
            ("if it is {a} it becomes {b}", " or ", ","),
            ("after {a} comes {b}", " or ", ","),
        ),
        ask=(
            "The light is {s}. After {e} presses, can it be {x} or {y}?",
            "It is {s} now. After {e} presses, is it {x} or {y}?",
            "The lamp is {s}. You press {e} times. Can it be {x} or {y}?",
            "It starts {s}. I press the button {e} times. Which colour is possible: {x} or {y}?",
            "Now it is {s}. What can it be after {e} steps: {x} or {y}?",
            "Start with {s} and press {e} times: {x} or {y}?",
            "First it is {s}. After {e} changes, could it be {x} or {y}?",
            "It begins with {s}. Which can it show after exactly {e} presses, {x} or {y}?",
            "From {s}, after {e} pushes: {x} or {y}?",
            "If it is {s} now, can it be {x} or {y} after {e} more presses?",
            "We see {s}. {e} presses later, is {x} or {y} possible?",
            "The light is {s}. Can it be {x} after {e} presses?",
            "It is {s}. You press {e} times. Could it be {x}?",
        ),
    ),
    "signed": Phrases(
        words=(DIGITS,),
        before=(
            "A game with digits from 0 to 9.",
            "You may never go below 0 or above 9.",
            "Stay from 0 to 9.",
            "A frog jumps on stones from 0 to 9.",
            "A lift goes up or down, floors 0 to 9.",
        ),
        joined=(", then ", " and then ", " and ", ", "),
        ask=(
            "Start at {s}. Add or subtract {e}. Can you get {x} or {y}?",
            "Start with {s}, then add or subtract {e}. Is {x} or {y} possible?",
            "I have {s}. I win or lose {e}. Can I have {x} or {y}?",
            "From {s}, go up or down {e}. Can you be at {x} or {y}?",
            "Begin at {s} and go up or down by {e}. Where can you end: {x} or {y}?",
            "It starts on {s} and jumps {e} left or right. Can it end on {x} or {y}?",
            "Take {s}. Plus or minus {e}. Which can come out, {x} or {y}?",
            "The first number is {s}. Each of {e} is added or taken away. Is it {x} or {y}?",
            "On floor {s}. It moves {e} floors up or down. Is it on {x} or {y}?",
            "We are at {s}. Steps of {e}, each forward or back. Can we reach {x} or {y}?",
            "Putting plus or minus before {e}, can you come from {s} to {x} or {y}?",
            "{s} plus or minus {e}: can it be {x} or {y}?",
            "Start at {s}. Add or subtract {e}. Can you get {x}?",
            "From {s}, go up or down {e}. Is {x} possible?",
        ),
    ),
    "trade": Phrases(
        words=(NOUNS, THINGS, THINGS),
        before=(
            "",
            "",
            "You can swap",
            "You can trade",
            "I can swap",
            "At the market they trade",
            "Swaps:",
            "Trades:",
            "Kids trade",
            "In the shop you get",
            "These swaps are possible:",
        ),
        moves=(
            ("a {a} for a {b}", " or a ", ","),
            ("a {a} for a {b}", " or a ", ";"),
            ("a {a} for a {b}", " or for a ", "."),
            ("{a} for {b}", " or ", ","),
            ("a {a} -> a {b}", "", ","),
            ("{a} -> {b}", " or ", ","),
            ("a {a} can be swapped for a {b}", " or a ", "."),
            ("a {a} can be traded for a {b}", " or a ", ","),
            ("you get a {b} for a {a}", "", ","),
            ("who has a {a} can get a {b}", " or a ", ";"),
            ("I can trade a {a} for a {b}", " or a ", "."),
            ("a {a} buys a {b}", " or a ", ","),
            ("for a {a} they give a {b}", " or a ", ","),
            ("a {a} against a {b}", " or a ", ","),
        ),
        ask=(
            "You have a {s}. Can you end up with a {x} or a {y}?",
            "I have a {s}. Can I get a {x} or a {y}?",
            "I start with a {s}. Can I end up with a {x} or a {y}?",
            "Starting with a {s}, can you get the {x} or the {y}?",
            "Tom has a {s}. Can he get a {x} or a {y}?",
            "She only has a {s}. Which can she get, a {x} or a {y}?",
            "With a {s}, can you get a {x} or a {y}?",
            "If you have a {s}, is it a {x} or a {y} that you can get?",
            "What can a {s} become: a {x} or a {y}?",
            "Can you turn a {s} into a {x} or a {y}?",
            "Which can be had for a {s} in the end, {x} or {y}?",
            "My brother owns a {s}. Could he end with a {x} or a {y}?",
            "You have a {s}. Can you end up with a {x}?",
            "I have a {s}. Can I get a {x}?",
            "Starting with a {s}, is a {x} possible?",
        ),
    ),
}
"""By kind. Where a question names one end alone, the answer is yes or no."""
