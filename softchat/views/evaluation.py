"""What an evaluation achieved, as rich tables, and how far it is, on stderr."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from softchat.base.closeable import Closeable
from softchat.base.text import one_line
from softchat.evaluate.statistics import Estimate
from softchat.evaluate.summary import Summary
from softchat.events import HaltReason
from softchat.views.tables import PlainTable
from softchat.views.wording import REASONS, Glyphs, duration

_BAR = 10  # cells of a bar
_EVERY_S = 30.0  # between two lines of progress where there is no terminal


def runs_table(summary: Summary, glyphs: Glyphs) -> Table:
    """A row a run: accuracy, and the means of steps, tokens and time."""
    looked = any(run.probe_tokens > 0 for run in summary.runs)
    ahead = ("looked ahead",) * looked
    table = _table("run", "right", "accuracy (95%)", "steps", "answer tokens", *ahead, "time")
    for run in summary.runs:
        table.add_row(
            _name(run.name, glyphs),
            f"{run.right}/{run.judged}" if run.accuracy else f"-/{run.answers}",
            _percent(run.accuracy),
            _number(run.steps, ".1f"),
            _number(run.answer_tokens, ".1f"),
            *(_number(run.probe_tokens, ".1f") for _ in ahead),
            "-" if math.isnan(run.seconds) else duration(run.seconds),
        )
    return table


def samples_table(summary: Summary, glyphs: Glyphs) -> Table:
    """Of several answers to each question: pass@k, majority@k and what k answers take, in tokens.

    For k that are powers of two, and all there are.
    """
    most = max((len(run.pass_at) for run in summary.runs), default=0)
    counts = sorted({most, *(2**n for n in range(most.bit_length()) if 2**n <= most)} - {0})
    table = _table("of k answers", "", *(f"k = {k}" for k in counts))
    for run in summary.runs:
        rows = [
            ("one is right, %", [_share(run.pass_at, k) for k in counts]),
            ("the majority is, %", [_share(run.majority_at, k) for k in counts]),
            ("tokens", [_number(run.tokens * k, ".0f") for k in counts]),
        ]
        for place, (label, cells) in enumerate(rows if run.pass_at else []):
            table.add_row(Text("") if place else _name(run.name, glyphs), label, *cells)
    return table


def votes_table(votes: Mapping[str, Sequence[int]], total: int, glyphs: Glyphs) -> Table:
    """A row for each thing that several answers to one question say, and which of them say it."""
    table = _table("answer", "votes", "")
    table.add_column("given by", overflow="fold")
    for text, places in votes.items():
        shown = glyphs.text(one_line(text))
        table.add_row(
            Text(shown, "bold"),
            f"{len(places)}/{total}",
            Text(glyphs.weight_bar(len(places) / total, _BAR), "magenta"),
            Text(" ".join(map(str, places)), "dim"),
        )
    return table


def _share(shares: Sequence[float], k: int) -> str:
    return f"{100 * shares[k - 1]:.1f}" if k <= len(shares) else "-"


def ends_table(summary: Summary, glyphs: Glyphs) -> Table:
    """A row a run: how often its thinking ended for which reason."""
    reasons = [
        reason for reason in HaltReason if any(run.halted.get(reason) for run in summary.runs)
    ]
    failed = any(run.failed for run in summary.runs)
    table = _table("thinking ended by", *(REASONS[reason] for reason in reasons))
    if failed:
        table.add_column("failed", justify="right")
    for run in summary.runs:
        counts = [run.halted.get(reason, 0) for reason in reasons] + [run.failed] * failed
        table.add_row(_name(run.name, glyphs), *(str(count or "-") for count in counts))
    return table


def differences_table(summary: Summary, glyphs: Glyphs) -> Table:
    """A row a comparison with the first run, on the same questions."""
    table = _table("difference", "accuracy (95%)", "only one right", "p", "steps (95%)")
    for one in summary.differences:
        table.add_row(
            _name(f"{one.second} - {one.first}", glyphs),
            _percent(one.accuracy, sign="+"),
            f"{one.mcnemar.only_second} : {one.mcnemar.only_first}" if one.mcnemar else "-",
            f"{one.mcnemar.p:.2g}" if one.mcnemar else "-",
            _with_interval(one.steps, "+.1f"),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = PlainTable()
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _name(name: str, glyphs: Glyphs) -> Text:
    return Text(glyphs.text(one_line(name)), "bold")


def _percent(estimate: Estimate | None, *, sign: str = "") -> str:
    """A share in percent, or a difference of shares in points."""
    if estimate is None:
        return "-"
    hundred = Estimate(value=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)
    return _with_interval(hundred, f"{sign}.1f")


def _with_interval(estimate: Estimate, form: str) -> str:
    value = _number(estimate.value, form)
    if math.isinf(estimate.low):
        return value
    return f"{value} ({estimate.low:{form}} to {estimate.high:{form}})"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


class ProgressBar(Closeable):
    """How many results there are, and when all will be.

    A bar on a terminal; elsewhere a line every half minute.

    Args:
        stream: stderr.
        done: how many there were already.
        total: how many there will be.

    """

    def __init__(
        self,
        stream: TextIO,
        *,
        done: int,
        total: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._clock = stream, clock
        self._first, self._done, self._total = done, done, total
        self._began = self._said = clock()
        self._bar: Progress | None = None
        if stream.isatty():
            columns = (
                BarColumn(20),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1)),
            )
            self._bar = Progress(
                *columns, console=Console(file=stream), transient=True, refresh_per_second=4
            )
            self._task = self._bar.add_task("", total=total, completed=done)

    def step(self, note: str) -> None:
        """One result more; `note` is what it is so far."""
        self._done += 1
        note = one_line(note)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=escape(note))
            return
        now = self._clock()
        if now - self._said >= _EVERY_S:
            self._said = now
            left = (now - self._began) / (self._done - self._first) * (self._total - self._done)
            print(
                f"{self._done} of {self._total}, {duration(left)} left: {note}", file=self._stream
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
