"""`softchat compare`: one question, several runs, side by side."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.cli import print_json
from softchat.cli.evaluate import Named
from softchat.cli.idle import refuse_unseen, refuse_unused
from softchat.cli.options import GridFlags, Loading, System, grid_of, with_groups
from softchat.cli.question import Words, whole_question
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import Answer, Event, Step, to_dict, was_interrupted

if TYPE_CHECKING:
    from softchat.evaluate.plan import Run

_INTERRUPTED = DecodeAbortedError.exit_status


@with_groups
def compare(
    question: Words = None,
    *,
    context: typer.Context,
    questions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask every question of a file, as 'eval' reads it."),
    ] = None,
    run: Named = None,
    settings: GridFlags,
    system: System = None,  # `prepare` reads it
    loading: Loading,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON a run.")] = False,
) -> int:
    """Ask the same in several ways, side by side.

    A setting with several values, as --tau 0.01,0.05, makes a run of each.
    """
    from softchat.cli.model import Backends, enough, prepare, told_if_slow
    from softchat.evaluate.plan import make_runs
    from softchat.talk.backend import ChatRequest

    backends = context.with_resource(closing(Backends()))
    asked = _asked(question, questions, quiet=json)
    grid = grid_of(settings)
    if not run and "strategy" not in grid:
        grid = {"strategy": ["hard", "soft"], **grid}
    refuse_unseen("compare", grid, run or ())
    found, loading, defaults, wording = prepare(context, loading, quiet=json)
    # One seed for all, so that nothing differs but what is compared.
    runs = make_runs({"seed": secrets.randbits(32), **defaults}, grid, run or ())
    refuse_unused(context, runs, run or ())
    n_ctx_most = enough([wording + text for text in asked], [one.settings for one in runs])
    with catch_interrupt() as interrupt:
        with told_if_slow(found.name, quiet=json):
            backend = backends.open(found, loading, n_ctx_most=n_ctx_most, cancelled=interrupt)
        with backend:
            for text in asked:
                shown: dict[str, list[Event]] = {}
                for one in runs:
                    # As `softchat ask` would: nothing of one run is left for the next.
                    whole = ChatRequest(text=text, system=wording, fresh=True)
                    events = backend.ask(whole, one.settings, cancelled=interrupt)
                    shown[one.name] = list(events if json else counted(one.name, events))
                    if was_interrupted(shown[one.name]):
                        return _INTERRUPTED
                    if json:
                        print_json(_line(text, one, shown[one.name]))
                if not json:
                    _show(text, shown)
    return 0


def _asked(words: list[str] | None, path: Path | None, *, quiet: bool) -> list[str]:
    from softchat.evaluate.questions import read_questions

    if path is None:
        hint = "softchat compare 'What is 17 plus 25?', or --questions FILE"
        return [whole_question(words, None, quiet=quiet, hint=hint)]
    if any(word.strip() for word in words or ()):
        raise UsageError("a question and --questions exclude each other", hint="choose one")
    return [question.text for question in read_questions(path, answers=False).questions]


def counted(name: str, events: Iterator[Event]) -> Iterator[Event]:
    """The events of a run, while stderr tells how far it is: on a terminal step by step."""
    from softchat.base.text import one_line
    from softchat.views.wording import plural

    name = one_line(name)
    if not sys.stderr.isatty():
        print(f"{name}…", file=sys.stderr, flush=True)
        yield from events
        return
    from rich.console import Console
    from rich.text import Text

    steps = tokens = 0
    with Console(stderr=True).status(Text(f"{name}…")) as status:
        for event in events:
            yield event
            steps += isinstance(event, Step)
            tokens += isinstance(event, Answer)
            status.update(
                Text(f"{name}: {plural(steps, 'step')}, {plural(tokens, 'word')} of answer")
            )


def _show(question: str, runs: dict[str, list[Event]]) -> None:
    from rich.console import Console
    from rich.text import Text

    from softchat.base.text import printable
    from softchat.views.comparison import comparison
    from softchat.views.wording import glyphs_for

    console = Console()
    glyphs = glyphs_for(console.encoding)
    console.print(Text(glyphs.text(printable(question)), "bold"))
    console.print(comparison(runs, width=console.width, glyphs=glyphs))
    console.print()


def _line(question: str, run: Run, events: list[Event]) -> dict[str, Any]:
    """A run in one object: the last event's fields, and what is shown of the others."""
    from softchat.record import runs
    from softchat.views.thoughts import thought

    whole = runs.Run.of(events)
    last = to_dict(events[-1])
    del last["event"]
    return {
        "question": question,
        "run": run.name,
        "settings": run.settings.to_dict(),
        "thoughts": "".join(step.said for step in thought(whole.steps, whole.halted)).strip(),
        "entropies": [round(step.entropy, 6) for step in whole.steps],
        "halted": str(whole.halted.reason) if whole.halted else "",
        **last,
    }
