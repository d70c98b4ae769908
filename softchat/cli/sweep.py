"""`softchat sweep`: a grid of settings over a file of questions."""

from __future__ import annotations

import csv
import io
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.base.text import one_line
from softchat.base.written import (
    refuse_foreign,
    refuse_same,
    refuse_stdout,
    refuse_unwritable,
    write_named,
)
from softchat.cli import print_json
from softchat.cli.evaluate import Data, Evaluating, evaluate_file, show_tables
from softchat.cli.options import GridFlags, Loading, System, grid_of, with_groups
from softchat.errors import DecodeAbortedError, UsageError
from softchat.events import HaltReason
from softchat.settings import KNOBS

if TYPE_CHECKING:
    from softchat.cli.evaluate import Evaluation

_INTERRUPTED = DecodeAbortedError.exit_status
_FIGURES = (
    *("questions", "right", "accuracy", "accuracy_low", "accuracy_high", "judged"),
    *("steps", "answer_tokens", "seconds", "failed"),
)
"""Columns of the table, behind those of what was varied, and before those of why runs halted."""


@with_groups
def sweep(
    data: Data,
    *,
    context: typer.Context,
    settings: GridFlags,
    system: System = None,  # `prepare` reads it
    loading: Loading,
    evaluating: Evaluating,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV too.")
    ] = None,
) -> int:
    """Try every combination of settings on a file of questions.

    For instance --tau 0.01,0.05,0.1 --patience 4,16 --topn 1,5,10.

    As 'softchat eval', for questions that may lack answers: then there are steps and times only.
    """
    grid = grid_of(settings)
    if all(len(values) == 1 for values in grid.values()):
        raise UsageError(
            "no setting has several values", hint="softchat sweep DATA --tau 0.01,0.05,0.1"
        )
    if csv_file is not None:
        refuse_stdout(csv_file, by="--csv", hint="--json writes the table to stdout")
        refuse_same(csv_file, data, evaluating.out, by="--csv")
        refuse_foreign(csv_file, _is_table, what="table of a sweep")
        if not csv_file.parent.is_dir():
            shown = one_line(str(csv_file))
            raise UsageError(f"can't write {shown}: no such folder", hint="make it first")
        refuse_unwritable(csv_file, hint="name another file with --csv")
    evaluation = evaluate_file(
        data, grid, (), context, loading, evaluating, answers=False, table=csv_file
    )
    if evaluation is None:
        return _INTERRUPTED
    rows = _rows(evaluation)
    if csv_file is not None:
        _write(csv_file, rows)
    if evaluating.json:
        print_json(evaluation.about | {"grid": rows})
    else:
        from softchat.views.evaluation import runs_table

        show_tables([runs_table], evaluation.summary)
    evaluation.check()
    return 0


def _rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A row a run: what was varied, and what came out, each figure in a cell of its own."""
    rows = []
    for run, figures in zip(evaluation.runs, evaluation.summary.to_dict()["runs"], strict=True):
        accuracy = figures["accuracy"] or {"value": None, "low": None, "high": None}
        told = figures | {
            "right": figures["right"] if figures["accuracy"] else None,
            "accuracy": accuracy["value"],
            "accuracy_low": accuracy["low"],
            "accuracy_high": accuracy["high"],
        }
        rows.append(
            {name: run.settings.to_dict()[name] for name in run.varied}
            | {name: told[name] for name in _FIGURES}
            | {str(reason): figures["halted"].get(reason, 0) for reason in HaltReason}
        )
    return rows


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_named(path, table.getvalue())
    except OSError as error:
        raise UsageError(
            f"can't write {one_line(str(path))}: {error.strerror}",
            hint="name another file with --csv",
        ) from error


def _is_table(beginning: bytes) -> bool:
    """Whether a file that begins so is a table that was written here."""
    names = beginning.partition(b"\r\n")[0].decode(errors="replace").split(",")
    varied = [*takewhile(KNOBS.__contains__, names)]
    figures, reasons = names[len(varied) :][: len(_FIGURES)], names[len(varied) + len(_FIGURES) :]
    # One of an earlier softchat knows fewer reasons.
    return bool(varied and reasons) and figures == [*_FIGURES] and {*reasons} <= {*HaltReason}
