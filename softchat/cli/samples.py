"""`softchat ask --samples`: one question, several answers in one batch, and a vote among them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from softchat.base.interrupt import catch_interrupt
from softchat.base.text import printable
from softchat.cli import print_json, watch
from softchat.cli.options import Loading, flag
from softchat.cli.outputs import Outputs
from softchat.errors import ContextError, DecodeAbortedError, SoftchatError, UsageError

if TYPE_CHECKING:
    from softchat.evaluate.answers import Reader
    from softchat.evaluate.evaluate import Result
    from softchat.models import Located
    from softchat.settings import Settings

_INTERRUPTED = DecodeAbortedError.exit_status
_TOGETHER = 16


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How often a question is answered, and what is made of that."""

    samples: Annotated[
        int, flag("--samples", metavar="K", min=1, max=256, help="Answer it so often, at once.")
    ] = 1
    vote: Annotated[
        bool, flag("--vote", help="Count what the answers say; the commonest is the answer.")
    ] = False
    extract: Annotated[
        str | None,
        flag(
            "--extract",
            metavar="HOW",
            help="How --vote reads answers, as eval does; without it: number, or else exact.",
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.samples == 1 and (self.vote or self.extract):
            what = "--vote" if self.vote else "--extract"
            raise UsageError(f"{what} needs several answers", hint=f"--samples 8 {what}")


def ask_often(
    asked: str,
    *,
    system: str,
    settings: Settings,
    found: Located,
    loading: Loading,
    sampling: Sampling,
    outputs: Outputs,
) -> str | None:
    """Answer a question several times, and show what came of it.

    Returns the answer that has won, or all of them; None if it was stopped.

    Raises:
        SoftchatError: there is to be a vote, and no answer can be read.

    """
    from softchat.cli.model import enough, load_of, tell_of_load, told_if_slow
    from softchat.engine.batch import run_together
    from softchat.evaluate.answers import make_reader
    from softchat.evaluate.evaluate import Plan, evaluate
    from softchat.evaluate.plan import Run
    from softchat.evaluate.questions import Question
    from softchat.views.evaluation import ProgressBar

    quiet = outputs.quiet or outputs.json
    plan = Plan(
        questions=[Question(index=0, text=asked, answer="")],
        runs=[Run(name="ask", settings=settings, varied={})],
        reader=make_reader("number" if sampling.extract is None else sampling.extract),
        system=system,
        tags=found.tags,
        samples=sampling.samples,
    )
    with catch_interrupt() as interrupt:
        with told_if_slow(found.name, quiet=quiet):
            load = load_of(found, loading, n_ctx_most=enough([asked + system], [settings]))
            together = min(sampling.samples, _TOGETHER)
            with watch.over(load):
                engine = load.engine(sequences=together, cancelled=interrupt)
        tell_of_load(engine, quiet=quiet)
        results: list[Result] = []
        bar = ProgressBar(sys.stderr, done=0, total=sampling.samples)
        with engine, bar:
            for result in evaluate(partial(run_together, engine), plan, cancelled=interrupt):
                results.append(result)
                if not quiet:
                    bar.step(result.given or "")
    if len(results) < sampling.samples:
        return None
    results.sort(key=lambda one: one.sample)
    failed = next((one.outcome.error for one in results if one.outcome.error), "")
    if failed:
        raise ContextError(failed, hint="shorten the question, or give more with --ctx")
    reader = plan.reader
    if sampling.extract is None and any(one.given is None for one in results):
        reader = make_reader("exact")
        results = [replace(one, given=reader.extract(one.outcome.answer)) for one in results]
    votes = count_votes(results, reader)
    winner = results[votes[0][0]] if votes else None
    _show(results, votes, winner, reader, sampling, outputs)
    if not quiet:
        _tell_of_cuts(results, settings.max_answer)
    if not sampling.vote:
        return "\n\n".join(one.outcome.answer for one in results)
    if winner is None:
        raise SoftchatError(
            f"none of {len(results)} answers could be read as {reader.name}",
            hint="without --vote they are shown as they are, or take another --extract",
        )
    return winner.outcome.answer


def _tell_of_cuts(results: Sequence[Result], max_answer: int) -> None:
    from softchat.views.wording import cut_notes

    ends = [(one.outcome.finished, one.outcome.answer_tokens) for one in results]
    for said in cut_notes(ends, max_answer):
        print(said, file=sys.stderr)


def _show(
    results: Sequence[Result],
    votes: list[list[int]],
    winner: Result | None,
    reader: Reader,
    sampling: Sampling,
    outputs: Outputs,
) -> None:
    if outputs.json:
        for one in results:
            print_json(_line(one))
        if sampling.vote:
            counted = [{"given": results[v[0]].given, "votes": len(v)} for v in votes]
            given = winner.given if winner else None
            print_json({"extract": reader.name, "votes": counted, "winner": given})
        return
    if not sampling.vote:
        for one in results:
            outcome = one.outcome
            head = f"answer {one.sample + 1} of {len(results)}, seed {one.seed}, "
            if not outputs.quiet:
                print(f"{head}{outcome.steps} steps", file=sys.stderr)
            print(printable(outcome.answer), flush=True)
        return
    if winner is None:
        return
    if not outputs.quiet:
        from rich.console import Console

        from softchat.views.evaluation import votes_table
        from softchat.views.wording import glyphs_for

        console = Console(stderr=True)
        shown = {
            results[places[0]].given or "": [place + 1 for place in places] for places in votes
        }
        console.print(votes_table(shown, len(results), glyphs_for(console.encoding)))
    print(printable(winner.outcome.answer))


def count_votes(results: Sequence[Result], reader: Reader) -> list[list[int]]:
    """The places of results that say the same, the most votes first; of equals who came first."""
    from softchat.evaluate.samples import group

    groups: dict[int, list[int]] = {}
    for place, number in enumerate(group([one.given for one in results], reader.same)):
        if number is not None:
            groups.setdefault(number, []).append(place)
    return sorted(groups.values(), key=lambda places: (-len(places), places[0]))


def _line(result: Result) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "sample": result.sample,
        "seed": result.seed,
        "given": result.given,
        "answer": outcome.answer,
        "steps": outcome.steps,
        "answer_tokens": outcome.answer_tokens,
        "halted": outcome.halted,
        "finished": outcome.finished,
    }
