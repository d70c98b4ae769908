"""`softchat show`: the steps of a recorded run as a table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.cli.traces import TraceFile, Turn, only_run, read_runs
from softchat.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from softchat.events import Step
    from softchat.record.runs import Run
    from softchat.views.wording import Glyphs

_PIPE = 10_000  # cells of a line in a pipe: whoever reads it there cuts it as he likes


def show(
    trace: TraceFile,
    turn: Turn = None,
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", min=0, help="This step alone, in full.")
    ] = None,
    answer: Annotated[
        bool,
        typer.Option(
            "--answer",
            help="The answer, its unsure tokens coloured; with --step N its token N in full.",
        ),
    ] = False,
) -> int:
    """Print a recorded run: its settings, a row a step, its answer."""
    from rich.console import Console, Group
    from rich.text import Text

    from softchat.views.paging import print_paged
    from softchat.views.recorded import run_page
    from softchat.views.steps import step_in_full
    from softchat.views.wording import glyphs_for, number

    runs = read_runs(trace, turn)
    console = Console() if sys.stdout.isatty() else Console(width=_PIPE)
    glyphs = glyphs_for(console.encoding)
    if answer:
        console.print(_answer(runs, step, glyphs))
        return 0
    if step is not None:
        tau = number(runs[0].settings.get("tau"))
        console.print(step_in_full(_step(runs, step), tau=tau, glyphs=glyphs))
        return 0
    pages = [run_page(run, width=console.width, glyphs=glyphs) for run in runs]
    parts = [part for page in pages for part in (Text(), page)][1:]
    lines = sum(len(run.steps) + run.answer.count("\n") + 8 for run in runs)
    print_paged(console, Group(*parts), lines=lines)
    return 0


def _answer(runs: list[Run], place: int | None, glyphs: Glyphs) -> RenderableType:
    from softchat.views.unsure import answer_tokens, token_in_full, unsure_answer

    events = only_run(runs).events
    tokens = answer_tokens(events)
    if not tokens:
        raise UsageError(
            "nothing was kept of the tokens of this answer",
            hint="softchat ask --answer-entropy keeps them",
        )
    if place is None:
        return unsure_answer(events, glyphs)
    if place >= len(tokens):
        hint = f"--answer --step N, from 0 to {len(tokens) - 1}"
        raise UsageError(f"no token {place} of the answer", hint=hint)
    return token_in_full(tokens, place, glyphs)


def _step(runs: list[Run], number: int) -> Step:
    steps = only_run(runs).steps
    if number >= len(steps):
        last = f"from 0 to {len(steps) - 1}" if steps else "the run has none"
        raise UsageError(f"no step {number}", hint=f"--step N, {last}")
    return steps[number]
