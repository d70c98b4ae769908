"""Families that are never trained on: other stories, to be solved with the same skills."""

from __future__ import annotations

import itertools
from random import Random

from training.tasks.logic import search
from training.tasks.words import (
    NAMES,
    Problem,
    listed,
    minus,
    one,
    plus,
    some,
    tell,
    times,
)


def bus(rng: Random) -> Problem:
    """Passengers who get on and off."""
    now = rng.randint(5, 40)
    told, steps = [f"A bus leaves the station with {now} passengers."], []
    for stop in ("first", "second", "third")[: rng.choice([1, 2, 2])]:
        off, on = rng.randint(1, min(12, now - 1)), rng.randint(1, 15)
        told.append(f"At the {stop} stop {off} get off and {on} get on.")
        steps += [minus(now, off), plus(now - off, on)]
        now += on - off
    return Problem(
        question=tell(rng, *told, "How many passengers are on the bus now?"),
        steps=tuple(steps),
        answer=str(now),
    )


def rectangle(rng: Random) -> Problem:
    """The area of a rectangle, and what it costs to cover it."""
    a, b = rng.randint(2, 12), rng.randint(2, 12)
    place = one(rng, "garden", "room", "field", "yard")
    area, steps = a * b, [times(a, b)]
    told = f"A {place} is {a} metres long and {b} metres wide."
    if rng.random() < 0.5:
        n = rng.randint(1, min(area - 1, 30))
        ask = f"{n} square metres of it are taken by a path. How many square metres are left?"
        steps.append(minus(area, n))
        area -= n
    else:
        ask = f"How many square metres is the {place}?"
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(area))


def temperature(rng: Random) -> Problem:
    """Degrees that rise and fall over a day."""
    now = rng.randint(10, 30)
    told, steps = [f"In the morning it is {now} degrees."], []
    for when in ("By noon", "In the afternoon", "In the evening")[: rng.choice([2, 3])]:
        n = rng.randint(2, 9)
        if rng.random() < 0.5 and n < now:
            told.append(f"{when} the temperature falls by {n} degrees.")
            steps.append(minus(now, n))
            now -= n
        else:
            told.append(f"{when} it rises by {n} degrees.")
            steps.append(plus(now, n))
            now += n
    return Problem(
        question=tell(rng, *told, "How many degrees is it then?"),
        steps=tuple(steps),
        answer=str(now),
    )


def wages(rng: Random) -> Problem:
    """Pay by the hour, with a bonus or something spent."""
    name, pay, hours = rng.choice(NAMES), rng.randint(5, 15), rng.randint(2, 9)
    total, steps = pay * hours, [times(hours, pay)]
    told = f"{name} earns {pay} dollars an hour and works {hours} hours."
    n = rng.randint(2, 20)
    if n < total and rng.random() < 0.5:
        told += f" {name} spends {n} dollars on lunch."
        steps.append(minus(total, n))
        total -= n
        ask = "How many dollars are left?"
    else:
        told += f" {name} also gets a tip of {n} dollars."
        steps.append(plus(total, n))
        total += n
        ask = f"How many dollars does {name} earn in all?"
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(total))


def queue(rng: Random) -> Problem:
    """Who is first or last in a queue."""
    names = some(rng, NAMES, rng.choice([3, 4]))
    told = [
        one(rng, f"{a} stands in front of {b}.", f"{b} stands behind {a}.")
        for a, b in itertools.pairwise(names)
    ]
    rng.shuffle(told)
    first = rng.random() < 0.5
    steps = [f"{a} > {b}" for a, b in itertools.pairwise(names)]
    return Problem(
        question=tell(rng, *told, f"Who is {'first' if first else 'last'} in the queue?"),
        steps=(*steps, " > ".join(names)),
        answer=names[0] if first else names[-1],
    )


def rumour(rng: Random) -> Problem:
    """Whether news can get from one person to another."""
    names = some(rng, NAMES, 5)
    path = names[: rng.choice([3, 4])]
    tells = list(itertools.pairwise(path))
    for name in names[len(path) :]:
        tells.append(
            (name, rng.choice(path[1:])) if rng.random() < 0.5 else (rng.choice(path), name)
        )
    if rng.random() < 0.5:
        cut = rng.randrange(len(path) - 1)
        tells[cut] = tells[cut][::-1]
    rng.shuffle(tells)
    told = [f"{a} tells all news to {b}." for a, b in tells]
    steps, reached = search(tells, path[0], path[-1])
    ask = f"{path[0]} hears some news. Will {path[-1]} hear it too?"
    return Problem(
        question=tell(rng, *told, ask), steps=tuple(steps), answer="yes" if reached else "no"
    )


def tank(rng: Random) -> Problem:
    """Water that runs in and out of a tank for some minutes."""
    water, a, minutes = rng.randint(5, 40), rng.randint(2, 9), rng.randint(2, 9)
    flow = a * minutes
    steps = [times(a, minutes)]
    if flow < water and rng.random() < 0.7:
        told = f"A tank holds {water} litres. Every minute {a} litres run out of it."
        steps.append(minus(water, flow))
        answer = water - flow
    else:
        told = f"A tank holds {water} litres. Every minute {a} litres run into it."
        steps.append(plus(water, flow))
        answer = water + flow
    ask = f"How many litres are in it after {minutes} minutes?"
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(answer))


def switch(rng: Random) -> Problem:
    """A lamp whose switch is pressed or not."""
    names, on = some(rng, NAMES, rng.choice([2, 3])), rng.random() < 0.5
    told, steps = [f"A lamp is {'on' if on else 'off'}."], []
    for name in names:
        if rng.random() < 0.6:
            on = not on
            told.append(f"{name} presses the switch.")
        else:
            told.append(f"{name} does not press the switch.")
        steps.append(f"{name}: {'on' if on else 'off'}")
    return Problem(
        question=tell(rng, *told, "Is the lamp on or off now?"),
        steps=tuple(steps),
        answer="on" if on else "off",
    )


def program(rng: Random) -> Problem:
    """A number that is changed by instructions."""
    x = rng.randint(2, 20)
    told, steps = [f"Let x be {x}."], []
    for _ in range(rng.choice([2, 2, 3])):
        kind, n = rng.randrange(3), rng.randint(2, 15)
        if kind == 0 and n < x:
            told.append(one(rng, f"Subtract {n} from it.", f"Take {n} away."))
            steps.append(minus(x, n))
            x -= n
        elif kind == 1 and x <= 30:
            told.append("Double it.")
            steps.append(times(x, 2))
            x *= 2
        else:
            told.append(one(rng, f"Add {n} to it.", f"Add {n}."))
            steps.append(plus(x, n))
            x += n
    return Problem(question=tell(rng, *told, "What is x now?"), steps=tuple(steps), answer=str(x))


def seats(rng: Random) -> Problem:
    """Rows of seats, of which some are taken."""
    rows, each = rng.randint(3, 12), rng.randint(3, 12)
    total = rows * each
    a, b = rng.randint(1, total // 3), rng.randint(1, total // 3)
    told = f"A theatre has {rows} rows of {each} seats. {a} children and {b} adults sit down."
    steps = (times(rows, each), plus(a, b), minus(total, a + b))
    return Problem(
        question=tell(rng, told, "How many seats are free?"), steps=steps, answer=str(total - a - b)
    )


def team(rng: Random) -> Problem:
    """Goals in several matches, added up or told apart."""
    name = rng.choice(NAMES)
    scores = [rng.randint(2, 25) for _ in range(rng.choice([3, 3, 4]))]
    told = f"{name} scores {listed([str(s) for s in scores])} points in {len(scores)} games."
    steps, total = [], scores[0]
    for score in scores[1:]:
        steps.append(plus(total, score))
        total += score
    return Problem(
        question=tell(rng, told, "How many points is that in all?"),
        steps=tuple(steps),
        answer=str(total),
    )
