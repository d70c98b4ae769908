"""What is plotted of a run, as arrays. Knows nothing of how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softchat.base.text import REPLACEMENT, one_line, printable, visible
from softchat.events import ConceptEntry, Mode
from softchat.record.runs import Run
from softchat.views.wording import REASONS, UNICODE, changed, number, parted, would_answer

_NO_XML = dict.fromkeys((0xFFFE, 0xFFFF), REPLACEMENT)  # an SVG with them is no XML
_ANSWER = 60  # cells of an answer that was looked at ahead
_MOST = 4.0  # of a weight, either way; `selar` stays within


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look ahead has seen."""

    step: int
    entropy: float
    """Nats."""
    answer: str
    """In a line; one that would go on ends in dots."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunPlot:
    """One run, ready to be drawn: S steps, of R tokens at the most."""

    label: str
    """What tells it from others, in a legend."""
    question: str
    """What was asked, in a line; empty if the trace does not tell."""
    caption: str
    """The settings that it ran with."""
    tau: float
    """Nats."""
    patience: int
    entropy: npt.NDArray[np.float64]
    """(S,) nats."""
    below: npt.NDArray[np.int64]
    """(S,) cold steps in a row."""
    soft: npt.NDArray[np.bool_]
    """(S,) whether the concept token was fed back, and not one token."""
    weights: npt.NDArray[np.float64]
    """(R, S) of each step's likeliest token, of its second and so on; 0 where it had fewer."""
    tokens: tuple[tuple[ConceptEntry, ...], ...]
    """(S) each step's tokens; white space in the pieces is visible."""
    why: tuple[str, ...]
    """(S) the strategy's reason for each step's mode; empty where it has none."""
    seen: tuple[Seen, ...]
    """What it would have answered, where it looked ahead."""
    reason: str
    """Why the thinking ended behind the last step; empty if the trace does not tell."""
    answer: str
    start: int = 0
    """The first step that is not another one's, of which this run is a fork."""

    @property
    def bases(self) -> npt.NDArray[np.float64]:
        """(R, S) where each weight begins: stacked from 0 up, and from 0 down the negative ones."""
        up, down = np.maximum(self.weights, 0.0), np.minimum(self.weights, 0.0)
        stacked: npt.NDArray[np.float64] = np.where(
            self.weights < 0, np.cumsum(down, axis=0) - down, np.cumsum(up, axis=0) - up
        )
        return stacked

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the largest that the stacked weights come to: 0 and 1, or beyond."""
        ends = self.bases + self.weights
        # Weights sum to 1 but for the last bits, which are no reason for another axis.
        return round(float(ends.min(initial=0.0)), 3), round(float(ends.max(initial=1.0)), 3)


def run_plots(runs: Sequence[Run], labels: Sequence[str]) -> list[RunPlot]:
    """What there is to plot of these runs; a fork is a branch of the run that it is of."""
    plots = []
    for run, label in zip(runs, labels, strict=True):
        fork = run.started.fork if run.started else None
        start = _parts_at(run, runs)
        words = f"{label} · {parted(fork)}" if fork else label
        plots.append(replace(run_plot(run, words), start=start))
    return plots


def _parts_at(run: Run, runs: Sequence[Run]) -> int:
    """The first step at which a run is not where another one of these is; 0 if it is no fork."""
    fork = run.started.fork if run.started else None
    if fork is None or not 0 < fork.step <= len(run.steps):
        return 0
    others = (one for one in runs if one is not run)
    shared = max((_shared(run, one) for one in others), default=0)
    return shared if shared >= fork.step else 0


def _shared(run: Run, other: Run) -> int:
    """Steps up to which two runs have the same entropies."""
    pairs = zip(run.steps, other.steps, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].entropy == pair[1].entropy, pairs))


def run_plot(run: Run, label: str, *, ranks: int = 20) -> RunPlot:
    """What there is to plot of a run.

    Args:
        run: as it was recorded, so its numbers are finite and may be otherwise absurd.
        label: what to call it.
        ranks: tokens of a step that are drawn, R; `tokens` has all of them.

    """
    steps = run.steps
    weights = np.zeros((min(ranks, max((len(s.concept) for s in steps), default=0)), len(steps)))
    for place, step in enumerate(steps):
        heaviest = [entry.weight for entry in step.concept[:ranks]]
        weights[: len(heaviest), place] = heaviest
    return RunPlot(
        label=_words(label),
        question=_words(" ".join(run.question.split())),
        caption=_words(" · ".join([run.model_name, *(f"{k} {v}" for k, v in run.notable.items())])),
        tau=max(0.0, number(run.settings.get("tau"))),
        patience=max(0, int(number(run.settings.get("patience")))),
        entropy=np.array([max(0.0, step.entropy) for step in steps]),
        below=np.array([step.below for step in steps], np.int64),
        soft=np.array([step.mode is Mode.SOFT for step in steps], np.bool_),
        weights=np.clip(weights, -_MOST, _MOST),
        tokens=tuple(
            tuple(replace(entry, piece=_piece(entry.piece)) for entry in step.concept)
            for step in steps
        ),
        why=tuple(_words(", ".join(filter(None, (step.why, changed(step))))) for step in steps),
        seen=tuple(
            Seen(
                step=lens.index,
                entropy=max(0.0, lens.entropy),
                answer=would_answer(lens, UNICODE, cells=_ANSWER).translate(_NO_XML),
            )
            for lens in run.lenses
            if lens.index < len(steps)
        ),
        reason=REASONS[run.halted.reason] if run.halted else "",
        answer=printable(run.answer.strip()).translate(_NO_XML),
    )


def labels_of(traces: Sequence[Path], counts: Sequence[int]) -> list[str]:
    """A label for each run of these traces, each of which holds so many: as short as can be."""
    stems = [trace.stem for trace in traces]
    names = stems if len(set(stems)) == len(stems) else [str(trace) for trace in traces]
    return [
        name if count == 1 else f"{name} · run {turn}"
        for name, count in zip(names, counts, strict=True)
        for turn in range(1, count + 1)
    ]


def _words(text: str) -> str:
    return one_line(text).translate(_NO_XML)


def _piece(piece: str) -> str:
    return visible(piece).translate(_NO_XML)
