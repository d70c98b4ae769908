"""`softchat tune`: which settings suit a model, on questions of one's own; or that none do."""

from __future__ import annotations

import math
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.base.text import one_line, printable
from softchat.base.written import refuse_stdout
from softchat.cli import print_json, watch
from softchat.cli.evaluate import Named, about_results, load_for, read_judged
from softchat.cli.idle import refuse_unseen, refuse_unused
from softchat.cli.options import GridFlags, Loading, System, flag, grid_of, with_groups
from softchat.errors import DecodeAbortedError, UsageError

if TYPE_CHECKING:
    from softchat.evaluate.evaluate import Plan, Pool, Result
    from softchat.evaluate.plan import Run
    from softchat.evaluate.questions import Question
    from softchat.evaluate.race import Answer, Race
    from softchat.evaluate.results import ResultFile
    from softchat.models import Located

_INTERRUPTED = DecodeAbortedError.exit_status
_FEWEST = 12
"""Questions: with fewer, choosing and proving would both be chance."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How long it takes, and what becomes of what it finds."""

    minutes: Annotated[
        float, flag("--minutes", metavar="X", min=0, help="Time for all of it; 0: any.")
    ] = 30.0
    write: Annotated[
        bool, flag("--write", help="Put what is better into your models.toml for this model.")
    ] = False
    dry_run: Annotated[bool, flag("--dry-run", help="Show what --write would put there.")] = False
    extract: Annotated[
        str | None,
        flag(
            "--extract",
            metavar="HOW",
            help="How answers are read: number, boxed, exact, math, regex:RE.",
        ),
    ] = None
    limit: Annotated[
        int, flag("--limit", metavar="N", min=0, help="Questions, drawn by --seed; 0: all.")
    ] = 0
    parallel: Annotated[
        int, flag("--parallel", metavar="N", min=1, max=64, help="Runs at once, in one batch.")
    ] = 8
    out: Annotated[
        Path | None, flag("--out", metavar="FILE", help="Where results are kept as they come.")
    ] = None
    json: Annotated[bool, flag("--json", help="The line of JSON only.")] = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.minutes):  # with NaN it would have no end, without a word
            raise UsageError(f"--minutes is {self.minutes}", hint="0: any")
        if self.write and self.dry_run:
            raise UsageError("--write and --dry-run exclude each other", hint="choose one")


@with_groups
def tune(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]", help="Questions and answers, as eval takes them; else built-in sums."
        ),
    ] = None,
    *,
    context: typer.Context,
    run: Named = None,
    settings: GridFlags,
    system: System = None,  # `prepare` reads it
    loading: Loading,
    tuning: Tuning,
) -> int:
    """Find out which strategy and settings suit a model.

    Candidates race against ordinary decoding on a third of the questions; what is left of them has
    to be better on the others. A --run, or a setting with several values, is a candidate; without
    one there are twelve. What there is, is kept: the same command goes on where it was stopped.
    """
    from softchat.cli.model import prepare, tell_of_load, told_if_slow
    from softchat.evaluate.evaluate import Plan, pool_of
    from softchat.evaluate.race import Race, split
    from softchat.evaluate.results import ResultFile, default_path
    from softchat.models.folders import state_folder

    refuse_stdout(tuning.out, by="--out", hint="--json writes what it comes to to stdout")
    grid = grid_of(settings)
    if len(grid.get("seed", ())) > 1:
        raise UsageError("tune takes one --seed", hint="what wins by its draws is no setting")
    questions, reader = read_judged(
        data, tuning.extract, limit=tuning.limit, seed=int(str(grid.get("seed", [0])[0]))
    )
    refuse_unseen("tune", grid, run or ())
    outs = {"--out": tuning.out}
    found, loading, defaults, wording = prepare(context, loading, quiet=tuning.json, outs=outs)
    fixed = {name: values[0] for name, values in grid.items() if len(values) == 1}
    standing, candidates = _runs({"seed": 0, **defaults}, grid, run or (), fixed=fixed)
    refuse_unused(context, [*standing, *candidates], run or ())
    seed = standing[0].settings.seed
    picked = questions.pick(limit=tuning.limit, shuffle=True, seed=seed)
    choosing, proving = split(picked, seed)
    if len(picked) < _FEWEST:
        raise UsageError(
            f"{len(picked)} questions are too few to choose by",
            hint=f"{_FEWEST} at the least; a hundred tell differences of about ten points",
        )
    _check_writable(found, tuning)
    runs = [*standing, *candidates]
    plan = Plan(questions=picked, runs=runs, reader=reader, system=wording, tags=found.tags)
    load, identity = load_for(plan, questions, found, loading, quiet=tuning.json)
    identity |= {"tune": {"limit": tuning.limit, "seed": seed}}
    path = tuning.out or default_path(state_folder(os.environ) / "evaluations", identity)
    began = time.perf_counter()
    with ResultFile(path, identity) as file, catch_interrupt() as interrupt:
        race = Race(
            controls=standing,
            candidates=candidates,
            choosing=choosing,
            proving=proving,
            results=list(file.results),
        )
        with told_if_slow(found.name, quiet=tuning.json), watch.over(load, resumes=True):
            engine = load.engine(sequences=tuning.parallel, cancelled=interrupt)
        tell_of_load(engine, quiet=tuning.json)
        with engine:
            answer = partial(_answer, pool_of(engine, plan), plan, file, interrupt)
            if not tuning.json:
                already = f", {len(file.results)} are there" * bool(file.results)
                print(one_line(f"results: {path}{already}"), file=sys.stderr)
            _go(race, answer, tuning, interrupt)
    if interrupt():
        print("stopped; the same command goes on", file=sys.stderr)
        return _INTERRUPTED
    about = about_results(
        identity,
        questions,
        data=str(data or "built-in"),
        extract=reader.name,
        own={
            "questions": {"choosing": len(choosing), "proving": len(proving)},
            "controls": {one.name: one.settings.to_dict() for one in standing},
            "candidates": {one.name: one.settings.to_dict() for one in candidates},
        },
        elapsed_s=time.perf_counter() - began,
        path=path,
    )
    return _conclude(race, found, tuning, fixed=fixed, about=about)


def _runs(
    base: Mapping[str, object],
    grid: dict[str, list[object]],
    named: Sequence[str],
    *,
    fixed: Mapping[str, object],
) -> tuple[list[Run], list[Run]]:
    """The controls, and the candidates: those that are asked for, else the usual ones.

    Args:
        base: what suits the model.
        grid: the values of settings that are asked for.
        named: runs that are.
        fixed: of the grid, the settings with one value: they hold for all.

    Raises:
        UsageError: none of them is other than ordinary decoding.

    """
    from softchat.evaluate.plan import make_runs, refuse_same_names
    from softchat.evaluate.race import CANDIDATES, controls

    shared = {name: [value] for name, value in fixed.items()}
    standing = make_runs(base, shared, controls({**base, **fixed}))
    if named or "strategy" in grid or len(shared) < len(grid):
        candidates = make_runs(base, grid, named)
    else:
        candidates = make_runs(base, shared, CANDIDATES)
    distinct = _distinct(candidates, standing)
    refuse_same_names([*standing, *distinct])
    return standing, distinct


def _distinct(candidates: Sequence[Run], standing: Sequence[Run]) -> list[Run]:
    """The candidates that are not the same as another one, or as a control; nor called like one."""
    taken = {run.name for run in standing}
    seen = [run.settings for run in standing]
    kept = []
    for run in candidates:
        if run.settings not in seen:
            kept.append(replace(run, name=f"{run.name}, as set") if run.name in taken else run)
            seen.append(run.settings)
    if not kept:
        raise UsageError(
            "there is no candidate but ordinary decoding", hint="--run 'soft topn=3', or none"
        )
    return kept


def _check_writable(found: Located, tuning: Tuning) -> None:
    if (tuning.write or tuning.dry_run) and found.entry is None:
        flag_ = "--write" if tuning.write else "--dry-run"
        raise UsageError(
            f"{flag_} needs a model that models.toml knows by name",
            hint="softchat models add NAME FILE, then -m NAME",
        )


def _answer(
    pool: Pool,
    plan: Plan,
    file: ResultFile,
    cancelled: Callable[[], bool],
    runs: Sequence[Run],
    questions: Sequence[Question],
) -> Iterator[Result]:
    """The results that are not in the file yet; each goes into it."""
    from softchat.evaluate.evaluate import evaluate

    part = replace(plan, runs=runs, questions=questions)
    for result in evaluate(pool, part, done=file.done, cancelled=cancelled):
        file.add(result)
        yield result


def _go(race: Race, answer: Answer, tuning: Tuning, cancelled: Callable[[], bool]) -> None:
    """Run the race, and show it while it runs: a live table, or a line a round."""
    from rich.console import Console
    from rich.live import Live

    from softchat.views.tuning import race_line, race_table
    from softchat.views.wording import glyphs_for

    console = Console(stderr=True)
    glyphs = glyphs_for(console.encoding)
    began = time.monotonic()

    def left() -> float:
        return 1 - (time.monotonic() - began) / (60 * tuning.minutes) if tuning.minutes else 1.0

    live = None if tuning.json or not console.is_terminal else Live(console=console, transient=True)
    alive = -1
    with live or nullcontext():
        for _ in race.go(answer, left, cancelled=cancelled):
            if live is not None:
                live.update(race_table(race, glyphs))
            elif not tuning.json and len(race.alive) + race.is_proving != alive:
                alive = len(race.alive) + race.is_proving
                print(race_line(race, glyphs), file=sys.stderr, flush=True)
    if not tuning.json:
        console.print(race_table(race, glyphs))


def _conclude(
    race: Race,
    found: Located,
    tuning: Tuning,
    *,
    fixed: Mapping[str, object],
    about: dict[str, Any],
) -> int:
    """Say what the race has shown, and write it down if that is wanted."""
    from softchat.evaluate.summary import finite
    from softchat.views.tuning import verdict

    proof = race.proof()
    winner = next(run for run in race.candidates if run.name == race.alive[0])
    is_better = proof is not None and proof.is_better
    chosen = {k: v for k, v in {**fixed, **winner.varied}.items() if k != "seed"}
    chosen = {k: str(v) if isinstance(v, str) else v for k, v in chosen.items()}
    if not tuning.json:
        print(_wrapped(printable(verdict(race, proof))))
        if is_better and not (tuning.write or tuning.dry_run):
            print("--write puts it into your models.toml.", file=sys.stderr)
    if is_better and (tuning.write or tuning.dry_run):
        _write(found, chosen, tuning)
    if tuning.json:
        shown = {
            "verdict": "better" if is_better else "not better" if proof else "none",
            "winner": winner.name,
            "settings": chosen if is_better else None,
            "proof": finite(asdict(proof)) if proof else None,
            "out": race.out,
            "is_cut": race.is_cut,
        }
        print_json(about | shown)
    return 0


def _wrapped(text: str) -> str:
    """The text at the width of a terminal; in a pipe it is one line."""
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(text, columns) if sys.stdout.isatty() else text


def _write(found: Located, chosen: Mapping[str, object], tuning: Tuning) -> None:
    from softchat.models.catalogue import own_file
    from softchat.models.own import defaults_text, set_defaults

    assert found.entry is not None  # `_check_writable`
    file, name = own_file(os.environ), found.entry.name
    where = one_line(str(file))
    if tuning.dry_run:
        print(f"{where} would get:\n\n{defaults_text(name, chosen)}", file=sys.stderr)
        return
    set_defaults(file, name, chosen)
    print(f"{where} has it now, for {name}", file=sys.stderr)
