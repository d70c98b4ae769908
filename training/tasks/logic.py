"""Problems without much arithmetic: order, reachability, deduction, parity."""

from __future__ import annotations

import itertools
from random import Random

from training.tasks.words import (
    COLOURS,
    MADE_UP,
    NAMES,
    PLACES,
    Problem,
    listed,
    one,
    plus,
    some,
    tell,
)


def ordering(rng: Random) -> Problem:
    """People by size, age or speed, told in pairs of neighbours."""
    more, less, most, least = rng.choice(
        [
            ("taller", "shorter", "tallest", "shortest"),
            ("older", "younger", "oldest", "youngest"),
            ("faster", "slower", "fastest", "slowest"),
            ("richer", "poorer", "richest", "poorest"),
            ("stronger", "weaker", "strongest", "weakest"),
        ]
    )
    names = some(rng, NAMES, rng.choice([3, 3, 4]))  # from most to least
    told = [
        f"{a} is {more} than {b}." if rng.random() < 0.6 else f"{b} is {less} than {a}."
        for a, b in itertools.pairwise(names)
    ]
    rng.shuffle(told)
    steps = [f"{a} > {b}" for a, b in itertools.pairwise(names)]
    kind = rng.randrange(3)
    if kind == 2 and len(names) == 3:
        ask, answer = f"Who is neither the {most} nor the {least}?", names[1]
    elif kind == 1:
        ask, answer = one(rng, f"Who is the {least}?", f"Which of them is the {least}?"), names[-1]
    else:
        ask, answer = one(rng, f"Who is the {most}?", f"Which of them is the {most}?"), names[0]
    steps.append(" > ".join(names))
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=answer)


def rank_numbers(rng: Random) -> Problem:
    """People's points, and who is first, last or second."""
    count = rng.choice([3, 3, 4])
    names, points = some(rng, NAMES, count), some(rng, range(2, 100), count)
    kind = one(rng, "points", "goals", "votes")
    by_points = sorted(zip(points, names, strict=True), reverse=True)
    told = listed([f"{n} has {p} {kind}" for n, p in zip(names, points, strict=True)]) + "."
    steps = [" > ".join(str(p) for p, _ in by_points)]
    place, words = rng.choice(
        [
            (0, ("the most", "first")),
            (-1, ("the fewest", "last")),
            (1, ("the second most", "second")),
        ]
    )
    ask = one(rng, f"Who has {words[0]} {kind}?", f"Who is {words[1]}?")
    number, answer = by_points[place]
    steps.append(f"{number}: {answer}")
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=answer)


def reachability(rng: Random) -> Problem:
    """Whether one-way roads lead from one place to another."""
    places = some(rng, PLACES, rng.choice([4, 5, 5, 6]))
    length = rng.choice([2, 2, 3])
    path, rest = places[: length + 1], places[length + 1 :]
    roads = list(itertools.pairwise(path))
    for place in rest:
        other = rng.choice(path[1:])
        roads.append((place, other) if rng.random() < 0.6 else (rng.choice(path), place))
    reached = rng.random() < 0.5
    if not reached:
        cut = rng.randrange(length)
        roads[cut] = (roads[cut][1], roads[cut][0])
    start, goal = path[0], path[-1]
    rng.shuffle(roads)
    said = one(rng, "one-way road", "bus line", "train", "path")
    a_road = {
        "one-way road": "A one-way road goes",
        "bus line": "A bus goes",
        "train": "A train runs",
        "path": "A path leads",
    }[said]
    told = [f"{a_road} from {a} to {b}." for a, b in roads]
    steps, goes = search(roads, start, goal)
    ask = one(
        rng, f"Can you get from {start} to {goal}?", f"Is there a way from {start} to {goal}?"
    )
    return Problem(
        question=tell(rng, *told, ask), steps=tuple(steps), answer="yes" if goes else "no"
    )


def search(roads: list[tuple[str, str]], start: str, goal: str) -> tuple[list[str], bool]:
    """Breadth first: a line for each place that is looked at, with where one gets from it."""
    steps, queue, seen = [], [start], {start}
    while queue:
        at = queue.pop(0)
        to = [b for a, b in roads if a == at and b not in seen]
        steps.append(f"{at}: {', '.join(to) or 'none'}")
        seen.update(to)
        queue += to
        if goal in seen:
            return steps, True
    return steps, False


def route(rng: Random) -> Problem:
    """The length of a way with several parts, told out of order."""
    places = some(rng, PLACES, rng.choice([3, 3, 4]))
    legs = [(a, b, rng.randint(2, 30)) for a, b in itertools.pairwise(places)]
    unit = one(rng, "km", "miles", "minutes")
    told = [
        one(rng, f"From {a} to {b} it is {n} {unit}.", f"The way from {a} to {b} is {n} {unit}.")
        for a, b, n in legs
    ]
    if rng.random() < 0.4:
        told.append(f"From {places[0]} to Zell it is {rng.randint(2, 30)} {unit}.")
    rng.shuffle(told)
    steps = [", ".join(f"{a} to {b} {n}" for a, b, n in legs)]
    total = legs[0][2]
    for _, _, n in legs[1:]:
        steps.append(plus(total, n))
        total += n
    ask = one(
        rng,
        f"How many {unit} is it from {places[0]} to {places[-1]} by {listed(places[1:-1])}?",
        f"How many {unit} is the way from {places[0]} over {listed(places[1:-1])} to {places[-1]}?",
    )
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=str(total))


def kinds(rng: Random) -> Problem:
    """Whether a chain of made-up kinds makes somebody one of them."""
    chain = some(rng, MADE_UP, rng.choice([3, 4, 4]))
    name = rng.choice(NAMES)
    is_a = one(rng, "Every {} is a {}.", "All {}s are {}s.", "Each {} is a {}.")
    facts = list(itertools.pairwise(chain))
    goal = chain[-1]
    holds = rng.random() < 0.5
    other = rng.choice([w for w in MADE_UP if w not in chain])
    told = [is_a.format(a, b) for a, b in facts]
    if holds:
        told.append(is_a.format(goal, other) if rng.random() < 0.4 else is_a.format(other, goal))
    else:
        # The last link points the other way: nothing makes the one before it a `goal`.
        told[-1] = is_a.format(goal, chain[-2]) if rng.random() < 0.5 else is_a.format(other, goal)
        facts = facts[:-1]
    rng.shuffle(told)
    told.append(f"{name} is a {chain[0]}.")
    steps = [f"{name} is a {chain[0]}"] + [f"a {a} is a {b}" for a, b in facts]
    if not holds:
        steps.append(f"a {chain[-2]} is not a {goal}")
    ask = one(rng, f"Is {name} a {goal}?", f"Does it follow that {name} is a {goal}?")
    return Problem(
        question=tell(rng, *told, ask), steps=tuple(steps), answer="yes" if holds else "no"
    )


def coin(rng: Random) -> Problem:
    """A coin that some people turn over and others don't."""
    names, up = some(rng, NAMES, rng.choice([2, 3, 3, 4])), rng.random() < 0.6
    told, steps = [f"A coin is {'heads' if up else 'tails'} up."], []
    for name in names:
        if rng.random() < 0.6:
            up = not up
            told.append(
                one(rng, f"{name} flips the coin.", f"{name} turns it over.", f"{name} flips it.")
            )
        else:
            told.append(
                one(
                    rng,
                    f"{name} does not flip the coin.",
                    f"{name} does not turn it over.",
                    f"{name} leaves it.",
                )
            )
        steps.append(f"{name}: {'heads' if up else 'tails'}")
    if rng.random() < 0.6:
        ask, answer = (
            "Is the coin still heads up?"
            if told[0].endswith("heads up.")
            else "Is the coin heads up now?",
            "yes" if up else "no",
        )
    else:
        ask, answer = (
            one(rng, "Which side is up?", "Is it heads or tails now?"),
            "heads" if up else "tails",
        )
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=answer)


def who_has(rng: Random) -> Problem:
    """A thing that goes from hand to hand."""
    names, thing = (
        some(rng, NAMES, 4),
        one(rng, "the ball", "the key", "the letter", "the book", "the cup"),
    )
    at = names[0]
    told, steps = [f"{at} has {thing}."], []
    for _ in range(rng.choice([2, 3, 3, 4])):
        if rng.random() < 0.25:
            a, b = some(rng, [n for n in names if n != at], 2)
            told.append(f"{a} {one(rng, 'talks to', 'waves to', 'looks at')} {b}.")
            continue
        to = rng.choice([n for n in names if n != at])
        told.append(
            one(
                rng,
                f"{at} gives {thing} to {to}.",
                f"{at} hands it to {to}.",
                f"{to} gets it from {at}.",
            )
        )
        steps.append(f"{at} -> {to}")
        at = to
    if not steps:
        return who_has(rng)
    ask = one(rng, f"Who has {thing} now?", f"Who has {thing} in the end?")
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=at)


def colour_rule(rng: Random) -> Problem:
    """People and the colours of what they have: who is left?"""
    names, colours = some(rng, NAMES, 3), some(rng, COLOURS, 3)
    thing = one(rng, "hat", "car", "bag", "scarf", "bicycle")
    a, b, c = names
    told = [
        f"{listed(some(rng, names, 3))} each have a different {thing}: "
        f"{listed(some(rng, colours, 3))}.",
        f"{a} has the {colours[0]} one.",
        f"{b} does not have the {colours[2]} one.",
    ]
    steps = [f"{a}: {colours[0]}", f"{b}: {colours[1]}", f"{c}: {colours[2]}"]
    who = rng.choice([1, 2])
    if rng.random() < 0.5:
        ask, answer = f"Which colour is the {thing} of {names[who]}?", colours[who]
    else:
        ask, answer = f"Who has the {colours[who]} {thing}?", names[who]
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=answer)
