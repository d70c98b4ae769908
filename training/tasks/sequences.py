"""Problems with time, units, days, and lists of letters or words."""

from __future__ import annotations

from random import Random

from training.tasks.words import (
    COLOURS,
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

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def clock(minutes: int) -> str:
    """Minutes after midnight, as a clock shows them."""
    return f"{minutes // 60 % 24}:{minutes % 60:02d}"


def time_sum(rng: Random) -> Problem:
    """When something ends that has one or two parts."""
    at = rng.randint(7, 18) * 60 + rng.choice(range(0, 60, 5))
    what = one(rng, "A film", "A lesson", "A game", "The meeting", "A train ride", "The concert")
    parts = [rng.choice(range(5, 60, 5)) for _ in range(rng.choice([1, 2, 2]))]
    told = [f"{what} starts at {clock(at)}."]
    told.append(
        one(rng, f"It takes {parts[0]} minutes.", f"It lasts {parts[0]} minutes.")
        if len(parts) == 1
        else one(
            rng,
            f"The first part takes {parts[0]} minutes and the second {parts[1]} minutes.",
            f"After {parts[0]} minutes there is a break, "
            f"and then it goes on for {parts[1]} minutes more.",
            f"It takes {parts[0]} minutes, and {parts[1]} minutes more than planned.",
        )
    )
    steps = []
    for part in parts:
        steps.append(f"{clock(at)} + {part} min = {clock(at + part)}")
        at += part
    ask = one(rng, "When does it end?", "At what time is it over?", "What time is it at the end?")
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=clock(at))


def minutes_sum(rng: Random) -> Problem:
    """Hours and minutes as minutes, or durations added up."""
    hours, minutes, more = (
        rng.randint(1, 4),
        rng.choice(range(5, 60, 5)),
        rng.choice(range(5, 60, 5)),
    )
    steps = [times(hours, 60), plus(hours * 60, minutes)]
    total = hours * 60 + minutes
    s = "s" if hours > 1 else ""
    told = one(
        rng,
        f"A journey takes {hours} hour{s} and {minutes} minutes.",
        f"{rng.choice(NAMES)} works for {hours} hour{s} {minutes} minutes.",
        f"A film is {hours} hour{s} and {minutes} minutes long.",
    )
    if rng.random() < 0.5:
        told += one(rng, f" Then it goes on for {more} minutes.", f" Add {more} minutes.")
        steps.append(plus(total, more))
        total += more
    ask = one(rng, "How many minutes is that?", "How many minutes is that in all?")
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(total))


def units(rng: Random) -> Problem:
    """A length, weight or price in two units, as one, and something taken off or added."""
    big, small, factor = rng.choice(
        [
            ("metres", "centimetres", 100),
            ("feet", "inches", 12),
            ("weeks", "days", 7),
            ("euros", "cents", 100),
            ("centimetres", "millimetres", 10),
            ("dozen", "eggs", 12),
        ]
    )
    a, b = rng.randint(2, 9), rng.randint(2, factor - 1)
    total = a * factor
    steps = [times(a, factor), plus(total, b)]
    total += b
    amount = f"{a} {big} and {b} {small}"
    kind = rng.randrange(3)
    if kind == 0:
        question = one(rng, f"How many {small} are {amount}?", f"Give {amount} in {small}.")
    elif kind == 1:
        n = rng.randint(1, min(30, total - 1))
        question = (
            f"{rng.choice(NAMES)} has {amount} and uses {n} {small}. How many {small} are left?"
        )
        steps.append(minus(total, n))
        total -= n
    else:
        n = rng.randint(1, 30)
        question = f"To {amount} come {n} {small} more. How many {small} is that?"
        steps.append(plus(total, n))
        total += n
    return Problem(question=tell(rng, question), steps=tuple(steps), answer=str(total))


def weekday(rng: Random) -> Problem:
    """The day of the week some days from now."""
    start, days = rng.randrange(7), rng.randint(2, 13)
    steps, left = [], days
    if left > 7:
        steps.append(minus(left, 7))
        left -= 7
    steps.append(", ".join(_DAYS[(start + i) % 7] for i in range(left + 1)))
    answer = _DAYS[(start + days) % 7]
    ask = one(
        rng,
        f"Today is {_DAYS[start]}. What day is it in {days} days?",
        f"It is {_DAYS[start]}. Which day of the week is it {days} days later?",
        f"{rng.choice(NAMES)} leaves on {_DAYS[start]} and comes back {days} days later. "
        "On which day?",
    )
    return Problem(question=ask, steps=tuple(steps), answer=answer)


def count_word(rng: Random) -> Problem:
    """How often a word stands in a list."""
    words = some(rng, COLOURS, rng.choice([2, 3, 3]))
    line = [rng.choice(words) for _ in range(rng.randint(4, 8))]
    wanted = rng.choice(words)
    line[rng.randrange(len(line))] = wanted
    steps, count = [], 0
    for word in line:
        if word == wanted:
            count += 1
            steps.append(f"{word} {count}")
    ask = one(
        rng,
        f"How many times does {wanted} stand in this list: {', '.join(line)}?",
        f"Here are some balls: {', '.join(line)}. How many are {wanted}?",
        f"The lights are {', '.join(line)}. How many of them are {wanted}?",
    )
    return Problem(question=ask, steps=(", ".join(steps),), answer=str(count))


def letters(rng: Random) -> Problem:
    """A row of letters that is changed step by step."""
    row = some(rng, "ABCDEFGHKLMNPRST", rng.choice([3, 4, 4, 5]))
    told, steps = [f"{one(rng, 'Start with', 'Take', 'The row is')} {' '.join(row)}."], []
    for _ in range(rng.choice([1, 2, 2, 3])):
        kind = rng.randrange(5)
        if kind == 0:
            row = row[::-1]
            told.append(one(rng, "Reverse it.", "Turn the row around."))
        elif kind == 1:
            row = [row[-1], *row[1:-1], row[0]]
            told.append(
                one(rng, "Swap the first and the last.", "Swap the first letter with the last.")
            )
        elif kind == 2 and len(row) > 2:
            row = row[1:]
            told.append(one(rng, "Remove the first.", "Take away the first letter."))
        elif kind == 3 and len(row) > 2:
            row = row[:-1]
            told.append(one(rng, "Remove the last.", "Take away the last letter."))
        else:
            new = rng.choice([c for c in "UVWXYZ" if c not in row])
            row = [*row, new]
            told.append(one(rng, f"Add {new} at the end.", f"Put {new} at the end."))
        steps.append(" ".join(row))
    if rng.random() < 0.3:
        ask, answer = one(rng, "Which letter is first?", "What is the first letter now?"), row[0]
    else:
        ask, answer = (
            one(rng, "What is the row now?", "What is left?", "What is the result?"),
            " ".join(row),
        )
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=answer)


def pattern(rng: Random) -> Problem:
    """The next number of a row with equal steps."""
    start, step = rng.randint(1, 30), rng.choice([2, 3, 4, 5, 6, 7, 8, 9, 10])
    if rng.random() < 0.4:
        start, step = start + 5 * step, -step
    row = [start + i * step for i in range(4)]
    a, b, last = row[0], row[1], row[-1]
    steps = [minus(b, a), plus(last, step)] if step > 0 else [minus(a, b), minus(last, -step)]
    ask = one(
        rng,
        f"Which number comes next: {', '.join(map(str, row))}?",
        f"What is the next number after {listed([str(n) for n in row])}?",
        f"Go on with the row {', '.join(map(str, row))}. What is the next number?",
    )
    return Problem(question=ask, steps=tuple(steps), answer=str(last + step))
