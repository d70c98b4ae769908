"""`softchat replay`: a recorded run, shown as it was when it ran."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.interrupt import Interrupt, catch_interrupt
from softchat.base.written import refuse_same
from softchat.cli import complain
from softchat.cli.idle import refuse_force_alone, refuse_idle
from softchat.cli.options import with_groups
from softchat.cli.outputs import Outputs
from softchat.cli.traces import TraceFile, Turn, read_runs
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import Error, Event

if TYPE_CHECKING:
    from softchat.record.runs import Run

_INTERRUPTED = DecodeAbortedError.exit_status


@with_groups
def replay(
    recording: TraceFile,
    *,
    context: typer.Context,
    speed: Annotated[
        float, typer.Option(metavar="X", min=0, help="Times as fast as it was; 0: all at once.")
    ] = 1.0,
    step: Annotated[
        bool, typer.Option("--step", help="A step a key: space, Enter, arrows, back too; q leaves.")
    ] = False,
    turn: Turn = None,
    outputs: Outputs,
) -> int:
    """Show a recorded run as it was; no model is needed."""
    _refuse_speed(speed)
    from softchat.cli.model import own_files, user_config

    if step:
        refuse_idle(context, "speed", "quiet", beside="with --step")
    if outputs.json:
        refuse_idle(context, "markdown", beside="with --json")
    refuse_force_alone(context, outputs.trace)
    runs = read_runs(recording, turn)
    config = user_config()
    refuse_same(outputs.trace, recording, *own_files(config), by="--trace")
    if step and outputs.trace is not None:
        raise UsageError("--step and --trace exclude each other", hint="--speed 0 --trace FILE")
    errors, outputs = [], outputs.after(config)
    with catch_interrupt() as interrupt:
        played = (
            _by_hand(
                runs, interrupt, anew=outputs.wants_panel and not (outputs.verbose or outputs.json)
            )
            if step
            else _by_clock(runs, speed, interrupt)
        )
        with outputs.open(every_step=step) as show:
            for event in played:
                show(event)
                if isinstance(event, Error):
                    errors.append(event)
    if not outputs.json:  # where they are lines like all the others
        for error in errors:
            complain(error.message, error.hint)
    return _INTERRUPTED if interrupt() else 0


def _refuse_speed(speed: float) -> None:
    """Raise UsageError if nothing could be told at this speed, or it is none."""
    from softchat.record.playback import FASTEST, SLOWEST

    if speed != 0 and not SLOWEST <= speed <= FASTEST:  # NaN too
        hint = f"from {SLOWEST:g} to {FASTEST:g}: 4 is four times as fast; 0 is all at once"
        raise UsageError(f"--speed is {speed:g}", hint=hint)


def _by_clock(runs: list[Run], speed: float, interrupt: Interrupt) -> Iterator[Event]:
    from softchat.record.playback import play

    for run in runs:
        yield from play(run, speed=speed, cancelled=interrupt)


def _by_hand(runs: list[Run], interrupt: Interrupt, *, anew: bool) -> Iterator[Event]:
    from softchat.record.playback import play_by_hand

    if not sys.stderr.isatty():
        raise UsageError("--step needs a terminal", hint="without one: --speed 0")
    from softchat.cli.keys import move_key

    print("space: the next step, left arrow: the one before, q: leave", file=sys.stderr)
    events = (event for run in runs for event in run.events)
    return play_by_hand(events, move_key(interrupt), anew=anew)
