"""Steps of a recorded run as rich tables. Knows events, prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Span, Text

from softchat.base.text import one_line
from softchat.events import ConceptEntry, Lens, Step
from softchat.views.tables import PlainTable
from softchat.views.wording import Glyphs, changed, nats, short_nats, sparkline_top, would_answer

_BAR = 10  # cells of a weight's bar
_ANSWER = 24  # cells of an answer that was looked at ahead
_SHOWN = 5  # tokens of a step in the table of all steps, and those that weigh as much as these


def sparkline(entropies: Sequence[float], *, tau: float, width: int, glyphs: Glyphs) -> str:
    """Entropies as signs, the lowest for those under τ; more than `width` are averaged."""
    if not entropies:
        return ""
    size = -(-len(entropies) // max(1, width))
    shown = [
        sum(entropies[i : i + size]) / len(entropies[i : i + size])
        for i in range(0, len(entropies), size)
    ]
    top = sparkline_top(shown, tau)
    return "".join(glyphs.level(entropy, tau=tau, top=top) for entropy in shown)


@dataclass(frozen=True)
class StepsTable:
    """A table whose rows are made as they are printed: of a long run none waits for the last."""

    steps: Sequence[Step]
    glyphs: Glyphs
    seen: Mapping[int, Lens]
    """What was seen ahead, by its step's index."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as its widest row."""
        table = PlainTable(padding=(0, 1))
        table.add_column("step", justify="right", no_wrap=True)
        table.add_column("H (nats)", justify="right", no_wrap=True)
        table.add_column("cold", justify="right", no_wrap=True)
        table.add_column("mode", no_wrap=True)
        if self.seen:
            table.add_column("would answer", no_wrap=True)
        table.add_column("concept token", overflow="fold")
        table.add_row(*self._widest(len(table.columns)))
        rows = (self._row(step) for step in self.steps)
        yield from table.render_rows(rows, console, options)

    def _widest(self, columns: int) -> list[Text]:
        """Of each column the widest cell."""
        widest = [Text()] * columns
        for step in self.steps:
            cells = zip(widest, self._row(step), strict=True)
            widest = [max(one, other, key=_width) for one, other in cells]
        return widest

    def _row(self, step: Step) -> list[Text]:
        pieces = _joined([*_fed(step, self.glyphs), (_why(step, self.glyphs), "italic")])
        return [
            Text(str(step.index), "dim"),
            Text(nats(step.entropy), "cyan" if step.below else ""),
            Text(str(step.below or ""), "cyan"),
            Text(str(step.mode)),
            *([_seen(self.seen.get(step.index), self.glyphs)] if self.seen else []),
            pieces,
        ]


def _width(text: Text) -> int:
    return text.cell_len


def steps_table(
    steps: Iterable[Step], glyphs: Glyphs, *, lenses: Iterable[Lens] = ()
) -> StepsTable:
    """A row a step: number, entropy, cold steps in a row, mode, the heaviest tokens, and why.

    Where it looked ahead, a column has the answer that was seen, and how sure.
    """
    return StepsTable(tuple(steps), glyphs, {lens.index: lens for lens in lenses})


def _seen(lens: Lens | None, glyphs: Glyphs) -> Text:
    if lens is None:
        return Text()
    text = Text(would_answer(lens, glyphs, cells=_ANSWER))
    return text.append(f"  H {short_nats(lens.entropy)}", "dim")


def fed(step: Step, glyphs: Glyphs) -> Text:
    """The heaviest tokens of what a step feeds; and what its user has changed of it."""
    return _joined(_fed(step, glyphs))


def _fed(step: Step, glyphs: Glyphs) -> Iterator[tuple[str, str]]:
    """Its parts, and the style of each."""
    shown = _heaviest(step)
    for place, entry in enumerate(shown):
        yield glyphs.piece(entry.piece), "" if place else "bold"
        yield f" {entry.weight:.2f}  ", "dim"
    if len(step.concept) > len(shown):
        yield f"+{len(step.concept) - len(shown)}  ", "dim"
    if said := changed(step, glyphs):
        yield f"{said} ", "yellow"


def _joined(parts: Iterable[tuple[str, str]]) -> Text:
    """The parts as one text: to append each of them takes rich twice as long."""
    plain, spans = "", []
    for text, style in parts:
        if style and text:
            spans.append(Span(len(plain), len(plain) + len(text), style))
        plain += text
    return Text(plain, spans=spans)


def _heaviest(step: Step) -> Sequence[ConceptEntry]:
    """The tokens that the table has room for: of a frontier, in which many weigh the same, all."""
    fifth = step.concept[:_SHOWN][-1].weight if step.concept else 0.0
    more = [entry for entry in step.concept[_SHOWN:] if entry.weight >= fifth / 2 > 0.01]
    return [*step.concept[:_SHOWN], *more]


def _why(step: Step, glyphs: Glyphs) -> str:
    return glyphs.text(one_line(step.why))


def step_in_full(step: Step, *, tau: float, glyphs: Glyphs) -> RenderableType:
    """Every token of one step, with its weight as a bar."""
    side = "under" if step.entropy < tau else "not under"
    mode = f"{step.mode}, {_why(step, glyphs)}" if step.why else str(step.mode)
    title = f"step {step.index}{glyphs.dot}{mode}{glyphs.dot}H {step.entropy:.4f} nats, "
    title += f"{side} {glyphs.tau} {tau:g}"
    title += f" ({step.below} in a row)" if step.below else ""
    said = changed(step, glyphs)
    parts: list[RenderableType] = [Text(title), _entries_table(step.concept, glyphs)]
    if said:
        parts.insert(1, Text(said, "yellow"))
    if step.change is not None and step.change.instead_of:
        parts += [Text("as it was:", "dim"), _entries_table(step.change.instead_of, glyphs)]
    return Group(*parts)


def _entries_table(entries: Iterable[ConceptEntry], glyphs: Glyphs) -> Table:
    table = PlainTable(padding=(0, 1))
    table.add_column("", justify="right", style="dim")
    table.add_column("weight", justify="right")
    table.add_column("")
    table.add_column("piece", overflow="fold")
    table.add_column("token", justify="right")
    for place, entry in enumerate(entries, 1):
        table.add_row(
            str(place),
            f"{entry.weight:.4f}",
            Text(glyphs.weight_bar(entry.weight, _BAR), "magenta"),
            Text(glyphs.piece(entry.piece)),
            Text(str(entry.id), "dim"),
        )
    return table
