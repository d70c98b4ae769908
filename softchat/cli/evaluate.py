"""`softchat eval`: what ways of thinking achieve on questions with known answers."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.base.interrupt import catch_interrupt
from softchat.base.text import one_line
from softchat.base.written import refuse_stdout
from softchat.cli import print_json, warn, watch
from softchat.cli.idle import refuse_idle, refuse_unseen, refuse_unused
from softchat.cli.options import GridFlags, Loading, System, flag, grid_of, with_groups
from softchat.errors import DecodeAbortedError, SoftchatError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from softchat.evaluate.answers import Reader
    from softchat.evaluate.evaluate import Key, Plan, Result
    from softchat.evaluate.plan import Run
    from softchat.evaluate.questions import Question, QuestionFile
    from softchat.evaluate.results import ResultFile
    from softchat.evaluate.summary import Summary
    from softchat.models import Located
    from softchat.talk.load import Load
    from softchat.views.wording import Glyphs

_PIPE_WIDTH = 160
_TOGETHER = 8
_INTERRUPTED = DecodeAbortedError.exit_status

Data = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="A file of questions and answers, or gym:NAME[,NAME…]."),
]
Named = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="RUN", help="A run, as 'cool: soft tau=0.1'; can be repeated."),
]


@dataclass(frozen=True, kw_only=True)
class Evaluating:
    """Which questions, how they are judged, and where the results go."""

    extract: Annotated[
        str | None,
        flag(
            "--extract",
            metavar="HOW",
            help="How answers are read: number (exact for a gym), boxed, exact, math, regex:RE.",
        ),
    ] = None
    limit: Annotated[int, flag("--limit", metavar="N", min=0, help="Questions; 0: all.")] = 0
    shuffle: Annotated[bool, flag("--shuffle", help="Shuffle them first, by --seed.")] = False
    samples: Annotated[
        int, flag("--samples", metavar="K", min=1, max=1024, help="Answers to each question.")
    ] = 1
    parallel: Annotated[
        int | None,
        flag(
            "--parallel",
            metavar="N",
            min=1,
            max=64,
            help="Runs at once, in one batch; without it as many as --samples, up to 8.",
        ),
    ] = None
    out: Annotated[
        Path | None, flag("--out", metavar="FILE", help="Where results are kept as they come.")
    ] = None
    json: Annotated[bool, flag("--json", help="The line of JSON only.")] = False

    @property
    def at_once(self) -> int:
        """Runs at once: the answers to a question share its prompt, so they are best together."""
        return self.parallel or min(self.samples, _TOGETHER)


@with_groups
def eval_(
    data: Data,
    *,
    context: typer.Context,
    run: Named = None,
    settings: GridFlags,
    system: System = None,  # `prepare` reads it
    loading: Loading,
    evaluating: Evaluating,
    show_wrong: Annotated[
        bool, flag("--show-wrong", help="List the questions that were answered wrong, and how.")
    ] = False,
) -> int:
    """Measure accuracy on a file of questions, hard against soft.

    A setting with several values, as --tau 0.01,0.05, makes a run of each. What there is, is kept:
    the same command goes on where it was stopped.
    """
    if evaluating.json:
        refuse_idle(context, "show_wrong", beside="with --json")
    grid = grid_of(settings)
    if not run and "strategy" not in grid:
        grid = {"strategy": ["hard", "soft"], **grid}
    evaluation = evaluate_file(data, grid, run or (), context, loading, evaluating)
    if evaluation is None:
        return _INTERRUPTED
    if not evaluating.json:
        from softchat.views.evaluation import (
            differences_table,
            ends_table,
            runs_table,
            samples_table,
        )

        tables = [runs_table, samples_table, ends_table, differences_table]
        show_tables(tables, evaluation.summary)
        if show_wrong:
            _list_wrong(evaluation)
    # A line for programs: who looks at a terminal has the tables.
    if evaluating.json or not sys.stdout.isatty():
        print_json(evaluation.about | evaluation.summary.to_dict())
    evaluation.check()
    return 0


def _list_wrong(evaluation: Evaluation) -> None:
    from softchat.views.wording import in_a_line

    wrong = [one for one in evaluation.results if one.correct is False]
    for result in sorted(wrong, key=lambda one: (one.index, one.run, one.sample)):
        question = evaluation.questions[result.index]
        head = f"{result.index + 1} {result.run}: {_said_wrong(result, question)}"
        print(one_line(f"{head}: {in_a_line(question.text, 100)}"))
    judged = sum(one.correct is not None for one in evaluation.results)
    print(f"{len(wrong)} of {judged} wrong", flush=True)


def _said_wrong(result: Result, question: Question) -> str:
    from softchat.views.wording import in_a_line

    if result.outcome.error:
        return f"failed: {in_a_line(result.outcome.error, 100)}"
    said = "nothing that can be read" if result.given is None else in_a_line(result.given, 40)
    return f"{said}, not {in_a_line(question.answer, 40)}"


def show_tables(tables: Sequence[Callable[[Summary, Glyphs], Table]], summary: Summary) -> None:
    """These tables on stdout, an empty line after each; in a pipe as wide as they need."""
    from rich.console import Console

    from softchat.views.wording import glyphs_for

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    for make in tables:
        table = make(summary, glyphs_for(console.encoding))
        if table.row_count:
            console.print(table)
            console.print()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came out, and with what."""

    about: dict[str, Any]
    runs: Sequence[Run]
    summary: Summary
    results: Sequence[Result]
    questions: Mapping[int, Question]
    """By index."""

    def check(self) -> None:
        """Raise SoftchatError if no run of any question came to its end."""
        errors = [one.outcome.error for one in self.results]
        if errors and all(errors):
            raise SoftchatError(f"every question failed: {errors[0]}", hint="see 'failed' above")


def read_judged(
    data: Path | None,
    extract: str | None,
    *,
    answers: bool = True,
    limit: int = 0,
    seed: int = 0,
) -> tuple[QuestionFile, Reader]:
    """The questions of a file, and the reader that can judge all of them.

    Args:
        data: the file; `gym:NAME` are problems of reasoning-gym, None the built-in ones.
        extract: how answers are read; None: what suits the questions.
        answers: whether every question must have one.
        limit: how many of a gym's there are to be; 0: as many as it gives.
        seed: what a gym's are made by.

    Raises:
        UsageError: it can't be read, or an answer is not of the kind that the reader reads.

    """
    from softchat.evaluate.answers import make_reader
    from softchat.evaluate.builtin import built_in
    from softchat.evaluate.gym import PREFIX, gym_questions
    from softchat.evaluate.questions import read_questions

    usual = "number"
    if data is None:
        questions = built_in()
    elif str(data).startswith(PREFIX):
        questions, usual = gym_questions(str(data), limit=limit, seed=seed), "exact"
    else:
        questions = read_questions(data, answers=answers)
    reader = make_reader(usual if extract is None else extract)
    for question in questions.questions:
        if question.answer and not reader.can_be(question.answer):
            raise UsageError(
                f"the answer to question {question.index + 1} is no {reader.name}: "
                f"{question.answer[:40]}",
                hint="take another --extract, such as exact",
            )
    return questions, reader


def load_for(
    plan: Plan, questions: QuestionFile, found: Located, loading: Loading, *, quiet: bool
) -> tuple[Load, dict[str, Any]]:
    """How a model is loaded to answer all of a file's questions, and what tells the results."""
    from softchat.base.version import __version__
    from softchat.cli.model import enough, load_of, told_if_slow
    from softchat.evaluate.results import make_identity

    n_ctx_most = enough(
        [plan.system + question.text for question in questions.questions],
        [run.settings for run in plan.runs],
    )
    load = load_of(found, loading, n_ctx_most=n_ctx_most)
    with told_if_slow(found.name, doing="reading", quiet=quiet):
        model = _model_of(found, load)
    n_ctx = loading.ctx or n_ctx_most
    return load, make_identity(plan, questions, model=model, n_ctx=n_ctx, version=__version__)


def _model_of(found: Located, load: Load) -> dict[str, Any]:
    """What tells a model and its adapters from others."""
    from softchat.engine.placement import BY_DEFAULT
    from softchat.provenance import sha256_of

    merged = {"merged": True} if load.merge else {}
    cache_type = load.placement.cache_type
    rounded = {"cache_type": cache_type} if cache_type != BY_DEFAULT.cache_type else {}
    return (
        merged
        | rounded
        | {
            "name": found.name,
            "sha256": sha256_of(found.path),
            **({"parts": [sha256_of(part) for part in found.files[1:]]} if found.files[1:] else {}),
            "adapters": [
                {"name": lora.path.name, "sha256": sha256_of(lora.path), "scale": lora.scale}
                for lora in load.loras
            ],
        }
    )


def evaluate_file(
    data: Path,
    grid: dict[str, list[object]],
    named: Sequence[str],
    context: typer.Context,
    loading: Loading,
    how: Evaluating,
    *,
    answers: bool = True,
    table: Path | None = None,
) -> Evaluation | None:
    """Run what is still to be run, and sum all up; None if Ctrl-C stopped it.

    Args:
        data: the file of questions, or the name of problems that a gym makes.
        grid: settings, with the values of each.
        named: more runs, as `--run` gives them.
        context: the command's, see `prepare`.
        loading: the model.
        how: see `Evaluating`.
        answers: whether every question must have one.
        table: the file that `--csv` names, which the command writes behind this.

    """
    from softchat.cli.model import note, prepare
    from softchat.evaluate.evaluate import Plan
    from softchat.evaluate.plan import make_runs, same_runs
    from softchat.evaluate.results import ResultFile, default_path
    from softchat.evaluate.summary import summarise
    from softchat.models.folders import state_folder

    refuse_stdout(how.out, by="--out", hint="--json writes what it comes to to stdout")
    questions, reader = read_judged(
        data, how.extract, answers=answers, limit=how.limit, seed=int(str(grid.get("seed", [0])[0]))
    )
    refuse_unseen(str(context.info_name), grid, named)
    outs = {"--out": how.out, "--csv": table}
    found, loading, defaults, wording = prepare(context, loading, quiet=how.json, outs=outs)
    runs = make_runs({"seed": 0, **defaults}, grid, named)
    refuse_unused(context, runs, named)
    if not (how.json or named) and (same := same_runs(runs)):
        note(f"'{same[0]}' and '{same[1]}' are the same run, as they differ in nothing it looks at")
    seed = runs[0].settings.seed
    plan = Plan(
        questions=questions.pick(limit=how.limit, shuffle=how.shuffle, seed=seed),
        runs=runs,
        reader=reader,
        system=wording,
        tags=found.tags,
        samples=how.samples,
    )
    load, identity = load_for(plan, questions, found, loading, quiet=how.json)
    path = how.out or default_path(state_folder(os.environ) / "evaluations", identity)
    with ResultFile(path, identity) as file, catch_interrupt() as interrupt:
        wanted = set(plan.keys)
        left = wanted - file.done
        began = time.perf_counter()
        if left:
            _run_rest(plan, file, load, how, cancelled=interrupt)
        elif not how.json:
            _tell_where(file, wanted)
        elapsed_s = time.perf_counter() - began
        if not file.is_there:
            warn(f"the results are kept nowhere: {path} was removed, or replaced, meanwhile")
        if not wanted <= file.done:
            here = len(wanted & file.done)
            print(
                f"stopped: {here} of {len(wanted)} results are there; the same command goes on",
                file=sys.stderr,
            )
            return None
        results = [one for one in file.results if one.key in wanted]
        summary = summarise(runs, results, same=reader.same)
    return Evaluation(
        about=about_results(
            identity,
            questions,
            data=str(data),
            extract=reader.name,
            own={
                "system": wording,
                "samples": how.samples,
                "parallel": how.at_once,
                "evaluated_now": len(left),
            },
            elapsed_s=elapsed_s,
            path=path,
        ),
        runs=runs,
        summary=summary,
        results=results,
        questions={one.index: one for one in plan.questions},
    )


def _run_rest(
    plan: Plan, file: ResultFile, load: Load, how: Evaluating, *, cancelled: Callable[[], bool]
) -> None:
    """Run what is not in the file yet; each result goes into it as it comes."""
    from softchat.cli.model import tell_of_load, told_if_slow
    from softchat.evaluate.evaluate import evaluate, pool_of
    from softchat.views.evaluation import ProgressBar

    wanted = set(plan.keys)
    bar = ProgressBar(sys.stderr, done=len(wanted & file.done), total=len(wanted))
    with told_if_slow(load.name, quiet=how.json), watch.over(load, resumes=True):
        engine = load.engine(sequences=how.at_once, cancelled=cancelled)
    tell_of_load(engine, quiet=how.json)
    with engine:
        pool = pool_of(engine, plan)
        if not how.json:
            _tell_where(file, wanted)
        with bar:
            for result in evaluate(pool, plan, done=file.done, cancelled=cancelled):
                file.add(result)
                bar.step(_so_far(plan.runs, file.results))


def _tell_where(file: ResultFile, wanted: Set[Key]) -> None:
    """Where the results are: told when they come, as what can't begin leaves none."""
    already = f", {len(wanted & file.done)} of {len(wanted)} are there" * bool(file.results)
    print(one_line(f"results: {file.path}{already}"), file=sys.stderr)


def about_results(
    identity: Mapping[str, Any],
    questions: QuestionFile,
    *,
    data: str,
    extract: str,
    own: Mapping[str, Any],
    elapsed_s: float,
    path: Path,
) -> dict[str, Any]:
    """What a line of JSON says beside its figures: with what, on what and where they came about.

    Args:
        identity: what tells these results from others.
        questions: that were asked.
        data: what they are called.
        extract: how answers were read.
        own: what only this command says.
        elapsed_s: how long it took.
        path: of the results.

    """
    from softchat.provenance import command, machine, versions

    model = identity["model"]
    return {
        "model": model["name"],
        "sha256": model["sha256"],
        "adapters": model["adapters"],
        "data": data,
        "data_sha256": questions.sha256,
        "extract": extract,
        **own,
        "elapsed_s": round(elapsed_s, 2),
        "results": str(path),
        "machine": machine(),
        "versions": versions(),
        "command": command(),
    }


def _so_far(runs: Sequence[Run], results: Sequence[Result]) -> str:
    right = Counter(result.run for result in results if result.correct)
    judged = Counter(result.run for result in results if result.correct is not None)
    every = Counter(result.run for result in results)
    counts = {
        run.name: f"{right[run.name]}/{judged[run.name]}"
        if judged[run.name]
        else f"-/{every[run.name]}"
        for run in runs[:4]
    }
    return "  ".join(f"{name} {count}" for name, count in counts.items())
