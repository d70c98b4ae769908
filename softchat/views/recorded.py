"""A recorded run as a page for the terminal: what it ran with, how it thought, what it answered.

Knows events, prints nothing.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from softchat.base.text import message_line, one_line, printable
from softchat.record.runs import Run
from softchat.views.panel import PanelState, render_summary
from softchat.views.steps import sparkline, steps_table
from softchat.views.thoughts import thought, thoughts
from softchat.views.wording import Glyphs, duration, in_a_line, parted, plural, rate

_ROOM = 120  # cells of a head line; behind it a pipe's reader would lose sight


def run_page(run: Run, *, width: int, glyphs: Glyphs) -> RenderableType:
    """All of the run: head lines, a row a step, the answer."""
    parts: list[RenderableType] = [*run_head(run, width=width, glyphs=glyphs)]
    if run.steps:
        table = steps_table(run.steps, glyphs, lenses=run.lenses)
        parts += [Text(), thoughts(thought(run.steps, run.halted), glyphs), Text(), table]
    if run.answer.strip():
        parts += [Text(), Text(glyphs.text(printable(run.answer.strip())))]
    return Group(*parts)


def run_head(run: Run, *, width: int, glyphs: Glyphs) -> list[Text]:
    """A few lines: model and settings, how the thinking went and ended, its entropies."""
    width = min(width, _ROOM)
    lines = [_ran_with(run, glyphs)]
    if run.started and run.started.fork:
        lines.append(Text(parted(run.started.fork, glyphs), "yellow"))
    if run.question:
        question = in_a_line(run.question, width - 3, ellipsis=glyphs.ellipsis)
        lines.insert(0, Text(glyphs.text(f"> {question}"), "bold"))
    state = PanelState()
    for event in run.events:
        state.fold(event)
    if run.halted:
        lines.append(render_summary(state, run.halted, width=width, glyphs=glyphs))
    else:
        lines.append(Text(f"thought {plural(len(run.steps), 'step')}, then the trace ends", "dim"))
    entropies = [step.entropy for step in run.steps]
    if entropies:
        signs = sparkline(entropies, tau=state.tau, width=width - 1, glyphs=glyphs)
        lines.append(Text(signs, "magenta"))
    if run.finished:
        said = f"answered {plural(run.finished.answer_tokens, 'token')}"
        said += f" in {duration(run.finished.answer_s)}"
        pace = rate(run.finished.answer_tokens, run.finished.answer_s)
        said += f" ({pace})" if pace else ""
        lines.append(Text(f"{said}{glyphs.dot}{run.finished.finish_reason}", "dim"))
    if run.error:
        words = message_line(run.error.message)
        lines.append(Text(glyphs.text(f"failed: {words}"), "red"))
    return lines


def _ran_with(run: Run, glyphs: Glyphs) -> Text:
    line = Text(_text(run.model_name, glyphs), "bold")
    for name, value in run.notable.items():
        line.append(f"{glyphs.dot}{_text(name, glyphs)} ", "dim")
        line.append(_text(value, glyphs))
    return line


def _text(text: str, glyphs: Glyphs) -> str:
    return glyphs.text(one_line(text))
