"""How sure the model was of its answer: tokens coloured, the least sure ones, one in full.

Knows events, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from softchat.base.text import printable
from softchat.events import Answer, AnswerToken, Event
from softchat.views.tables import PlainTable
from softchat.views.wording import Glyphs, nats, plural

# From so many nats, the highest first; underlined too, for who sees no colours.
_LEVELS = ((1.5, "bold underline red"), (0.5, "underline yellow"))
_FEW = 8  # of the least sure tokens
_OTHERS = 3  # that are named beside each of them
_BAR = 10  # cells of a probability's bar
_BEFORE = 40  # characters of what stands before a token


def answer_tokens(events: Iterable[Event]) -> list[AnswerToken]:
    """The tokens of the answer that were kept, in their order."""
    return [event.token for event in events if isinstance(event, Answer) and event.token]


def unsure_answer(events: Iterable[Event], glyphs: Glyphs) -> RenderableType:
    """The answer, its unsure tokens coloured; what the colours mean; where it was least sure."""
    events = list(events)
    tokens = answer_tokens(events)
    parts: list[RenderableType] = [_coloured(events, glyphs), Text(), _legend(tokens, glyphs)]
    order = sorted(range(len(tokens)), key=lambda place: -tokens[place].entropy)
    unsure = sorted(place for place in order[:_FEW] if _style(tokens[place].entropy))
    if unsure:
        parts += [Text(), _table(tokens, unsure, glyphs)]
    return Group(*parts)


def token_in_full(tokens: Sequence[AnswerToken], place: int, glyphs: Glyphs) -> RenderableType:
    """A token of the answer: how sure, and what else could have been said."""
    token = tokens[place]
    before = "".join(one.piece for one in tokens[max(0, place - _FEW) : place])
    title = Text(f"answer token {place}{glyphs.dot}H {token.entropy:.4f} nats")
    if before:
        title.append(f"{glyphs.dot}behind ").append(glyphs.piece(before[-_BEFORE:]), "dim")
    table = PlainTable(padding=(0, 1))
    table.add_column("probability", justify="right")
    table.add_column("")
    table.add_column("piece", overflow="fold")
    table.add_column("token", justify="right")
    own = (token.piece, token.probability, token.id)
    others = [(one.piece, one.weight, one.id) for one in token.alternatives]
    for piece, probability, number in sorted([own, *others], key=lambda row: -row[1]):
        said = number == token.id
        table.add_row(
            f"{probability:.4f}",
            Text(glyphs.weight_bar(probability, _BAR), "magenta" if said else "blue"),
            Text(glyphs.piece(piece), "bold" if said else ""),
            Text(str(number), "dim"),
        )
    return Group(title, table)


def _coloured(events: Iterable[Event], glyphs: Glyphs) -> Text:
    text, highest = Text(), 0.0  # of the tokens whose text was held back
    for event in events:
        if not isinstance(event, Answer):
            continue
        if event.token:
            highest = max(highest, event.token.entropy)
        if event.text:
            text.append(glyphs.text(printable(event.text)), _style(highest))
            highest = 0.0
    text.rstrip()
    return text


def _legend(tokens: Sequence[AnswerToken], glyphs: Glyphs) -> Text:
    line = Text("unsure: ", "dim")
    for level, style in reversed(_LEVELS):
        line.append(f"H from {level:g}", style).append(glyphs.dot)
    mean = sum(token.entropy for token in tokens) / max(1, len(tokens))
    return line.append(f"mean of {plural(len(tokens), 'token')} {mean:.2f} nats")


def _table(tokens: Sequence[AnswerToken], places: Iterable[int], glyphs: Glyphs) -> Table:
    table = PlainTable(padding=(0, 1))
    table.add_column("token", justify="right", no_wrap=True)
    table.add_column("H (nats)", justify="right", no_wrap=True)
    table.add_column("said", overflow="fold")
    table.add_column("could have said", overflow="fold")
    for place in places:
        token = tokens[place]
        others = Text()
        for one in token.alternatives[:_OTHERS]:
            others.append(glyphs.piece(one.piece)).append(f" {one.weight:.2f}  ", "dim")
        said = Text(glyphs.piece(token.piece), "bold").append(f" {token.probability:.2f}", "dim")
        style = _style(token.entropy)
        table.add_row(Text(str(place), "dim"), Text(nats(token.entropy), style), said, others)
    return table


def _style(entropy: float) -> str:
    return next((style for level, style in _LEVELS if entropy >= level), "")
