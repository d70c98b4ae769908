"""`softchat fork`: a recorded run once more from one of its steps on, with another token."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from softchat.base.interrupt import Interrupt, catch_interrupt
from softchat.base.text import one_line, printable
from softchat.base.written import refuse_same
from softchat.cli.idle import (
    SEEN_IN_ONE,
    refuse_force_alone,
    refuse_idle,
    refuse_idle_settings,
)
from softchat.cli.options import Loading, SettingFlags, flags_of, given, with_groups
from softchat.cli.outputs import Force, Trace, open_trace
from softchat.cli.traces import TraceFile, Turn, only_run, read_runs
from softchat.config.layers import Layers
from softchat.errors import DecodeAbortedError, ModelNotFoundError, UsageError
from softchat.events import Event, ModelInfo, was_interrupted
from softchat.models.folders import expand, is_file
from softchat.settings import KNOBS

if TYPE_CHECKING:
    from softchat.config.file import Config
    from softchat.events import Started, Step
    from softchat.models import Located
    from softchat.record.runs import Run
    from softchat.settings import Settings
    from softchat.talk.backend import Backend
    from softchat.thinking.fork import Fork

_INTERRUPTED = DecodeAbortedError.exit_status
_OF_THE_MODEL: tuple[str, ...] = ("model", "lora")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Branch:
    """A fork that is to be run."""

    name: str
    weight: float
    fork: Fork
    settings: Settings


@with_groups
def fork(
    trace: TraceFile,
    *,
    context: typer.Context,
    at: Annotated[int, typer.Option("--at", metavar="STEP", min=0, help="The step to go back to.")],
    take: Annotated[
        str | None,
        typer.Option(metavar="TOKEN|N", help="Feed this token alone there; or the Nth heaviest."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Take each token of the step in turn: which leads where.")
    ] = False,
    turn: Turn = None,
    settings: SettingFlags,  # `given` reads them
    loading: Loading,
    out: Trace = None,
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="The events, as JSON lines.")] = False,
) -> int:
    """Think a recorded run on from a step with another token, settings, adapter or model.

    The steps before are not thought again: softchat fork last --at 14 --take patience
    """
    from softchat.cli.model import (
        Backends,
        model_files,
        own_files,
        told_if_slow,
        user_config,
    )
    from softchat.engine.protocol import ANY_CONTEXT

    if not (json or out):
        refuse_idle(context, *SEEN_IN_ONE, beside="here", hint="with --json, or --trace FILE")
    refuse_force_alone(context, out)
    run = only_run(read_runs(trace, turn))
    refuse_same(out, trace, by="--trace")
    started, step = _parting(run, at)
    flags = flags_of(context)
    once = {k: v for k, v in given(context).values.items() if k in KNOBS and k in flags}
    other = {name: context.params[name] for name in _OF_THE_MODEL if name in flags}
    planned = _planned(started, run.steps, step, take=take, all_=all_, once=once, other=other)
    refuse_idle_settings(context, planned[0].settings)
    config = user_config()
    found = _find(started.model, loading.model, config, quiet=json)
    refuse_same(out, *own_files(config), *model_files(found, loading), by="--trace")
    with ExitStack() as stack:
        backends = stack.enter_context(closing(Backends()))
        interrupt = stack.enter_context(catch_interrupt())
        shows = [stack.enter_context(open_trace(out, force=force)).write] if out else []
        loading = loading.after(Layers(suits=config.suits(found), chosen=[given(context)]))
        with told_if_slow(found.name, quiet=json):
            # As much context as it had: how long it may think depends on that.
            most = started.model.n_ctx or ANY_CONTEXT
            backend = stack.enter_context(
                backends.open(found, loading, n_ctx_most=most, cancelled=interrupt)
            )
        _refuse_other(started.model, backend.info, found)
        told = [] if json else [*run.events]
        forks = []
        for one in planned:
            events = list(_told(one, run, backend, interrupt, json=json))
            _write([*told, *events], shows)  # what a trace held is gone only when there is a fork
            told = []
            if was_interrupted(events):
                return _INTERRUPTED
            forks.append(events)
        if not json:
            _show(run, step, planned, forks, tabulated=all_)
    return 0


def _parting(run: Run, at: int) -> tuple[Started, Step]:
    """The beginning of the run, and the step that it parts at. Raises UsageError."""
    steps = run.steps
    if run.started is None or not steps:
        raise UsageError("this run has no steps", hint="was it not to think, or to answer at once?")
    if at >= len(steps):
        raise UsageError(f"no step {at}", hint=f"--at STEP, from 0 to {len(steps) - 1}")
    if not run.started.prompt:
        raise UsageError(
            "this trace does not hold its prompt",
            hint="it was written by an older softchat, or with --keep-thoughts; ask once more",
        )
    return run.started, steps[at]


def _planned(
    started: Started,
    steps: tuple[Step, ...],
    step: Step,
    *,
    take: str | None,
    all_: bool,
    once: dict[str, object],
    other: Mapping[str, object],
) -> list[_Branch]:
    """What is to be run: with a token, settings (`once`) or weights (`other`) not its own."""
    from softchat.thinking.fork import find_token, make_fork
    from softchat.views.wording import glyphs_for

    glyphs = glyphs_for(sys.stdout.encoding)
    if take is not None and all_:
        raise UsageError("--take and --all exclude each other", hint="choose one")
    if (all_ or take is not None) and not any(entry.weight > 0 for entry in step.own):
        raise UsageError(f"step {step.index} has no token to take", hint="name another step")
    if all_:
        entries = [entry for entry in step.own if entry.weight > 0]
    elif take is not None:
        entries = [find_token(step, take, shown=glyphs.piece)]
    elif once or other:
        begun, settings = make_fork(started, steps, step.index, once=once)
        name = ", ".join(f"{name} {_said(value)}" for name, value in {**once, **other}.items())
        return [_Branch(name=name, weight=1.0, fork=begun, settings=settings)]
    else:
        there = ", ".join(glyphs.piece(entry.piece) for entry in step.own[:8])
        raise UsageError(
            "nothing would differ", hint=f"--take one of these: {there}; --all; or --strategy hard"
        )
    planned = []
    for entry in entries:
        begun, settings = make_fork(started, steps, step.index, take=entry, once=once)
        name = glyphs.piece(entry.piece)
        planned.append(_Branch(name=name, weight=entry.weight, fork=begun, settings=settings))
    return planned


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _find(then: ModelInfo, wanted: str | None, config: Config, *, quiet: bool) -> Located:
    """The model of the run, unless another one is wanted. A trace fetches nothing."""
    from softchat.cli.model import find
    from softchat.models.locate import is_here, is_known

    if wanted is not None:
        return find(wanted, config=config, quiet=quiet)
    if is_here(then.name, os.environ):
        return find(then.name, config=config, quiet=quiet)
    if is_file(expand(then.path)):
        return find(then.path, config=config, quiet=quiet)
    name = one_line(then.name)
    pull = f"softchat models pull {name} fetches it; or " if is_known(name, os.environ) else ""
    raise ModelNotFoundError(
        f"the model of this run, {name}, is not here", hint=f"{pull}-m NAME|FILE"
    )


def _refuse_other(then: ModelInfo, now: ModelInfo, found: Located) -> None:
    """Raise UsageError if a token of the one is hardly a token of the other.

    Args:
        then: the model of the run.
        now: the one that is loaded.
        found: its file.

    """
    if (then.architecture, then.n_vocab, then.n_embd) != (
        now.architecture,
        now.n_vocab,
        now.n_embd,
    ):
        raise UsageError(
            one_line(f"the run is of {_told_apart(then)}; this is {_told_apart(now)}"),
            hint=f"tokens of the one mean nothing to the other; {_way_to(then, found)}",
        )
    if then.loras != now.loras:
        print("warning: its adapters were others (--lora FILE, or none)", file=sys.stderr)


def _told_apart(model: ModelInfo) -> str:
    return f"{model.name} ({model.architecture}, {model.n_vocab:,} tokens)"


def _way_to(then: ModelInfo, found: Located) -> str:
    """How the model of a run is named, as it is not the one that was found."""
    from softchat.models.locate import is_here, is_known

    name = one_line(then.name)
    if name != one_line(found.name) and is_here(then.name, os.environ):
        return f"-m {name}"
    if (path := expand(then.path)) != found.path and is_file(path):
        return one_line(f"-m {path}")
    if name != one_line(found.name) and is_known(name, os.environ):
        return f"softchat models pull {name}, then -m {name}"
    return f"what was {name} then is not here now; -m FILE names it"


def _told(
    one: _Branch, run: Run, backend: Backend, interrupt: Interrupt, *, json: bool
) -> Iterator[Event]:
    """The events of a fork, while stderr tells how far it is; as lines on stdout with `json`."""
    from softchat.cli.compare import counted
    from softchat.talk.backend import ChatRequest
    from softchat.views.jsonl import JsonView

    asked = ChatRequest(text=run.question, fork=one.fork)
    events = backend.ask(asked, one.settings, cancelled=interrupt)
    if not json:
        yield from counted(one.name, events)
        return
    with JsonView(sys.stdout) as view:
        for event in events:
            view.show(event)
            yield event


def _write(events: Iterable[Event], shows: Sequence[Callable[[Event], None]]) -> None:
    for event in events:
        for show in shows:
            show(event)


def _show(
    run: Run, step: Step, planned: list[_Branch], forks: list[list[Event]], *, tabulated: bool
) -> None:
    from rich.console import Console
    from rich.text import Text

    from softchat.record.runs import Run
    from softchat.views.branches import Lead, answers_table, branches, leads_table
    from softchat.views.wording import glyphs_for

    console = Console()
    glyphs = glyphs_for(console.encoding)
    made = [Run.of(events) for events in forks]
    if run.question:
        console.print(Text(glyphs.text(printable(run.question)), "bold"))
    if not tabulated:
        shown = {"as it was": run, planned[0].name: made[0]}
        console.print(branches(shown, step.index, width=console.width, glyphs=glyphs))
        return
    leads = [
        Lead(piece=one.name, weight=one.weight, run=each)
        for one, each in zip(planned, made, strict=True)
    ]
    answer = " ".join(run.answer.split())
    console.print(
        Text(f"step {step.index}; as it was: ", "dim") + Text(glyphs.text(printable(answer)))
    )
    console.print(leads_table(leads, glyphs))
    console.print()
    console.print(answers_table(leads, glyphs))
