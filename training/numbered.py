"""Ordinary questions with numbers in them that ask for no sum, so that numbers alone make none.

Notes and who does what in them, code, years, lists of so many, translations, comparisons. The
answers are the untrained model's own (`python -m training.distil`), whatever it says.
"""

from __future__ import annotations

from random import Random

_HEAVY = (
    *(("steel", "cotton"), ("gold", "paper"), ("wood", "wool"), ("stones", "straw")),
    *(("iron", "popcorn"), ("sand", "leaves"), ("bricks", "foam"), ("water", "ice")),
)
_UNITS = ("kilogram", "pound", "ton", "gram")
_YEARS = (1066, 1492, 1789, 1815, 1865, 1914, 1945, 1969, 1989, 2001)
_LISTED = (
    *("names for a dog", "ideas for dinner", "fruits", "countries in Africa", "kinds of trees"),
    *("words that rhyme with day", "birthday present ideas", "animals that can fly", "sports"),
    *("tips for a job interview", "ways to relax", "facts about whales", "rivers in Europe"),
)
_CODES = (200, 301, 403, 500, 503)
_MEASURES = (
    *("How many grams are in a kilogram?", "How many days does February have?"),
    *("How many bits are in a byte?", "How many players are in a volleyball team?"),
    *("What is the boiling point of water?", "How tall is the Eiffel Tower?"),
    *("How far away is the moon?", "How many bones does a human have?"),
    *("How many teeth does an adult have?", "What is the speed of light?"),
    *("How many moons does Mars have?", "How many people live on Earth?"),
    *("Is 17 a prime number?", "Is 0 an even number?", "What is a googol?"),
    *("Why do we count in tens?", "What is the number pi?", "What are Roman numerals?"),
)
_CODE = (
    "for i in range(5): print(i)",
    "def double(x): return x * 2",
    "x = [1, 2, 3]; print(x[0])",
    "while n > 0: n = n - 1",
    "def add(a, b): return a - b",
    "SELECT name FROM users WHERE age > 30",
    "if (count == 10) { stop(); }",
    "const total = items.length + 1;",
    "print(sum([4, 5, 6]))",
    "sleep 30 && echo done",
)
_ABOUT_CODE = ("What does this do? {}", "Explain this code: {}", "Review this code: {}")
_SENTENCES = (
    *("I have 2 brothers and 3 sisters.", "The train leaves at 8 in the morning."),
    *("We need 4 chairs.", "My house has 5 rooms.", "She is 30 years old."),
    *("There are 7 days in a week.", "I would like 2 tickets, please."),
)
_LANGUAGES = ("French", "Spanish", "German", "Italian")
_WRONG = (
    *("She have 3 cats.", "He don't has 5 dollars.", "We was there at 9 clock."),
    *("I has 2 childs.", "They goes to school since 6 year.", "There is 4 mouses in the house."),
)
_PEOPLE = ("Mara", "Jonas", "Ines", "Viktor", "Paula", "Rafael", "Nora", "Timo")
_DOES = (
    ("brings the cake", "Who brings the cake?"),
    ("writes the report", "Who writes the report?"),
    ("books the room", "Who books the room?"),
    ("picks up the keys", "Who picks up the keys?"),
    ("calls the customer", "Who calls the customer?"),
    ("signs the form", "Who signs the form?"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_ASKED = ("Summarise this in one sentence.", "When is it?", "Where is it?", "What is this about?")


def _notes(rng: Random) -> list[str]:
    """Short notes with times, rooms and amounts, each with a question about something else."""
    made = []
    for number in range(60):
        first, second = rng.sample(_PEOPLE, 2)
        (one, ask), (other, _) = rng.sample(_DOES, 2)
        day, hour, room = rng.choice(_DAYS), rng.randint(8, 18), rng.randint(2, 40)
        note = (
            f"The meeting is on {day} at {hour} in room {room}. {first} {one}, {second} {other}. "
            f"We have {rng.randint(5, 90)} euros and {rng.randint(3, 20)} guests."
        )
        asked = ask if number % 3 else rng.choice(_ASKED)
        made.append(f"{asked} {note}" if number % 2 else f"{note} {asked}")
    return made


def questions() -> list[str]:
    """All of them, in an order that does not follow their kind."""
    rng = Random("numbered")
    made = [
        f"{ask}, a {unit} of {a} or a {unit} of {b}?"
        for i, (a, b) in enumerate(_HEAVY)
        for unit in _UNITS[i % 2 :: 2]
        for ask in ("Which is heavier", "What weighs more")
    ]
    made += [f"What happened in {year}?" for year in _YEARS]
    made += [
        f"{ask} {rng.randint(2, 9)} {what}." for what in _LISTED for ask in ("List", "Give me")
    ]
    made += [f"What does the HTTP status {code} mean?" for code in _CODES]
    made += [form.format(code) for code in _CODE for form in _ABOUT_CODE]
    made += [f"Translate into {to}: {text}" for text in _SENTENCES for to in _LANGUAGES]
    made += [f"{ask}: {text}" for text in _WRONG for ask in ("Correct the grammar", "Fix this")]
    made += [*_MEASURES, *_notes(rng)]
    rng.shuffle(made)
    return made
