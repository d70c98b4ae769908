"""Thoughts as running text, mixed places marked, and what the signs of a panel mean.

Knows events, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text

from softchat.base.text import printable
from softchat.events import ConceptEntry, Halted, Step
from softchat.views.wording import Glyphs

_SHARE = 1 / 3  # of the heaviest weight: a token that has less of it is no part of the text
_MOST = 6  # tokens at one place; how many more there are is said
_SPACES = " \u0120\u2581"  # as pieces write a space in front of a word
MIXED = "underline magenta"

LEGEND = {
    "H": "entropy of the next token in nats: 0 is sure, 2 is as unsure as among 7 equal ones",
    "{tau}": "a step with H below it is cold",
    "cold": "how many steps in a row are cold, and how many end the thinking (patience)",
    "n": "tokens mixed into one step at the most; a bar is a token's weight in the mixture",
    "soft, hard": "what is fed back: the mixture of embeddings, or one token",
    "a|b": "a place where both are thought at once, the heaviest first, if each has a third of its "
    "weight at least",
    "would answer": "the likeliest answer if it ended now, and the highest H of its tokens (/lens)",
}


def thought(steps: Iterable[Step], halted: Halted | None) -> list[Step]:
    """The steps that are thoughts: without the tag, or the end of text, and white space before."""
    ends = halted.steps - (halted.closing or 0) if halted else float("inf")
    kept = [step for step in steps if step.index < ends]
    while kept and kept[-1].concept and _is_white(kept[-1]):
        kept.pop()
    return kept


def thoughts(steps: Iterable[Step], glyphs: Glyphs, *, line: bool = False) -> Text:
    """What was thought, as text: each step's heaviest token, or `cake|moon` where it is mixed.

    Args:
        steps: in their order.
        glyphs: signs that the terminal has.
        line: with a sign in place of each line break.

    """
    text = Text()
    for step in steps:
        text = _joined(text, _place(step, glyphs, line=line))
    return text


def last_thoughts(steps: Sequence[Step], glyphs: Glyphs, *, cells: int) -> Text:
    """The end of what was thought, as one line of at most so many cells."""
    text = Text()
    for step in reversed(steps):
        place = _place(step, glyphs, line=True)
        longer = place + _gap(place, text) + text
        if longer.cell_len > cells:
            break
        text = longer
    return text


def first_thoughts(steps: Sequence[Step], glyphs: Glyphs, *, cells: int) -> Text:
    """The beginning of what was thought, as one line of at most so many cells."""
    text = Text()
    for step in steps:
        place = _place(step, glyphs, line=True)
        longer = _joined(text.copy(), place)
        if longer.cell_len > cells - cell_len(glyphs.ellipsis):
            return text + Text(glyphs.ellipsis)
        text = longer
    return text


def _is_white(step: Step) -> bool:
    return not _beside(step.concept) and not step.concept[0].piece.strip(_SPACES + "\r\n\t")


def _place(step: Step, glyphs: Glyphs, *, line: bool) -> Text:
    """What one step adds to the text, with the space in front of it."""
    text = Text()
    if not step.concept:
        return text
    first = step.concept[0]
    if first.piece[:1] in _SPACES:
        text.append(" ")
    beside = _beside(step.concept)
    if not beside:
        return text.append(_words(first.piece, glyphs, line=line))
    # With a space in front and without it, a word reads the same.
    pieces = [*dict.fromkeys(_words(one.piece, glyphs, line=True) for one in (first, *beside))]
    if len(pieces) == 1:
        return text.append(pieces[0])
    more = len(pieces) - _MOST
    return text.append("|".join(pieces[:_MOST]) + (f"|+{more}" if more > 0 else ""), MIXED)


def _joined(text: Text, place: Text) -> Text:
    """What one more step makes of the text, which is changed."""
    if not text.plain:
        return place[1:] if place.plain.startswith(" ") else place
    return text.append(_gap(text, place)).append_text(place)


def _gap(text: Text, place: Text) -> str:
    """A space, where digits of two steps would read as one number though one of them is mixed."""
    if not (text.plain[-1:].isdigit() and place.plain[:1].isdigit()):
        return ""
    ends, begins = len(text), 0
    mixed = any(one.end == ends for one in text.spans) or any(
        one.start == begins for one in place.spans
    )
    return " " if mixed else ""


def _beside(concept: Sequence[ConceptEntry]) -> list[ConceptEntry]:
    """What was thought beside the heaviest token with some weight."""
    heaviest = concept[0].weight
    return [entry for entry in concept[1:] if entry.weight >= _SHARE * heaviest > 0]


def _words(piece: str, glyphs: Glyphs, *, line: bool) -> str:
    """A piece as it reads: without the space in front, harmless, in signs that there are."""
    bare = piece[1:] if piece[:1] in _SPACES else piece
    if "\n" in bare and line:
        bare = bare.replace("\n", glyphs.newline)
    return glyphs.text(printable(bare))


def legend_line(glyphs: Glyphs, width: int) -> Text:
    """The signs of the panel in a line; as much as there is room for."""
    said = Text("", "dim")
    parts = (
        "H: how unsure (nats)",
        f"cold: H below {glyphs.tau}",
        "bars: weights of the tokens mixed",
        "a|b: both at once",
    )
    for part in parts:
        more = (glyphs.dot if said.plain else "") + part
        if said.cell_len + cell_len(more) >= width:
            break
        said.append(more)
    return said
