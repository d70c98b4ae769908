"""The live panel: the model's thinking as it happens, then one line of it, then the answer.

`PanelState` folds events, `render_panel` draws a state, `PanelView` puts drawings on a terminal.
Knows nothing of engines. Every text that a model or a file wrote goes through `softchat.base.text`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from softchat.base.text import one_line
from softchat.events import (
    Answer,
    Event,
    Finished,
    Halted,
    HaltReason,
    Lens,
    Mode,
    Prefill,
    Started,
    Step,
)
from softchat.views import BesideAnswer, View
from softchat.views.region import LiveRegion
from softchat.views.thoughts import first_thoughts, last_thoughts, legend_line, thought
from softchat.views.wording import (
    REASONS,
    Glyphs,
    changed,
    duration,
    glyphs_for,
    looked,
    nats,
    number,
    plural,
    rate,
    short_nats,
    sparkline_top,
    would_answer,
)

REFRESH_S = 0.1  # a panel that is drawn more often is no easier to read, and costs steps
_MOST_ROWS = 12
_SPARKS = 60  # entropies in the sparkline; a longer line has more to wrap when the window narrows
_PIECE, _BAR = 8, 5  # cells of a token's piece, at the least, and of its bar
_WIDEST = 24  # cells of a piece at the most
_SLOT = _PIECE + 1 + _BAR + 1
_CHROME = 5  # lines of the panel that are no steps
_TALL = 30  # lines of a screen that has room for a legend too
_LINE = 80  # steps whose text is in the last line
_MODE_COLOURS = {Mode.SOFT: "magenta", Mode.HARD: "yellow"}


@dataclass(slots=True, kw_only=True)
class PanelState:
    """What the panel knows of a run."""

    model: str = ""
    strategy: str = ""
    tau: float = 0.0
    patience: int = 0
    max_think: int = 0
    temperature: float = 0.0
    looks: bool = False
    """Whether it looks ahead for people to see."""
    lens: Lens | None = None
    """What it saw last."""
    prompt_tokens: int = 0
    reading: bool = True
    count: int = 0
    soft: int = 0
    lowest: float = float("inf")
    highest: float = 0.0
    widest: int = 1
    """Tokens of the step that had the most."""
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=_LINE))
    first: list[Step] = field(default_factory=list)
    """The first steps: as many as a line of text can show."""
    entropies: deque[float] = field(default_factory=lambda: deque(maxlen=_SPARKS))

    def _take_back(self, index: int) -> None:
        """Forget this step, and all behind it: they are told again."""
        while self.steps and self.steps[-1].index >= index:
            self.soft -= self.steps.pop().mode == Mode.SOFT
            if self.entropies:
                self.entropies.pop()
        del self.first[index:]
        self.count = index

    def fold(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Started(model=model, settings=settings):
                self.model = one_line(model.name)
                self.strategy = one_line(str(settings.get("strategy", "")))
                self.tau = number(settings.get("tau"))
                self.patience = int(number(settings.get("patience")))
                self.max_think = int(number(settings.get("max_think")))
                self.temperature = number(settings.get("temperature"))
                self.looks = settings.get("lens") is True
                self.prompt_tokens = event.prompt_tokens
            case Prefill():
                self.reading = False
            case Lens():
                self.looks, self.lens = True, event
            case Step(entropy=entropy):
                if event.index < self.count:
                    self._take_back(event.index)
                self.count += 1
                self.soft += event.mode == Mode.SOFT
                self.steps.append(event)
                if len(self.first) < _LINE:
                    self.first.append(event)
                self.entropies.append(entropy)
                self.widest = max(self.widest, len(event.concept))
                self.lowest = min(self.lowest, entropy)
                self.highest = max(self.highest, entropy)

    @property
    def elapsed_s(self) -> float:
        """How long the thinking has taken, up to its last step."""
        return self.steps[-1].elapsed_s if self.steps else 0.0


def render_panel(
    state: PanelState,
    *,
    width: int,
    height: int,
    glyphs: Glyphs,
    keys: bool = False,
    waits: bool = False,
) -> Text:
    """The panel as lines of at most `width` cells, and at most `height` of them.

    Args:
        state: what is drawn.
        width: of the screen.
        height: of it.
        glyphs: signs that it has.
        keys: whether Enter ends the thinking.
        waits: whether the last step waits for a key.

    """
    if state.reading or not state.steps:
        words = f"reading the prompt ({plural(state.prompt_tokens, 'token')}){glyphs.ellipsis}"
        return _clipped(Text(words, "dim"), width)
    hand = _hand_lines(state, width, glyphs) if waits else []
    legend = height >= _TALL and not hand
    more = legend + state.looks + max(0, len(hand) - 1)
    # Half of the screen stays the user's.
    rows = max(1, min(_MOST_ROWS, height // 2 - _CHROME - more))
    lines = [_title(state, glyphs), _sparkline(state, width, glyphs)]
    shown = list(state.steps)[-rows:]
    with_mode = state.strategy not in tuple(Mode)  # else each row would say the same
    lines += [_row(step, width, glyphs, with_mode=with_mode, tokens=state.widest) for step in shown]
    # Always as high as it will be, so that nothing below moves while the first steps come.
    lines += [Text(glyphs.edge, "dim")] * (rows - min(rows, len(state.steps)))
    lines.append(_text_line(state, width, glyphs))
    if state.looks:
        lines.append(_lens_line(state, width, glyphs))
    if legend:
        lines.append(Text(f"{glyphs.edge} ", "dim") + legend_line(glyphs, width - 3))
    lines += hand or [_footer(state, width, glyphs, keys=keys)]
    if hand and len(lines) > height:  # whoever is asked must see what
        lines = [*lines[: max(0, height - len(hand))], *hand]
    return Text("\n").join(_clipped(line, width) for line in lines[: max(1, height)])


def _title(state: PanelState, glyphs: Glyphs) -> Text:
    step = state.steps[-1]
    line = Text(f"{glyphs.corner} ", "dim")
    line.append("thinking", "bold")
    line.append(f"{glyphs.dot}{glyphs.text(state.model)}{glyphs.dot}", "dim")
    line.append(str(step.mode), _MODE_COLOURS[step.mode])
    if state.strategy != step.mode:
        line.append(f" ({glyphs.text(state.strategy)})", "dim")
    line.append(f"{glyphs.dot}{plural(state.count, 'step')}")
    if pace := _pace(state.count, state.elapsed_s):
        line.append(f"{glyphs.dot}{pace}")
    return line


def _sparkline(state: PanelState, width: int, glyphs: Glyphs) -> Text:
    line = Text(f"{glyphs.edge} ", "dim")
    label = f"H {nats(state.entropies[-1])}  {glyphs.tau} {state.tau:g}"
    line.append(label, "default")
    line.append("  ")
    room = max(8, min(_SPARKS, width - line.cell_len - 1))
    recent = list(state.entropies)[-room:]
    top = sparkline_top(state.entropies, state.tau)
    for entropy in recent:
        sign = glyphs.level(entropy, tau=state.tau, top=top)
        line.append(sign, "cyan" if entropy < state.tau else "magenta")
    return line


def _hand_lines(state: PanelState, width: int, glyphs: Glyphs) -> list[Text]:
    """What the step that waits has to choose from, and the keys: as many lines as that takes."""
    step = state.steps[-1]
    choices = Text(f"{glyphs.edge} ", "dim")
    for place, entry in enumerate(step.own[:9], 1):
        piece = glyphs.piece(entry.piece)
        if choices.cell_len + cell_len(piece) + 3 >= width:
            break
        choices.append(f"{place} ", "bold yellow")
        choices.append(f"{piece}  ")
    temperature = step.change.temperature if step.change else None
    heat = state.temperature if temperature is None else temperature
    lines = [choices, Text(f"{glyphs.foot} ", "dim")]
    for key, does in {
        "space": "goes on", "1-9": "that one alone", "x": "without the first", "b": "back",
        "a": "answers", "r": "runs on", "t T": f"temperature {heat:g}",
    }.items():  # fmt: skip
        said = Text(key, "bold yellow").append(f" {does}", "dim")
        last = lines[-1]
        first = last.cell_len == cell_len(f"{glyphs.foot} ")
        if not first and last.cell_len + said.cell_len + cell_len(glyphs.dot) >= width:
            lines.append(last := Text("  "))
            first = True
        last.append_text(said if first else Text(glyphs.dot, "dim") + said)
    return lines


def _text_line(state: PanelState, width: int, glyphs: Glyphs) -> Text:
    """What was thought last, as running text."""
    line = Text(f"{glyphs.edge} ", "dim")
    return line + last_thoughts(list(state.steps), glyphs, cells=width - line.cell_len - 2)


def _lens_line(state: PanelState, width: int, glyphs: Glyphs) -> Text:
    """What it would answer now, how sure, and since which step."""
    line = Text(f"{glyphs.edge} ", "dim")
    line.append("would answer: ", "dim")
    lens = state.lens
    if lens is None:
        return line.append(glyphs.ellipsis, "dim")
    sure = f"{glyphs.dot}H {short_nats(lens.entropy)}{glyphs.dot}step {lens.index}"
    cells = width - line.cell_len - cell_len(sure) - 2
    return line.append(would_answer(lens, glyphs, cells=cells), "bold").append(sure, "dim")


def _row(step: Step, width: int, glyphs: Glyphs, *, with_mode: bool, tokens: int) -> Text:
    """A step; `tokens`: of the widest step there was, as all rows share their columns."""
    line = Text(f"{glyphs.edge} ", "dim")
    line.append(f"{step.index:4d} ", "dim")
    if with_mode:
        sign = glyphs.soft if step.mode == Mode.SOFT else glyphs.hard
        line.append(f"{sign} ", _MODE_COLOURS[step.mode])
    line.append(f"{nats(step.entropy)}  ", "cyan" if step.below else "default")
    why = glyphs.text(one_line(step.why))
    why = ", ".join(filter(None, (why, changed(step, glyphs))))
    # Behind the last slot: how many more there are, and why.
    room = width - line.cell_len - 3 - (cell_len(why) + 1 if why else 0)
    slots = max(1, room // _SLOT)
    piece_cells = max(_PIECE, min(_WIDEST, room // min(slots, tokens) - _BAR - 2))
    for place, entry in enumerate(step.concept[:slots]):
        piece = glyphs.piece(entry.piece)
        if cell_len(piece) > piece_cells:
            kept = piece_cells - cell_len(glyphs.ellipsis)
            piece = set_cell_size(piece, kept) + glyphs.ellipsis
        line.append(set_cell_size(piece, piece_cells) + " ", "bold" if place == 0 else "default")
        line.append(
            glyphs.weight_bar(entry.weight, _BAR) + " ", "magenta" if place == 0 else "blue"
        )
    if len(step.concept) > slots:
        line.append(f"+{len(step.concept) - slots}", "dim")
    if why:
        line.append(f" {why}", f"italic {_MODE_COLOURS[step.mode]}")
    return line


def _footer(state: PanelState, width: int, glyphs: Glyphs, *, keys: bool) -> Text:
    below = state.steps[-1].below
    line = Text(f"{glyphs.foot} ", "dim")
    if state.tau > 0:
        dots = min(10, state.patience)
        filled = min(dots, -(-below * dots // max(1, state.patience)))
        line.append("cold ")
        line.append(glyphs.cold * filled, "cyan")
        line.append(glyphs.rest * (dots - filled), "dim")
        line.append(f" {below}/{state.patience}")
    else:
        line.append("no cold stop", "dim")
    limit = f"{glyphs.dot}at most {state.max_think}"
    ends = f"{glyphs.dot}Enter answers now" * keys + f"{glyphs.dot}Ctrl-C stops"
    if line.cell_len + cell_len(limit + ends) < width or not keys:
        line.append(limit, "dim")
    line.append(ends, "dim")
    return line


def _pace(steps: int, elapsed_s: float) -> str:
    """Steps a second; not of one alone, whose logits are those of the prompt."""
    return rate(steps, elapsed_s) if steps > 1 else ""


def render_summary(state: PanelState, halted: Halted, *, width: int, glyphs: Glyphs) -> Text:
    """What is left of the thinking: one line of at most `width` cells."""
    mixed = 0 < state.soft < state.count
    mode = f"{state.steps[-1].mode} " if state.steps and not mixed else ""
    line = Text(f"thought {plural(halted.steps, mode + 'step')}", "dim")
    if mixed:
        line.append(f" ({state.soft} soft)", "dim")
    warn = halted.reason is HaltReason.INTERRUPTED
    reason = f"{glyphs.dot}{REASONS[halted.reason]}"
    if state.steps:
        pace = _pace(halted.steps, state.elapsed_s)
        for took in (f" in {duration(state.elapsed_s)}", f" ({pace})" if pace else ""):
            if line.cell_len + cell_len(took + reason) >= width:
                break  # why it ended is worth more
            line.append(took, "dim")
    line.append(reason, "yellow" if warn else "dim cyan")
    ahead = f"{glyphs.dot}{looked(halted)}" if halted.probes else ""
    if line.cell_len + cell_len(ahead) < width:
        line.append(ahead, "dim")
    if state.steps:
        span = f"{glyphs.dot}H {short_nats(state.lowest)} to {short_nats(state.highest)}"
        if line.cell_len + cell_len(span) < width:  # half a number would be another number
            line.append(span, "dim")
    return _clipped(line, width)


def _clipped(line: Text, width: int) -> Text:
    # Never the last column: some terminals wrap there, and then every line counts twice.
    line.truncate(max(1, width - 1), overflow="crop")
    return line


class PanelView(BesideAnswer):
    """The panel on one terminal (stderr), and the answer as another view shows it.

    Args:
        console: where the panel lives.
        answer: shows the answer; entered and left by this view.
        clock: seconds; decides when the panel is drawn again.
        refresh_s: not sooner than this; 0 is at every step.
        more: what shows all of the thoughts afterwards, for people to type.
        keys: whether Enter ends the thinking.
        waits: whether each step waits for a key now; None: none does.

    """

    def __init__(
        self,
        console: Console,
        answer: View,
        *,
        clock: Callable[[], float] = time.monotonic,
        refresh_s: float = REFRESH_S,
        more: str = "",
        keys: bool = False,
        waits: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(answer)
        self._console = console
        self._region = LiveRegion(console)
        self._clock = clock
        self._refresh_s = refresh_s
        self._more = more
        self._keys = keys
        self._waits = waits
        self._glyphs = glyphs_for(console.encoding)
        self._state = PanelState()
        self._drawn_at = float("-inf")

    def show(self, event: Event) -> None:
        """Show one event, now."""
        match event:
            case Started():
                self._state = PanelState()
                self._state.fold(event)
                self._draw()
            case Step() | Lens():
                self._state.fold(event)
                waits = self._waits is not None and self._waits()
                if waits or self._clock() - self._drawn_at >= self._refresh_s:
                    self._draw()
            case Halted():
                self._settle(event)
            case Answer():
                self._region.erase()  # where an answer goes on, no thinking has come before it
                self._answer.show(event)
            case Finished():
                self._answer.show(event)
            case _:
                self._state.fold(event)
                self._answer.show(event)

    def _draw(self) -> None:
        width, height = self._region.size
        panel = render_panel(
            self._state,
            width=width,
            height=height - 1,
            glyphs=self._glyphs,
            keys=self._keys,
            waits=self._waits is not None and self._waits(),
        )
        self._region.draw(panel)
        self._drawn_at = self._clock()

    def _settle(self, halted: Halted) -> None:
        width, _ = self._region.size
        line = render_summary(self._state, halted, width=width, glyphs=self._glyphs)
        if self._more and halted.steps:
            hint = f"{self._glyphs.dot}{self._more}"
            if line.cell_len + cell_len(hint) < width:
                line.append(hint, "dim")
        self._region.erase()
        self._console.print(line, no_wrap=True, overflow="crop", soft_wrap=True)
        if steps := thought(self._state.first, halted):
            text = first_thoughts(steps, self._glyphs, cells=width - 3)
            text = _clipped(Text("  ") + text, width)
            self._console.print(text, no_wrap=True, overflow="crop", soft_wrap=True, style="dim")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was, whatever happened."""
        self._region.erase()
        super().__exit__(kind, error, traceback)
