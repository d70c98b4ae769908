"""Words that are one token each to the base model, with a space before them."""

from __future__ import annotations

from training.tasks.words import NAMES as _ALL_NAMES

_NOUNS = (
    "cat dog sun car box map key pen cup hat bed bus tree fish bird rock lake road ship star moon "
    "door book ball king wolf bear lion frog duck goat corn rice milk salt iron gold wood sand "
    "snow rain wind fire leaf seed rose ring bell drum horn coin gate wall roof tent rope boat "
    "cave hill farm park town fork bowl lamp desk chair shirt shoe coat glove belt stone brick "
    "glass paper knife spoon plate horse sheep mouse snake eagle apple lemon peach grape bread "
    "honey sugar tea bank bone cake card cloud clock crown dress flag foot game hand head heart "
    "ice jar kite leg lip mask neck nose oil pan pig pin pot rat rug sail sea sock song soup tail "
    "toy van web wing yard zoo"
)
NOUNS = tuple(_NOUNS.split())
_LEFT_OUT = {
    *("Tina", "Olga", "Zoe", "Ida", "Lena", "Fatima", "Priya", "Leila", "Hana", "Carla", "Liam"),
    *("Ravi", "Kofi"),  # several tokens each
    *("Tom", "Max"),  # whom some wordings are about
}
NAMES = tuple(name for name in _ALL_NAMES if name not in _LEFT_OUT)
_COLOURS = "red blue green yellow white black pink grey brown purple orange gold silver"
COLOURS = tuple(_COLOURS.split())
DIGITS = tuple("0123456789")
"""These have no space before them: a digit is a token whatever stands before it."""
