"""Problems of search, told in plain words. Knows nothing of models; needs only Python.

Each has states that are one token each. What can be the case after i moves is a set of states, the
frontier; a chain of thought can follow only one of them, a superposition all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from training.superposition.phrases import PHRASES, Wording, draw, filled, joined
from training.superposition.words import COLOURS, DIGITS, NAMES, NOUNS

Moves = Mapping[str, Sequence[str]]
YES_NO = "Yes", "No"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about a told situation."""

    ask: str
    levels: tuple[tuple[str, ...], ...]
    """The states that may be the case after 0, 1, 2, … moves, the last ones before the end."""
    path: tuple[str, ...]
    """One way to an end that can be had, for those who think in single states."""
    choices: tuple[str, str]
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Puzzle:
    """A situation told once, with several questions about it."""

    family: str
    told: str
    questions: tuple[Question, ...]
    moves: tuple[Moves, ...]
    """What each state leads to at the first, second, … move; nothing where the search ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A family of search: its states, its wordings, and what makes its puzzles."""

    words: Sequence[str]
    wordings: tuple[Wording, ...]
    make: Callable[[Random, Sequence[str], int], Plan]
    least: int = 1
    """Moves."""
    joined: str = ""
    """What stands between what a plan has extra."""
    freely: Callable[[Random, Sequence[str], int], Plan] | None = None
    """What makes its puzzles where they are told freely; None: the same."""
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A puzzle before it is put into words."""

    moves: tuple[Moves, ...]
    told: Sequence[tuple[str, str]]
    """The moves, in the order in which they are told."""
    asked: Sequence[tuple[str, str, str]]
    """Start, the choice that is right, the one that is wrong."""
    extra: tuple[str, ...] = ()
    """The forbidden states, what is added or taken, or how many moves there are."""
    shut: tuple[tuple[str, str], ...] = ()
    """The moves that lead to forbidden states."""


def frontiers(moves: Sequence[Moves], start: str) -> tuple[tuple[str, ...], ...]:
    """The sets of states that may be the case after 0, 1, 2, … moves, until there are none."""
    levels = [(start,)]
    for step in moves:
        after = dict.fromkeys(b for a in levels[-1] for b in step.get(a, ()))
        if not after:
            break
        levels.append(tuple(after))
    return tuple(levels)


def a_path(moves: Sequence[Moves], levels: Sequence[Sequence[str]], goal: str) -> tuple[str, ...]:
    """One way through the frontiers to a state of the last one."""
    path = [goal]
    for step, level in zip(reversed(moves[: len(levels) - 1]), reversed(levels[:-1]), strict=True):
        path.append(next(a for a in level if path[-1] in step.get(a, ())))
    return tuple(reversed(path))


def _tree(
    rng: Random, names: list[str], depth: int, *, thin: bool = False
) -> list[list[tuple[str, str]]]:
    """The moves of a tree, level by level: 1, 2, 2 to 3, 2 to 4, … states; takes the names away.

    A thin one may begin with a single way, and rather goes on than parts.
    """
    level, levels = [names.pop()], []
    for i in range(depth):
        more = [0, 0, 1] if thin else [0, 1]
        size = 2 if i == 0 else min(len(level) + rng.choice(more), 4)
        if thin and i == 0:
            size = rng.choice([1, 2, 2])
        owners = [*level, *(rng.choice(level) for _ in range(size - len(level)))]
        level = [names.pop() for _ in owners]
        levels.append(list(zip(owners, level, strict=True)))
    return levels


def _as_moves(told: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    moves: dict[str, list[str]] = {}
    for a, b in told:
        moves.setdefault(a, []).append(b)
    return moves


def two_trees(rng: Random, words: Sequence[str], depth: int, *, thin: bool = False) -> Plan:
    """Two trees of the same depth; which of two ends is one's own?"""
    names = rng.sample(list(words), len(words))
    trees = [_tree(rng, names, depth, thin=thin) for _ in range(2)]
    told = [move for tree in trees for level in tree for move in level]
    rng.shuffle(told)
    ends = [[b for _, b in tree[-1]] for tree in trees]
    asked = []
    for mine in (0, 1):
        right, wrong = rng.choice(ends[mine]), rng.choice(ends[1 - mine])
        asked.append((trees[mine][0][0][0], right, wrong))
    return Plan(moves=(_as_moves(told),) * depth, told=told, asked=asked)


def two_thin_trees(rng: Random, words: Sequence[str], depth: int) -> Plan:
    """The same of two trees that may be thin; as often as not they are."""
    return two_trees(rng, words, depth, thin=rng.random() < 0.5)


def closed(rng: Random, words: Sequence[str], depth: int) -> Plan:
    """A tree of which a part is closed: which end can still be reached?"""
    while True:
        names = rng.sample(list(words), len(words))
        trees = [_tree(rng, names, depth) for _ in range(2)]
        told = [move for tree in trees for level in tree for move in level]
        shut = [rng.choice(tree[rng.randrange(max(1, depth - 1))])[1] for tree in trees]
        moves = _as_moves([(a, b) for a, b in told if b not in shut])
        asked = []
        for tree in trees:
            levels = frontiers((moves,) * depth, tree[0][0][0])
            lost = [b for _, b in tree[-1] if b not in levels[-1]]
            if len(levels) == depth + 1 and lost:
                asked.append((tree[0][0][0], rng.choice(levels[-1]), rng.choice(lost)))
        if len(asked) == 2:
            rng.shuffle(told)
            return Plan(moves=(moves,) * depth, told=told, asked=asked, extra=(shut[0], shut[1]))


def closed_or_not(rng: Random, words: Sequence[str], depth: int) -> Plan:
    """A part of one tree of two, or of both, is closed; the wrong end may be of the other."""
    while True:
        names = rng.sample(list(words), len(words))
        trees = [_tree(rng, names, depth, thin=rng.random() < 0.5) for _ in range(2)]
        told = [move for tree in trees for level in tree for move in level]
        some = trees if rng.random() < 0.4 else [rng.choice(trees)]
        shut = [rng.choice(tree[rng.randrange(max(1, depth - 1))]) for tree in some]
        moves = _as_moves([(a, b) for a, b in told if (a, b) not in shut])
        ends = [[b for _, b in tree[-1]] for tree in trees]
        asked = []
        for mine, tree in enumerate(trees):
            levels = frontiers((moves,) * depth, tree[0][0][0])
            if len(levels) != depth + 1:
                break
            lost = [b for b in ends[mine] if b not in levels[-1]]
            wrong = lost if lost and rng.random() < 0.7 else ends[1 - mine]
            asked.append((tree[0][0][0], rng.choice(levels[-1]), rng.choice(wrong)))
        if len(asked) == 2:
            rng.shuffle(told)
            return Plan(
                moves=(moves,) * depth,
                told=told,
                asked=asked,
                extra=tuple(b for _, b in shut),
                shut=tuple(shut),
            )


def machine(rng: Random, words: Sequence[str], depth: int) -> Plan:
    """States that change at each press into one of two: which is possible after so many?"""
    while True:
        states = rng.sample(list(words), min(len(words), rng.choice([5, 6, 7])))
        moves = {
            a: rng.sample([b for b in states if b != a], rng.choice([1, 2, 2])) for a in states
        }
        told = [(a, b) for a in states for b in moves[a]]
        asked = []
        for start in states:
            levels = frontiers((moves,) * depth, start)
            never = [s for s in states if s not in levels[-1]]
            if 2 <= len(levels[-1]) <= 4 and never:
                asked.append((start, rng.choice(levels[-1]), rng.choice(never)))
        if len(asked) >= 2:
            rng.shuffle(told)
            return Plan(
                moves=(moves,) * depth, told=told, asked=rng.sample(asked, 2), extra=(str(depth),)
            )


def signed(rng: Random, words: Sequence[str], depth: int) -> Plan:
    """A digit to which others are added or from which they are taken: where can it end?"""
    while True:
        numbers = [rng.randint(1, 6) for _ in range(depth)]
        moves = tuple(
            {a: [b for b in (str(int(a) - n), str(int(a) + n)) if b in words] for a in words}
            for n in numbers
        )
        asked = []
        for start in rng.sample(list(words), len(words)):
            levels = frontiers(moves, start)
            # the wrong one is as odd or even as the right one
            never = [
                s for s in words if s not in levels[-1] and (int(s) - int(levels[-1][0])) % 2 == 0
            ]
            if len(levels) == depth + 1 and never:
                asked.append((start, rng.choice(levels[-1]), rng.choice(never)))
        if len(asked) >= 2:
            return Plan(moves=moves, told=(), asked=asked[:2], extra=tuple(map(str, numbers)))


DEEPEST = 4
"""Moves of the deepest problems that are trained on; one more is only ever asked."""

KINDS: Mapping[str, Kind] = {
    "reach": Kind(
        words=NOUNS,
        make=two_trees,
        freely=two_thin_trees,
        wordings=(
            Wording(move="{a} {b}", between=",", ask="From {s}: {x} or {y}?", before="Paths:"),
            Wording(
                move="{a} to {b}",
                between=",",
                ask="From {s}, can you get to {x} or {y}?",
                before="Roads:",
            ),
            Wording(
                move="{a} -> {b}",
                between=",",
                ask="Which can be reached from {s}: {x} or {y}?",
                before="Edges:",
            ),
            Wording(
                move="{a} leads to {b}",
                between=",",
                before="We know that",
                ask="You start at {s}. Can you reach {x} or {y}?",
            ),
            Wording(
                move="from {a} to {b}",
                between=",",
                ask="Starting at {s}, do you come to {x} or {y}?",
                held_out=True,
                before="Roads go",
            ),
        ),
    ),
    "kinds": Kind(
        words=NOUNS,
        make=two_trees,
        freely=two_thin_trees,
        wordings=(
            Wording(
                move="Every {a} is a {b}", between=".", ask="Tom is a {s}. Is Tom a {x} or a {y}?"
            ),
            Wording(
                move="{a} is {b}",
                between=",",
                before="Kinds:",
                ask="It is a {s}. Is it {x} or {y}?",
            ),
            Wording(
                move="Each {a} is a {b}",
                between=".",
                ask="Max is a {s}. Is Max a {x} or a {y}?",
                held_out=True,
            ),
        ),
    ),
    "key": Kind(
        words=NAMES,
        make=two_trees,
        freely=two_thin_trees,
        wordings=(
            Wording(
                move="{a} gives to {b}",
                between=",",
                ask="{s} has the key. Who may get it: {x} or {y}?",
                before="Each gives on.",
            ),
            Wording(
                move="{a} or {b}",
                between=",",
                ask="{s} has the key. Who could have it in the end: {x} or {y}?",
                before="Who gets it from whom:",
            ),
            Wording(
                move="{a} may hand it to {b}",
                between=",",
                before="Today",
                ask="{s} has the key. Who could have it at last, {x} or {y}?",
                held_out=True,
            ),
        ),
    ),
    "closed": Kind(
        words=NOUNS,
        make=closed,
        freely=closed_or_not,
        least=2,
        joined=" and ",
        wordings=(
            Wording(
                move="{a} to {b}",
                between=",",
                before="Roads:",
                ask="Closed: {e}. From {s}, can you get to {x} or {y}?",
            ),
            Wording(
                move="{a} {b}", between=",", before="Paths:", ask="Avoid {e}. From {s}: {x} or {y}?"
            ),
            Wording(
                move="{a} -> {b}",
                between=",",
                before="Edges:",
                ask="You may not enter {e}. Which can be reached from {s}: {x} or {y}?",
                held_out=True,
            ),
        ),
    ),
    "lights": Kind(
        words=COLOURS,
        make=machine,
        wordings=(
            Wording(
                move="{a} to {b}",
                between=",",
                ask="The light is {s}. After {e} presses: {x} or {y}?",
                before="A press turns",
            ),
            Wording(
                move="{a} {b}",
                between=",",
                before="Changes:",
                ask="It is {s}. After {e} steps: {x} or {y}?",
            ),
            Wording(
                move="{a} may become {b}",
                between=",",
                before="At each press",
                ask="The lamp is {s}. Can it be {x} or {y} after {e} presses?",
                held_out=True,
            ),
        ),
    ),
    "signed": Kind(
        words=DIGITS,
        make=signed,
        joined=", then ",
        wordings=(
            Wording(
                before="Add or subtract {e}, staying from 0 to 9.",
                ask="Start at {s}. Is {x} or {y} possible?",
            ),
            Wording(before="Plus or minus {e}, from 0 to 9.", ask="From {s}: {x} or {y}?"),
            Wording(
                before="Each time you win or lose {e}, never under 0 or over 9.",
                ask="You begin with {s}. Can you have {x} or {y}?",
                held_out=True,
            ),
        ),
    ),
    "trade": Kind(
        words=NOUNS,
        make=two_trees,
        freely=two_thin_trees,
        wordings=(
            Wording(
                move="a {a} for a {b}",
                between=",",
                ask="You have a {s}. Can you end up with a {x} or a {y}?",
                before="You can swap",
            ),
            Wording(
                move="{a} for {b}",
                between=",",
                ask="You have a {s}. Can you get a {x} or a {y}?",
                before="Swaps:",
            ),
            Wording(
                move="{a} buys {b}",
                between=",",
                before="At the market",
                ask="With a {s}, can you plan to have a {x} or a {y}?",
                held_out=True,
            ),
        ),
    ),
    "rumours": Kind(
        words=NAMES,
        make=two_trees,
        held_out=True,
        wordings=(
            Wording(
                move="{a} tells {b}",
                between=",",
                before="Who talks to whom:",
                ask="{s} knows it first. Who may hear it: {x} or {y}?",
                held_out=True,
            ),
        ),
    ),
    "pipes": Kind(
        words=NOUNS,
        make=closed,
        least=2,
        joined=" and ",
        held_out=True,
        wordings=(
            Wording(
                move="{a} into {b}",
                between=",",
                ask="Shut: {e}. Water starts in {s}. Does it fill {x} or {y}?",
                before="Water runs from",
                held_out=True,
            ),
        ),
    ),
}
"""All kinds of search. Those that are held out, and held out wordings, are only ever asked."""


SPLITS = {"train": 90, "dev": 5, "test": 5}
"""Percent of all problems. By a hash of what is told, so that none can be in two."""


def split_of(puzzle: Puzzle) -> str:
    """The split that a problem is in, with all its questions."""
    place = int.from_bytes(hashlib.sha256(puzzle.told.encode()).digest()[:4], "big") % 100
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    raise AssertionError(place)


def make_of(rng: Random, split: str, family: str, depth: int, **how: bool) -> Puzzle:
    """A problem of a split, told as `make` tells it."""
    while split_of(puzzle := make(rng, family, depth, **how)) != split:
        pass
    return puzzle


def make(
    rng: Random,
    family: str,
    depth: int,
    *,
    held_out: bool = False,
    short: bool = False,
    freely: bool = False,
) -> Puzzle:
    """A problem of a family that takes so many moves; two at least if something is closed.

    Args:
        rng: draws all of it.
        family: one of KINDS.
        depth: moves.
        held_out: in one of the wordings that are only ever asked.
        short: in the wording that tells a move in the fewest letters.
        freely: in phrases that are put together anew.

    """
    kind = KINDS[family]
    if freely:
        states, words = draw(PHRASES[family], rng, depth)
        plan = (kind.freely or kind.make)(rng, states, max(depth, kind.least))
        return _put(family, plan, words, rng)
    wordings = [w for w in kind.wordings if w.held_out == held_out or kind.held_out]
    words = min(wordings, key=lambda w: len(w.move)) if short else rng.choice(wordings)
    plan = kind.make(rng, kind.words, max(depth, kind.least))
    return _put(family, plan, words, rng, fill=str.format)


def _put(
    family: str,
    plan: Plan,
    words: Wording,
    rng: Random,
    fill: Callable[..., str] = filled,
) -> Puzzle:
    """A plan put into words.

    Args:
        family: its name.
        plan: what is told.
        words: how.
        rng: draws which choice is named first.
        fill: puts words into a template.

    """
    extra = (words.joined or KINDS[family].joined).join(plan.extra)
    roads = " and from ".join(f"{a} to {b}" for a, b in plan.shut)
    be = "are" if len(plan.extra) > 1 else "is"
    together = [(a, [b]) for a, b in plan.told]
    if words.join:
        together = [*_as_moves(plan.told).items()]
    moves = words.between.join(
        f" {fill(words.move, a=a, b=joined(to, words.join))}" for a, to in together
    )
    told = words.before.format(e=extra) + f"{moves}." * bool(words.move)
    questions = []
    for start, right, wrong in plan.asked:
        x, y = rng.sample([right, wrong], 2)
        choices, answer = (x, y), right
        if "{y}" not in words.ask:
            choices, answer = YES_NO, YES_NO[x == wrong]
        levels = frontiers(plan.moves, start)
        questions.append(
            Question(
                ask=fill(words.ask, s=start, x=x, y=y, e=extra, r=roads, be=be),
                levels=levels,
                path=a_path(plan.moves, levels, right),
                choices=choices,
                answer=answer,
            )
        )
    return Puzzle(
        family=family,
        told=told.strip(),
        questions=tuple(questions),
        moves=plan.moves,
    )
