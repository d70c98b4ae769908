"""Flags that would do nothing beside others: refused, as whoever gives one expects something of it.

A variable is for all commands, so one that does nothing in this one is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from softchat.base.text import one_line
from softchat.cli.options import flag_of, flags_of
from softchat.errors import UsageError
from softchat.settings import KNOBS

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from softchat.evaluate.plan import Run
    from softchat.settings import Settings

SEEN_IN_ONE = ("lens", "lens_every", "lens_tokens", "answer_entropy")
"""Settings of what is seen of a run, where nobody sees more of it than its answer."""


def refuse_idle(context: typer.Context, *names: str, beside: str, hint: str = "") -> None:
    """Raise UsageError if one of these flags stands on the command line, and is not a `--no-…`.

    Args:
        context: the command's.
        names: of the flags.
        beside: what it is that leaves them without effect.
        hint: the way out.

    """
    for name in names:
        if name in flags_of(context) and context.params[name] is not False:
            flag = next(one.opts[0] for one in context.command.params if one.name == name)
            raise UsageError(f"{flag} does nothing {beside}", hint=hint or f"leave out {flag}")


def refuse_cache_unlogged(context: typer.Context, *, log: bool) -> None:
    """Raise UsageError if a prompt is to be kept on disk where nothing is."""
    if not log:
        refuse_idle(context, "prompt_cache", beside="with --no-log: a prompt on disk is a trace")


def refuse_unseen(command: str, grid: Mapping[str, Sequence[object]], named: Iterable[str]) -> None:
    """Raise UsageError if a run is to look at what this command does not show.

    Args:
        command: its name.
        grid: the values of settings that flags give.
        named: runs as `--run` gives them.

    """
    from softchat.evaluate.plan import parse_run

    values = [(name, value) for name, several in grid.items() for value in several]
    values += [pair for text in named for pair in parse_run(text)[1].items()]
    for name, value in values:
        if name in SEEN_IN_ONE and value:
            raise UsageError(
                f"{flag_of(name)} shows nothing in {command}", hint=f"softchat ask {flag_of(name)}"
            )


def refuse_unused(context: typer.Context, runs: Sequence[Run], named: Sequence[str] = ()) -> None:
    """Raise UsageError if a setting stands on the command line that none of these looks at.

    Nor may each of those that are `named`, as `--run` has them, say it itself; and what one says,
    it looks at.
    """
    from softchat.evaluate.plan import parse_run

    own = [parse_run(text)[1] for text in named]
    for run in runs:
        if run.varied in own:
            run.settings.refuse_idle(run.varied, shown=partial(_in_run, run.name))
    given = flags_of(context)
    for name in (name for name in KNOBS if name in given):
        idle = [run.settings.idle(name) for run in runs if not (named and name in run.varied)]
        if not idle and not (name == "seed" and "limit" in context.params):  # it draws questions
            raise UsageError(
                f"no run uses {flag_of(name)}", hint="each --run has a value of its own"
            )
        if idle and (first := idle[0]) and all(idle):
            raise UsageError(f"no run uses {flag_of(name)}", hint=f"one with {first.unlike} would")


def _in_run(run: str, setting: str) -> str:
    return one_line(f"{setting} in --run '{run}'")


def refuse_idle_settings(
    context: typer.Context, settings: Settings, *, by_hand: bool = False
) -> None:
    """Raise UsageError if a setting stands on the command line that the run does not look at.

    Args:
        context: the command's.
        settings: of the run.
        by_hand: whether keys can change its temperature, which may be 0 now.

    """
    if by_hand and not settings.temperature:
        settings = replace(settings, temperature=1.0)
    names = [name for name in KNOBS if name in flags_of(context)]
    settings.refuse_idle(names, shown=flag_of)


def refuse_force_alone(context: typer.Context, trace: Path | None) -> None:
    """Raise UsageError if no file is written that `--force` could be about."""
    if trace is None:
        refuse_idle(context, "force", beside="without --trace", hint="--trace FILE --force")
