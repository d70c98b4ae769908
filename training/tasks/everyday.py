"""Small sums as people type them: money, bills, ages, days, recipes, often in the first person."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from training.tasks.words import NAMES, THINGS, Problem, a_, listed, minus, one, over, plus, times

_GOODS = (
    *("coffee", "sandwich", "tea", "book", "magazine", "pizza", "salad", "ticket", "beer", "pen"),
    *("juice", "bagel", "cake", "shirt", "hat", "card", "notebook", "soup", "burger", "ice cream"),
    *("newspaper", "cookie", "toy", "plant", "candle", "cup", "bottle of water", "loaf of bread"),
    *("umbrella", "map", "bag of rice", "chocolate bar", "postcard", "scarf", "game", "lamp"),
)
_OWNED = (*THINGS, "euros", "dollars", "chickens", "chocolates", "photos", "pens", "plants", "fish")
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_KIN = ("sister", "brother", "mother", "father", "cousin", "aunt", "uncle", "wife", "son", "friend")


def number(rng: Random, n: int) -> str:
    """In digits, now and then as a word."""
    return _SMALL[n] if n < len(_SMALL) and rng.random() < 0.08 else str(n)


def currency(rng: Random) -> Callable[[int], str]:
    """How amounts of money are written here."""
    unit = one(rng, "euros", "dollars", "pounds", "bucks", "euros", "dollars")
    sign = one(rng, "€{}", "${}", "£{}", "{} €", "{}€")
    return sign.format if rng.random() < 0.35 else lambda n: f"{n} {unit}"


def _problem(question: str, steps: list[str], answer: int) -> Problem:
    return Problem(question=question, steps=tuple(steps), answer=str(answer))


def _cased(rng: Random, text: str) -> str:
    """As it is, or as somebody types who does not care for capitals."""
    return text.lower() if rng.random() < 0.08 else text


def _goods(rng: Random, count: int) -> list[str]:
    return rng.sample(_GOODS, count)


def _plural(good: str) -> str:
    """Bottles of water, sandwiches, loaves of bread, cups."""
    noun, of, rest = good.partition(" of ")
    many = {"sandwich": "sandwiches", "loaf": "loaves"}.get(noun, f"{noun}s")
    return f"{many}{of}{rest}"


def _priced(rng: Random, goods: list[str], prices: list[int], cash: Callable[[int], str]) -> str:
    """Goods with their prices, in one of the forms in which they follow a verb."""
    first = rng.randrange(4)
    bare = rng.random() < 0.3  # once the currency is clear, numbers will do
    said = [str(p) if bare and i else cash(p) for i, p in enumerate(prices)]
    pairs = list(zip(goods, said, strict=True))
    if first == 0:
        return listed([f"{a_(good)} for {price}" for good, price in pairs])
    if first == 1:
        return listed([f"{a_(good)} at {price}" for good, price in pairs])
    if first == 2:
        return listed([f"{a_(good)} ({price})" for good, price in pairs])
    return listed([f"{price} on {a_(good)}" for good, price in pairs])


def spending(rng: Random) -> Problem:
    """Money that somebody has, what is bought with it, and what is left."""
    cash = currency(rng)
    count = rng.choice([1, 2, 2, 2, 3])
    prices = [rng.randint(1, 15) for _ in range(count)]
    have = (
        one(rng, *(str(n) for n in (10, 20, 20, 30, 40, 50, 60, 100))) if rng.random() < 0.6 else ""
    )
    now = int(have or 0)
    if now <= sum(prices):
        now = sum(prices) + rng.randint(1, 40)
    goods = _goods(rng, count)
    steps, left = [], now
    for price in prices:
        steps.append(minus(left, price))
        left -= price
    who = one(rng, "I", "I", "I", "We", rng.choice(NAMES))
    s = "" if who in {"I", "We"} else "s"
    have_, them = ("has" if s else "have"), {"I": "I", "We": "we"}.get(who, who)
    me = {"I": "me", "We": "us"}.get(who, who)
    do = "does" if s else "do"
    ask = one(
        rng,
        "What is left?",
        "What's left?",
        "How much is left?",
        "How much money is left?",
        f"How much {do} {them} have left?",
        f"How much do{'es' if s else ''} {them} still have?",
        f"How much does that leave {me}?",
        f"What {do} {them} have now?",
        "What remains?",
    )
    listing = _priced(rng, goods, prices, cash)
    verb = one(rng, "buy", "get", "pay for", "take")
    if " on " in listing:
        verb = "spend"
    past = {"buy": "bought", "get": "got", "pay for": "paid for", "take": "took", "spend": "spent"}
    plain = listed([f"{a_(g)} for {p}" for g, p in zip(goods, map(str, prices), strict=True)])
    apart = ". ".join(
        f"{a_(g).capitalize()} costs {cash(p)}" for g, p in zip(goods, prices, strict=True)
    )
    gone = ", then ".join(f"{cash(p)}" for p in prices)
    question = one(
        rng,
        f"{who} {have_} {cash(now)}. {who} {verb}{s} {listing}. {ask}",
        f"{who} had {cash(now)} and {past[verb]} {listing}. {ask}",
        f"{cash(now)}, {plain}: {ask[0].lower()}{ask[1:]}",
        f"{cash(now)} minus {plain}. {ask}",
        f"With {cash(now)} {them} {verb}{s} {listing}. {ask}",
        f"{who} {have_} {cash(now)} in {one(rng, 'cash', 'the bank', 'a wallet', 'a purse')} and "
        f"spend{s} {gone}. {ask}",
        f"{who} start{s} with {cash(now)} and {verb}{s} {listing}. {ask}",
        f"{apart}. {who} {have_} {cash(now)} and buy{s} {'all' if count > 1 else 'it'}. {ask}",
        f"If {them} {have_} {cash(now)} and {verb}{s} {listing}, {ask[0].lower()}{ask[1:]}",
        f"{ask} {who} had {cash(now)} and {past[verb]} {listing}.",
    )
    return _problem(_cased(rng, question), steps, left)


def bill(rng: Random) -> Problem:
    """What several things come to."""
    cash = currency(rng)
    count = rng.choice([2, 2, 3, 3, 4])
    prices = [rng.randint(1, 25) for _ in range(count)]
    goods = _goods(rng, count)
    steps, total = [], prices[0]
    for price in prices[1:]:
        steps.append(plus(total, price))
        total += price
    listing = _priced(rng, goods, prices, cash)
    spent = " on " in listing
    apart = listed([f"{a_(g)} is {cash(p)}" for g, p in zip(goods, prices, strict=True)])
    lines = ", ".join(f"{g} {p}" for g, p in zip(goods, prices, strict=True))
    ask = one(
        rng,
        "What do I pay?",
        "How much is that?",
        "How much is it in total?",
        "What does it come to?",
        "What's the total?",
        "How much in all?",
        "What did I spend?",
        "How much do I pay together?",
        "What is the bill?",
    )
    who = one(rng, "I", "I", "We", rng.choice(NAMES))
    question = one(
        rng,
        f"{who} {'spent' if spent else 'bought'} {listing}. {ask}",
        f"{apart.capitalize()}. {ask}",
        f"{lines}: {ask[0].lower()}{ask[1:]}",
        f"How much {'do I spend' if spent else 'are'} {listing}{'' if spent else ' together'}?",
        f"My receipt says {lines}. {ask}",
        f"{who} paid {' and '.join(cash(p) for p in prices)}. {ask}",
        f"Add up {listed([cash(p) for p in prices])}.",
    )
    return _problem(_cased(rng, question), steps, total)


def change(rng: Random) -> Problem:
    """The change from a note."""
    cash = currency(rng)
    count = rng.choice([1, 1, 2, 2, 3])
    prices = [rng.randint(1, 30) for _ in range(count)]
    total, steps = prices[0], []
    for price in prices[1:]:
        steps.append(plus(total, price))
        total += price
    note = rng.choice([n for n in (5, 10, 20, 50, 100) if n > total] or [200])
    steps.append(minus(note, total))
    goods = _goods(rng, count)
    listing = listed([f"{a_(g)} for {cash(p)}" for g, p in zip(goods, prices, strict=True)])
    costs = listed([f"{a_(g)} costs {cash(p)}" for g, p in zip(goods, prices, strict=True)])
    get = one(
        rng,
        "How much change do I get?",
        "What change do I get?",
        "How much do I get back?",
        "What do I get back?",
        "What's my change?",
    )
    question = one(
        rng,
        f"I buy {listing} and pay with {cash(note)}. {get}",
        f"I pay for {listing} with {cash(note)}. {get}",
        f"{costs.capitalize()}. I give {cash(note)}. {get}",
        f"How much change do I get from {cash(note)} for {listed([a_(g) for g in goods])}, "
        f"if {costs}?",
        f"Change from {cash(note)} if {costs}?",
        f"The bill is {cash(total)}. I hand over {cash(note)}. {get}",
        f"I bought {listing}. I paid with {cash(note)}. {get}",
    )
    if question.startswith("The bill"):
        steps = steps[-1:]
    return _problem(_cased(rng, question), steps, note - total)


def several(rng: Random) -> Problem:
    """Some of a thing at a price each, and perhaps something more or money that is left."""
    cash = currency(rng)
    n, price = rng.randint(2, 9), rng.randint(2, 12)
    good = _goods(rng, 1)[0]
    many = _plural(good)
    total, steps = n * price, [times(n, price)]
    told = one(
        rng,
        f"{number(rng, n)} {many} at {cash(price)} each",
        f"{number(rng, n)} {many} for {cash(price)} each",
        f"{number(rng, n)} {many}, {cash(price)} each",
        f"{number(rng, n)} {many} at {cash(price)} apiece",
    )
    kind = rng.randrange(4)
    if kind == 0:
        question = one(
            rng,
            f"If one {good} costs {cash(price)}, how much are {n}?",
            f"One {good} is {cash(price)}. What do {number(rng, n)} cost?",
            f"How much do I pay for {told}?",
            f"{told}: how much?",
            f"What do I owe for {told}?",
            f"I bought {told}. What did I pay?",
            f"A {good} is {cash(price)}. I need {n}. What is the price?",
        )
    elif kind == 1:
        other, cost = _goods(rng, 2)[1], rng.randint(1, 20)
        steps.append(plus(total, cost))
        total += cost
        question = one(
            rng,
            f"I buy {told} and {a_(other)} for {cash(cost)}. How much is it?",
            f"{told}, plus {a_(other)} for {cash(cost)}: what's the total?",
            f"{told} and shipping of {cash(cost)}. What do I pay in all?",
            f"How much are {told} and {a_(other)} at {cash(cost)} together?",
        )
    else:
        have = total + rng.randint(1, 40)
        steps.append(minus(have, total))
        question = one(
            rng,
            f"I have {cash(have)} and buy {told}. What is left?",
            f"{cash(have)}, {told}: what's left?",
            f"I had {cash(have)} and bought {told}. How much do I have left?",
            f"From {cash(have)} I pay for {told}. How much remains?",
        )
        total = have - total
    return _problem(_cased(rng, question), steps, total)


def split(rng: Random) -> Problem:
    """A bill or a heap that is shared by some people, perhaps with a tip before."""
    cash = currency(rng)
    people, each = rng.randint(2, 8), rng.randint(2, 25)
    total, steps = people * each, []
    word = number(rng, people)
    if rng.random() < 0.3 and total > 6:
        tip = rng.randint(1, min(10, total - 2))
        steps.append(plus(total - tip, tip))
        told = f"The bill is {cash(total - tip)} and we add {cash(tip)} as a tip."
    else:
        told = one(
            rng,
            f"The bill is {cash(total)}.",
            f"Dinner was {cash(total)}.",
            f"The taxi costs {cash(total)}.",
            f"The rent is {cash(total)}.",
            f"A present costs {cash(total)}.",
        )
    steps.append(over(total, people))
    question = one(
        rng,
        f"{told} We are {word}. How much each?",
        f"{told} {word.capitalize()} of us share it. What does each pay?",
        f"{told} Split between {word} people, how much is that per person?",
        f"{told} If {word} friends share it equally, what does everyone pay?",
        f"Split {cash(total)} among {word} people.",
        f"{total} divided by {people} people: how much each?",
        f"{word.capitalize()} people share {total} {rng.choice(THINGS)}. How many does each get?",
        f"I have {total} {rng.choice(THINGS)} for {word} children. How many each?",
    )
    if not question.startswith(told):
        steps = steps[-1:]
    return _problem(_cased(rng, question), steps, each)


def had(rng: Random) -> Problem:
    """Things that I had, what came and what went, in few words."""
    things, now = rng.choice(_OWNED), rng.randint(3, 60)
    who = one(rng, "I", "I", "I", "We", "My sister", "My friend", rng.choice(NAMES))
    friend = one(rng, "my friend", "my brother", "a neighbour", rng.choice(NAMES))
    verb = one(rng, "had", "had", "started with", "bought", "got", "picked", "found")
    parts, steps = [f"{who} {verb} {number(rng, now)} {things}"], []
    for _ in range(rng.choice([1, 2, 2, 3])):
        n = rng.randint(1, 30)
        if n < now and rng.random() < 0.6:
            parts.append(
                one(
                    rng,
                    f"ate {number(rng, n)}" if things not in {"euros", "dollars"} else f"spent {n}",
                    f"lost {number(rng, n)}",
                    f"gave {number(rng, n)} to {friend}",
                    f"gave {friend} {number(rng, n)}",
                    f"gave away {number(rng, n)}",
                    f"sold {n}",
                    f"used {n}",
                    f"dropped {n}",
                    f"threw {n} away",
                )
            )
            steps.append(minus(now, n))
            now -= n
        else:
            parts.append(
                one(
                    rng,
                    f"bought {number(rng, n)} more",
                    f"got {n} from {friend}",
                    f"found {number(rng, n)}",
                    f"got {n} more",
                    f"won {n}",
                    f"made {n} more",
                    f"received {n} more",
                )
            )
            steps.append(plus(now, n))
            now += n
    me = {"I": "I", "We": "we"}.get(who, "they")
    told = one(
        rng,
        ", ".join(parts[:-1]) + f" and {parts[-1]}",
        ", ".join(parts[:-1]) + f", then {parts[-1]}",
        ". Then ".join([parts[0], *(f"{me} {part}" for part in parts[1:])]),
        " and ".join(parts),
    )
    ask = one(
        rng,
        "How many now?",
        "How many are left?" if steps[-1].count("-") else "How many is that?",
        f"How many {things} do {me} have now?",
        f"How many do {me} have?",
        f"What do {me} have now?",
        f"How many {things} are there?",
    )
    return _problem(_cased(rng, f"{told}. {ask}"), steps, now)


def my_age(rng: Random) -> Problem:
    """Ages in a family, in the first person."""
    age, gap, kin = rng.randint(6, 60), rng.randint(1, 30), rng.choice(_KIN)
    mine = rng.random() < 0.6
    who, other = ("I am", f"my {kin}") if mine else (f"{rng.choice(NAMES)} is", f"the {kin}")
    she = "she" if kin in {"sister", "mother", "aunt", "wife"} else "he"
    older = rng.random() < 0.5 or gap >= age - 1
    now = age + gap if older else age - gap
    steps = [plus(age, gap) if older else minus(age, gap)]
    word = "older" if older else "younger"
    kind = rng.randrange(5)
    if kind == 0:
        years = rng.randint(2, 20)
        steps.append(plus(now, years))
        question = (
            f"{who} {age} and {other} is {gap} years {word}. "
            f"How old will {she} be in {years} years?"
        )
        now += years
    elif kind == 1:
        year = rng.randint(2, 40)
        steps = [plus(age, year)]
        question = one(
            rng,
            f"{who} {age}. How old in {year} years?",
            f"{who} {age} now. What age is that in {year} years?",
        )
        now = age + year
    elif kind == 2 and age > 3:
        half = rng.randint(3, 30)
        age, now, steps = 2 * half, half, [over(2 * half, 2)]
        question = f"{who} {age} and {other} is half that age. How old is {she}?"
    else:
        question = one(
            rng,
            f"{who} {age}, {other} is {gap} years {word}. How old is {she}?",
            f"{who} {age} years old and {other} is {gap} years {word}. What age is {she}?",
            f"{other.capitalize()} is {gap} years {word} than me and I am {age}. How old is {she}?"
            if mine
            else f"{who} {age}. {other.capitalize()} is {gap} {word}. How old is {she}?",
            f"How old is {other} if {who} {age} and {she} is {gap} years {word}?",
        )
    return _problem(_cased(rng, question), steps, now)


def each_day(rng: Random) -> Problem:
    """So much a day or a week for a time, and perhaps what is still to come."""
    a, b = rng.randint(2, 15), rng.randint(2, 10)
    what, verb = rng.choice(
        [
            ("km", "run"),
            ("kilometres", "cycle"),
            ("pages", "read"),
            ("minutes", "exercise"),
            ("euros", "save"),
            ("dollars", "put aside"),
            ("cups of coffee", "drink"),
            ("hours", "study"),
            ("words", "learn"),
            ("pills", "take"),
            ("photos", "take"),
        ]
    )
    unit = one(rng, "day", "day", "week", "month")
    total, steps = a * b, [times(a, b)]
    many = one(rng, "How much", "How many") if what in {"euros", "dollars"} else "How many"
    noun = "" if many == "How much" else f" {what}"
    rate = one(rng, f"{a} {what} a {unit}", f"{a} {what} every {unit}", f"{a} {what} per {unit}")
    kind = rng.randrange(4)
    if kind == 0:
        goal = total + rng.randint(1, 40)
        steps.append(minus(goal, total))
        question = one(
            rng,
            f"I {verb} {rate}. My goal is {goal}. What is missing after {b} {unit}s?",
            f"I want to {verb} {goal} {what} and do {a} a {unit}. "
            f"{many}{noun} are left after {b} {unit}s?",
        )
        total = goal - total
    elif kind == 1:
        more = rng.randint(1, 40)
        steps.append(plus(total, more))
        question = one(
            rng,
            f"I {verb} {rate} for {b} {unit}s and {more} extra. {many}{noun} in all?",
            f"I {verb} {rate} for {b} {unit}s, then {more} more. What is the total?",
        )
        total += more
    elif kind == 2:
        steps = [over(total, a)]
        question = one(
            rng,
            f"I {verb} {rate}. How many {unit}s until {total} {what}?",
            f"{total} {what}, {a} a {unit}: how many {unit}s does it take?",
            f"How many {unit}s do I need for {total} {what} at {a} a {unit}?",
        )
        total = b
    else:
        question = one(
            rng,
            f"I {verb} {rate}. {many}{noun} in {b} {unit}s?",
            f"{rate} for {b} {unit}s: how much is that?",
            f"If I {verb} {rate}, {many.lower()}{noun} is that in {number(rng, b)} {unit}s?",
            f"{rng.choice(NAMES)} does {rate}. {many}{noun} after {b} {unit}s?",
        )
    return _problem(_cased(rng, question), steps, total)


def short_of(rng: Random) -> Problem:
    """What is missing to a price or a goal."""
    cash = currency(rng)
    have, more = rng.randint(5, 80), rng.randint(2, 60)
    price, good = have + more, _goods(rng, 1)[0]
    steps, left = [], more
    told = one(
        rng,
        f"{a_(good).capitalize()} costs {cash(price)}. I have {cash(have)}.",
        f"I have {cash(have)} and want {a_(good)} for {cash(price)}.",
        f"I need {cash(price)} for {a_(good)} and have {cash(have)}.",
        f"I am saving for {a_(good)} that costs {cash(price)} and I have {cash(have)} so far.",
    )
    steps.append(minus(price, have))
    if more > 3 and rng.random() < 0.3:
        gift = rng.randint(1, more - 1)
        giver = one(rng, "My mother", "A friend", "My aunt", "Grandpa")
        told += f" {giver} gives me {cash(gift)}."
        steps.append(minus(more, gift))
        left = more - gift
    ask = one(
        rng,
        "How much more do I need?",
        "How much is missing?",
        "What am I short of?",
        "How much do I still need?",
        "How much must I still save?",
    )
    return _problem(_cased(rng, f"{told} {ask}"), steps, left)


def recipe(rng: Random) -> Problem:
    """A recipe made several times, or what is in the house and what it takes."""
    what = rng.choice(["eggs", "cups of flour", "spoons of sugar", "apples", "tomatoes", "carrots"])
    dish = rng.choice(["cake", "pie", "soup", "salad", "omelette", "pizza", "stew"])
    n, many = rng.randint(2, 9), rng.randint(2, 8)
    total, steps = n * many, [times(n, many)]
    kind = rng.randrange(3)
    if kind == 0:
        question = one(
            rng,
            f"{a_(dish).capitalize()} needs {n} {what}. How many for {many} {dish}s?",
            f"One {dish} takes {number(rng, n)} {what}. I make {many}. How many {what} do I need?",
            f"How many {what} for {many} {dish}s if each takes {n}?",
        )
    elif kind == 1:
        have = rng.randint(1, total - 1)
        steps.append(minus(total, have))
        question = (
            f"A recipe for one {dish} uses {n} {what}. I want {many} and have {have} {what}. "
            f"How many must I buy?"
        )
        total -= have
    else:
        have = total + rng.randint(1, 12)
        steps.append(minus(have, total))
        question = one(
            rng,
            f"I have {have} {what} and make {many} {dish}s with {n} each. How many are left?",
            f"From {have} {what} I use {n} for each of {many} {dish}s. How many remain?",
        )
        total = have - total
    return _problem(_cased(rng, question), steps, total)


def way(rng: Random) -> Problem:
    """A way in parts, and what is still to go."""
    unit = one(rng, "km", "kilometres", "miles", "metres", "minutes")
    parts = [rng.randint(2, 60) for _ in range(rng.choice([1, 2, 2, 3]))]
    go = one(rng, "drive", "walk", "cycle", "travel") if unit != "minutes" else "travel"
    gone, steps = parts[0], []
    for part in parts[1:]:
        steps.append(plus(gone, part))
        gone += part
    if rng.random() < 0.5 or len(parts) == 1:
        whole = gone + rng.randint(2, 80)
        steps.append(minus(whole, gone))
        did = {"drive": "driven", "walk": "walked", "cycle": "cycled", "travel": "travelled"}[go]
        told = listed([f"{n} {unit}" for n in parts])
        question = one(
            rng,
            f"The trip is {whole} {unit}. I have {did} {told}. How much is left?",
            f"It is {whole} {unit} to the sea and we have {did} {told}. How far is it still?",
            f"Of {whole} {unit} I have done {told}. What is left?",
        )
        return _problem(_cased(rng, question), steps, whole - gone)
    told = listed([f"{n} {unit}" for n in parts])
    question = one(
        rng,
        f"I {go} {told}. How far is that in all?" if unit != "minutes" else f"{told}: how long?",
        f"First {', then '.join(f'{n} {unit}' for n in parts)}. What is the total?",
        f"I {go} {', then '.join(f'{n} {unit}' for n in parts)}. How many {unit} is that?",
    )
    return _problem(_cased(rng, question), steps, gone)


def difference(rng: Random) -> Problem:
    """By how much one is more than the other."""
    a, b = rng.sample(range(5, 200), 2)
    one_name, other = rng.sample(NAMES, 2)
    low, high = sorted((a, b))
    cash = currency(rng)
    good, second = _goods(rng, 2)
    question = one(
        rng,
        f"{one_name} is {high} cm tall and {other} {low}. How much taller is {one_name}?",
        f"My bag weighs {high} kg, yours {low}. What's the difference?",
        f"The {good} costs {cash(high)} here and {cash(low)} there. How much do I save?",
        f"The {good} was {cash(high)} and is now {cash(low)}. How much cheaper is it?",
        f"{one_name} has {high} points, {other} has {low}. By how many does {one_name} lead?",
        f"How much more is {cash(high)} than {cash(low)}?",
        f"A {second} is {cash(low)}, a {good} {cash(high)}. How much dearer is the {good}?",
        f"I weighed {high} kilos and now I weigh {low}. How much did I lose?",
        f"Yesterday {low} people came, today {high}. How many more is that?",
    )
    return _problem(_cased(rng, question), [minus(high, low)], high - low)
