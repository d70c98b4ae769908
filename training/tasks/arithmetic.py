"""Word problems with numbers: amounts that change, groups, prices, ages, comparisons."""

from __future__ import annotations

import itertools
from random import Random

from training.tasks.words import (
    CONTAINERS,
    FOODS,
    HOLDERS,
    NAMES,
    THINGS,
    Problem,
    a_,
    listed,
    minus,
    one,
    over,
    plus,
    pronoun,
    some,
    tell,
    times,
)


def gain_loss(rng: Random) -> Problem:
    """Somebody has things, gets some and gives some away."""
    name, friend = some(rng, NAMES, 2)
    things, now = rng.choice(THINGS), rng.randint(3, 60)
    has = one(rng, "has", "starts with", "owns", "begins with")
    sentences, steps = [f"{name} {has} {now} {things}."], []
    for count in range(rng.choice([1, 2, 2, 2, 3, 3, 4])):
        who = one(rng, name, pronoun(name), f"Then {pronoun(name).lower()}", f"Later {name}")
        if now > 4 and rng.random() < 0.5:
            n = rng.randint(2, min(now - 1, 30))
            sentences.append(
                one(
                    rng,
                    f"{who} gives {n} to {friend}.",
                    f"{who} gives {friend} {n} {things}.",
                    f"{who} loses {n} of them.",
                    f"{who} sells {n}.",
                    f"{who} gives away {n} {things}.",
                    f"{friend} takes {n} of them.",
                    f"{who} uses {n}.",
                )
            )
            steps.append(minus(now, n))
            now -= n
        else:
            n = rng.randint(2, 40)
            sentences.append(
                one(
                    rng,
                    f"{who} buys {n} more.",
                    f"{who} finds {n} {things}.",
                    f"{friend} gives {name} {n} more.",
                    f"{who} gets {n} more {things} from {friend}.",
                    f"{who} wins {n}.",
                    f"{who} buys another {n} {things}.",
                )
            )
            steps.append(plus(now, n))
            now += n
        if not count and rng.random() < 0.15:
            sentences[-1] = f"{friend} has {rng.randint(2, 40)} {things}. {sentences[-1]}"
    ask = one(
        rng,
        f"How many {things} does {name} have now?",
        f"How many {things} does {name} have left?",
        f"How many {things} does {name} have in the end?",
        f"How many {things} has {name} now?",
        "How many are there now?",
    )
    return Problem(question=tell(rng, *sentences, ask), steps=tuple(steps), answer=str(now))


def groups(rng: Random) -> Problem:
    """Equal groups, and some that come or go."""
    a, b = rng.randint(2, 12), rng.randint(2, 12)
    name, things, boxes = rng.choice(NAMES), rng.choice(THINGS), rng.choice(CONTAINERS)
    first = one(
        rng,
        f"{name} has {a} {boxes} with {b} {things} in each.",
        f"There are {a} {boxes}. Each of them holds {b} {things}.",
        f"{name} fills {a} {boxes} with {b} {things} each.",
        f"{name} buys {a} {boxes} of {b} {things}.",
    )
    if rng.random() < 0.4:
        boxes, things = rng.choice(HOLDERS)
        first = one(
            rng,
            f"There are {a} {boxes} with {b} {things} each.",
            f"There are {b} {things} in each of {a} {boxes}.",
            f"{name} counts {a} {boxes}. Each has {b} {things}.",
        )
    total, steps, middle = a * b, [times(a, b)], ""
    if rng.random() < 0.75:
        n = rng.randint(2, 20)
        if n < total and rng.random() < 0.5:
            middle = one(
                rng,
                f"{n} of the {things} are sold.",
                f"{n} {things} get lost.",
                f"{n} of them leave.",
                f"Then {n} {things} go away.",
                f"{name} gives {n} {things} away.",
                f"Then {n} {things} are taken out.",
            )
            steps.append(minus(total, n))
            total -= n
        else:
            middle = one(
                rng,
                f"{name} also has {n} loose {things}.",
                f"There are {n} more {things} on the table.",
                f"{name} finds {n} more {things}.",
                f"Then {n} {things} are added.",
                f"{n} more {things} come.",
            )
            steps.append(plus(total, n))
            total += n
    ask = one(
        rng,
        f"How many {things} are there?",
        f"How many {things} are there in all?",
        f"How many {things} are there now?",
        f"What is the total number of {things}?",
    )
    return Problem(question=tell(rng, first, middle, ask), steps=tuple(steps), answer=str(total))


def share(rng: Random) -> Problem:
    """Things are put together or taken away, then shared equally."""
    people, each = rng.randint(2, 9), rng.randint(2, 12)
    total, things = people * each, rng.choice(THINGS)
    name, friend = some(rng, NAMES, 2)
    steps = []
    kind = rng.randrange(3)
    if kind == 0 and total > 4:
        a = rng.randint(1, total - 1)
        steps.append(plus(a, total - a))
        first = one(
            rng,
            f"{name} has {a} {things} and {friend} has {total - a}. They put them together and",
            f"{name} brings {a} {things}, {friend} brings {total - a}. All of them together they",
        )
    elif kind == 1:
        a = rng.randint(1, 15)
        steps.append(minus(total + a, a))
        first = one(
            rng,
            f"{name} has {total + a} {things}, keeps {a} of them, and has the rest to share. They",
            f"{name} picks {total + a} {things}. {a} of them are bad and thrown away. They",
        )
    else:
        first = f"{name} has {total} {things}. They"
    steps.append(over(total, people))
    second = one(
        rng,
        f"are shared equally among {people} friends.",
        f"are shared equally by {people} children.",
        f"are put into {people} equal groups.",
    )
    first = first.replace("together and", "together. They").replace("together they", "together")
    ask = one(
        rng,
        "How many does each get?",
        f"How many {things} go to each?",
        "How many is that for each?",
    )
    if "groups" in second:
        ask = one(rng, f"How many {things} are in each group?", "How many are in a group?")
    return Problem(
        question=tell(rng, f"{first} {second}", ask), steps=tuple(steps), answer=str(each)
    )


def shopping(rng: Random) -> Problem:
    """A bill of one or two kinds of things, and often the change."""
    name = rng.choice(NAMES)
    kinds = some(rng, FOODS, rng.choice([1, 2, 2]))
    counts = [rng.randint(2, 9) for _ in kinds]
    prices = [rng.randint(2, 12) for _ in kinds]
    money = one(rng, "dollars", "euros", "pounds", "dollars")
    bought = listed([f"{n} {k}s" for n, k in zip(counts, kinds, strict=True)])
    costs = listed([f"{p} {money} per {k}" for p, k in zip(prices, kinds, strict=True)])
    each = " ".join(
        one(rng, f"{a_(k).capitalize()} costs {p} {money}.", f"Each {k} is {p} {money}.")
        for p, k in zip(prices, kinds, strict=True)
    )
    said = one(
        rng,
        f"{name} buys {bought}. {each}",
        f"{each} {name} buys {bought}.",
        f"{name} pays for {bought}, at {costs}.",
    )
    steps = [times(n, p) for n, p in zip(counts, prices, strict=True)]
    sums = [n * p for n, p in zip(counts, prices, strict=True)]
    total = sum(sums)
    if len(sums) == 2:
        steps.append(plus(*sums))
    if rng.random() < 0.5:
        paid = next((n for n in (10, 20, 50, 100, 200) if n > total), 500)
        steps.append(minus(paid, total))
        ask = one(
            rng,
            f"{pronoun(name)} pays with {paid} {money}. How much change does {name} get?",
            f"{name} had {paid} {money}. How many {money} are left?",
            f"How much is left of {paid} {money}?",
        )
        total = paid - total
    else:
        ask = one(
            rng,
            f"How many {money} does {name} pay?",
            "How much is that in all?",
            f"What does it cost {name}?",
            "What is the total cost?",
        )
    return Problem(question=tell(rng, said, ask), steps=tuple(steps), answer=str(total))


def relation(rng: Random) -> Problem:
    """Amounts that are told by their relation to another's."""
    names = some(rng, NAMES, rng.choice([2, 3, 3]))
    things = rng.choice(THINGS)
    amounts = [rng.randint(2, 30)]
    sentences, steps = [f"{names[0]} has {amounts[0]} {things}."], []
    for before, name in itertools.pairwise(names):
        a = amounts[-1]
        kind = rng.randrange(4)
        if kind == 0:
            n = rng.randint(2, 25)
            sentences.append(f"{name} has {n} more than {before}.")
            line, b = plus(a, n), a + n
        elif kind == 1 and a > 3:
            n = rng.randint(1, a - 1)
            sentences.append(f"{name} has {n} {one(rng, 'fewer', 'less')} than {before}.")
            line, b = minus(a, n), a - n
        elif kind == 2 and a % 2 == 0:
            sentences.append(f"{name} has half as many as {before}.")
            line, b = over(a, 2), a // 2
        else:
            n = rng.choice([2, 2, 3])
            often = "twice" if n == 2 else "three times"
            sentences.append(f"{name} has {often} as many as {before}.")
            line, b = times(a, n), a * n
        steps.append(f"{name}: {line}")
        amounts.append(b)
    if rng.random() < 0.3:
        sentences.reverse()
    if rng.random() < 0.5:
        total = amounts[0]
        for n in amounts[1:]:
            steps.append(plus(total, n))
            total += n
        ask = one(
            rng,
            f"How many {things} do they have together?",
            f"How many {things} do {listed(names)} have in all?",
            "How many do they have altogether?",
        )
    else:
        total = amounts[-1]
        ask = f"How many {things} does {names[-1]} have?"
    return Problem(question=tell(rng, *sentences, ask), steps=tuple(steps), answer=str(total))


def compare(rng: Random) -> Problem:
    """Two people's totals: who has more, or by how many."""
    names, things = some(rng, NAMES, 2), rng.choice(THINGS)
    verb = one(rng, "picks", "collects", "finds", "sells", "reads")
    when = one(
        rng, "in the morning and|in the evening", "on Monday and|on Tuesday", "first and|later"
    )
    one_part, other_part = when.split("|")
    pairs = [(rng.randint(2, 40), rng.randint(2, 40)) for _ in names]
    sums = [a + b for a, b in pairs]
    if sums[0] == sums[1]:
        return compare(rng)
    told = [
        f"{n} {verb} {a} {things} {one_part} {b} {other_part}."
        for n, (a, b) in zip(names, pairs, strict=True)
    ]
    steps = [f"{n}: {plus(*pair)}" for n, pair in zip(names, pairs, strict=True)]
    most = 0 if sums[0] > sums[1] else 1
    kind = rng.randrange(3)
    if kind == 2:
        steps.append(minus(max(sums), min(sums)))
        ask, answer = (
            one(
                rng,
                "What is the difference?",
                f"How many more does {names[most]} have than {names[1 - most]}?",
            ),
            str(abs(sums[0] - sums[1])),
        )
    else:
        steps.append(f"{max(sums)} > {min(sums)}")
        more = kind == 0
        ask = (
            one(rng, "Who has more?", f"Who has more {things}?")
            if more
            else one(rng, "Who has fewer?", f"Who has fewer {things}?")
        )
        answer = names[most if more else 1 - most]
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=answer)


def ages(rng: Random) -> Problem:
    """Somebody's age from another's, now or in some years."""
    a, b = some(rng, NAMES, 2)
    age, gap = rng.randint(4, 50), rng.randint(2, 15)
    older = rng.random() < 0.5 or gap >= age - 1
    told = f"{a} is {age} years old. {b} is {gap} years {'older' if older else 'younger'} than {a}."
    steps = [plus(age, gap) if older else minus(age, gap)]
    age = age + gap if older else age - gap
    if rng.random() < 0.75:
        years = rng.randint(2, 20)
        if rng.random() < 0.7 or years >= age - 1:
            ask = one(
                rng, f"How old will {b} be in {years} years?", f"In {years} years, how old is {b}?"
            )
            steps.append(plus(age, years))
            age += years
        else:
            ask = f"How old was {b} {years} years ago?"
            steps.append(minus(age, years))
            age -= years
    else:
        ask = f"How old is {b}?"
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(age))


def fractions(rng: Random) -> Problem:
    """A part of an amount is used, then perhaps a number of what is left."""
    part = rng.choice([2, 2, 3, 4, 5])
    word = {2: "Half", 3: "A third", 4: "A quarter", 5: "A fifth"}[part]
    total = part * rng.randint(3, 20)
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    gone = one(rng, "are eaten", "are sold", "are given away", "are broken", "are red")
    steps = [over(total, part), minus(total, total // part)]
    left = total - total // part
    told = [f"{name} has {total} {things}.", f"{word} of them {gone}."]
    if gone == "are red":
        ask = "How many are not red?"
    else:
        ask = one(rng, f"How many {things} are left?", "How many remain?")
        if left > 4 and rng.random() < 0.4:
            n = rng.randint(1, min(15, left - 2))
            told.append(one(rng, f"Then {name} uses {n} more.", f"Then {n} more get lost."))
            steps.append(minus(left, n))
            left -= n
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=str(left))


def rate(rng: Random) -> Problem:
    """So many a day for some days, and what is left to do."""
    name = rng.choice(NAMES)
    what, verb = rng.choice(
        [
            ("pages", "reads"),
            ("letters", "writes"),
            ("kilometres", "walks"),
            ("pots", "paints"),
            ("cakes", "bakes"),
            ("exercises", "solves"),
        ]
    )
    unit = one(rng, "day", "hour", "week")
    a, b = rng.randint(2, 12), rng.randint(2, 9)
    done, steps = a * b, [times(a, b)]
    told = one(
        rng,
        f"{name} {verb} {a} {what} every {unit} for {b} {unit}s.",
        f"{name} {verb} {a} {what} per {unit}.",
    )
    tail = "" if "for" in told else f" in {b} {unit}s"
    kind = rng.randrange(3)
    if kind == 0:
        ask = f"How many {what} is that{tail}?"
        answer = done
    elif kind == 1:
        goal = done + rng.randint(2, 40)
        told += f" The goal is {goal} {what}."
        ask = f"How many {what} are still to do after {b} {unit}s?"
        steps.append(minus(goal, done))
        answer = goal - done
    else:
        n = rng.randint(2, 30)
        told += f" {pronoun(name)} has done {n} {what} before."
        ask = f"How many {what} is that altogether{' after ' if tail else ''}{tail[4:]}?"
        steps.append(plus(done, n))
        answer = done + n
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(answer))


def count_kinds(rng: Random) -> Problem:
    """Count the things of one kind in a list of mixed ones."""
    kinds = {
        "animals": "dogs, cats, cows, hens, ducks, goats, horses, rabbits",
        "fruits": "apples, pears, plums, bananas, oranges, lemons, cherries, peaches",
        "tools": "hammers, saws, drills, rakes, spades, pliers, files, axes",
        "clothes": "hats, coats, socks, shirts, scarves, gloves, skirts, belts",
    }
    wanted, other = some(rng, list(kinds), 2)
    good = some(rng, kinds[wanted].split(", "), rng.choice([2, 2, 3]))
    bad = some(rng, kinds[other].split(", "), rng.choice([1, 2]))
    amounts = {word: rng.randint(2, 20) for word in [*good, *bad]}
    order = some(rng, list(amounts), len(amounts))
    there = one(
        rng, "There are", f"{rng.choice(NAMES)} counts", f"{rng.choice(NAMES)} sees", "The list has"
    )
    kept = [word for word in order if word in good]
    steps, total = [f"{w} {amounts[w]}" for w in kept], amounts[kept[0]]
    steps = [", ".join(steps)]
    for word in kept[1:]:
        steps.append(plus(total, amounts[word]))
        total += amounts[word]
    ask = one(
        rng,
        f"How many {wanted} is that?",
        f"How many {wanted} are there?",
        f"How many of them are {wanted}?",
    )
    told = f"{there} {listed([f'{amounts[w]} {w}' for w in order])}."
    return Problem(question=tell(rng, told, ask), steps=tuple(steps), answer=str(total))


def moves(rng: Random) -> Problem:
    """Steps to the right and to the left on a line of numbers."""
    at = rng.randint(0, 20)
    name = rng.choice(["A frog", "A robot", "A mouse", "A token", rng.choice(NAMES)])
    told, steps = (
        [f"{name} {one(rng, 'stands', 'starts', 'is')} at {one(rng, 'number', 'point')} {at}."],
        [],
    )
    for _ in range(rng.choice([2, 2, 3, 3, 4])):
        n = rng.randint(1, 15)
        it = one(rng, "It", "Then it") if name.startswith("A ") else pronoun(name)
        if n <= at and rng.random() < 0.5:
            told.append(f"{it} goes {n} {one(rng, 'back', 'to the left', 'down')}.")
            steps.append(minus(at, n))
            at -= n
        else:
            told.append(f"{it} goes {n} {one(rng, 'forward', 'to the right', 'up')}.")
            steps.append(plus(at, n))
            at += n
    ask = one(
        rng, "Where is it now?", "At which number does it end?", "On what number does it end up?"
    )
    return Problem(question=tell(rng, *told, ask), steps=tuple(steps), answer=str(at))


def expression(rng: Random) -> Problem:
    """A bare sum of a few numbers."""
    total, words, steps = rng.randint(2, 60), [], []
    words.append(str(total))
    for _ in range(rng.choice([1, 2, 2, 3])):
        n = rng.randint(2, 40)
        if n < total and rng.random() < 0.5:
            words.append(f"- {n}")
            steps.append(minus(total, n))
            total -= n
        else:
            words.append(f"+ {n}")
            steps.append(plus(total, n))
            total += n
    if len(steps) == 1 and rng.random() < 0.6:
        a, b = rng.randint(2, 12), rng.randint(2, 12)
        words, steps, total = [f"{a} {one(rng, '*', 'times', 'x')} {b}"], [times(a, b)], a * b
    said = one(rng, "What is {}?", "Calculate {}.", "How much is {}?", "{} = ?", "Work out {}.")
    return Problem(question=said.format(" ".join(words)), steps=tuple(steps), answer=str(total))
