"""What is plotted, as numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from softchat.events import HaltReason, Lens, Mode, Parting
from softchat.plots.data import Seen, labels_of, run_plot, run_plots
from softchat.record.runs import Run
from tests.recordings import HOSTILE, run_of, started, step

STEPS = [
    step(0, entropy=1.5, _ADD=0.55, _SUB=0.35, _MUL=0.10),
    step(1, entropy=0.25, below=1, mode=Mode.HARD, _ADD=1.0),
    step(2, entropy=0.125, below=2, _ADD=0.75, _SUB=0.25),
]


def plotted(*steps, **more):
    return run_plot(Run.of(run_of(*steps, **more)), "run")


def test_a_run_as_arrays():
    """A column a step; the row is the place among its tokens, 0 where there is none."""
    plot = plotted(*STEPS, reason=HaltReason.CLOSED, begin=started("tiny", topn=3))
    assert plot.entropy.tolist() == [1.5, 0.25, 0.125]
    assert plot.below.tolist() == [0, 1, 2]
    assert plot.soft.tolist() == [True, False, True]
    assert plot.weights.tolist() == [[0.55, 1.0, 0.75], [0.35, 0.0, 0.25], [0.10, 0.0, 0.0]]
    assert [[entry.piece for entry in step] for step in plot.tokens] == [
        ["·ADD", "·SUB", "·MUL"], ["·ADD"], ["·ADD", "·SUB"],
    ]  # fmt: skip
    assert (plot.tau, plot.patience, plot.reason) == (0.5, 3, "closed by the model")
    assert (plot.label, plot.answer) == ("run", "four legs")
    assert plot.caption == "tiny · strategy soft · tau 0.5 · patience 3 · topn 3 · temperature 0.6"


def test_what_it_would_have_answered():
    """By step; what lies outside of the run, as a stranger may have written, is left out."""

    def lens(index, text, entropy=0.5, *, whole=True):
        return Lens(index=index, text=text, entropy=entropy, whole=whole, elapsed_s=0.1)

    seen = [lens(0, "four\nlegs"), lens(1, HOSTILE, -3.0, whole=False), lens(9, "beyond")]
    plot = plotted(step(0), seen[0], step(1), *seen[1:])
    assert plot.seen[0] == Seen(step=0, entropy=0.5, answer="four legs")
    assert (plot.seen[1].step, plot.seen[1].entropy, len(plot.seen)) == (1, 0.0, 2)
    assert plot.seen[1].answer.endswith("…")
    assert "\x1b" not in plot.seen[1].answer
    assert plotted(*STEPS).seen == ()


def test_of_many_tokens_the_heaviest_are_drawn():
    """All of them stay to be looked at."""
    many = {f"t{place}": 0.02 for place in range(50)}
    plot = run_plot(Run.of(run_of(step(0, **many))), "run", ranks=20)
    assert plot.weights.shape == (20, 1)
    assert len(plot.tokens[0]) == 50


def test_a_run_that_was_cut_off_has_no_reason():
    """And one without steps, or without anything, is empty arrays."""
    cut = run_plot(Run.of(run_of(*STEPS)[:-5]), "run")
    assert (len(cut.entropy), cut.reason, cut.answer) == (2, "", "")
    empty = run_plot(Run.of([]), "run")
    assert (empty.entropy.shape, empty.weights.shape) == ((0,), (0, 0))


def test_what_a_stranger_wrote_can_be_drawn():
    """Numbers inside what can be drawn, text that neither a terminal nor XML trips over."""
    weights = {HOSTILE: 2.0**62, "\uffff": -1.0}
    wild = step(0, entropy=-(2.0**62), below=2**62, why=HOSTILE + "\uffff", **weights)
    begin = replace(started(HOSTILE), settings={"tau": -1.0, "patience": 10**400, "x": HOSTILE})
    plot = plotted(wild, begin=begin, answer=(HOSTILE + "\ufffe",))
    assert plot.entropy.tolist() == [0.0]
    assert plot.weights.tolist() == [[4.0], [-1.0]]
    assert (plot.tau, plot.patience) == (0.0, 0)
    texts = [
        plot.caption,
        *plot.why,
        plot.answer.replace("\n", ""),
        *(e.piece for e in plot.tokens[0]),
    ]
    assert all(text.isprintable() for text in texts), texts
    assert np.isfinite(plot.entropy).all()


def test_labels_tell_runs_apart():
    """A trace with several runs numbers them; traces of one name are told by their folders."""
    a, b, other = Path("x/a.jsonl"), Path("x/b.jsonl"), Path("y/a.jsonl")
    assert labels_of([a, b], [1, 2]) == ["a", "b · run 1", "b · run 2"]
    assert labels_of([a, other], [1, 1]) == [str(a), str(other)]


def test_weights_below_nothing_hang_from_it():
    """What a mixture is pushed away from is stacked downwards, and the axis goes as far."""
    plot = plotted(step(0, a=-0.25, b=0.75, c=0.5), step(1, a=0.6, b=0.4))
    assert plot.bases.T.tolist() == [[0.0, 0.0, 0.75], [0.0, 0.6, 1.0]]
    assert plot.reach == (-0.25, 1.25)
    assert plotted(step(0, a=0.6, b=0.4)).reach == (0.0, 1.0)


def test_a_fork_is_a_branch_of_the_run_that_it_is_of():
    """From where their entropies part; without that run it is drawn whole; both are named."""
    whole = Run.of(run_of(*STEPS))
    fork = Parting(step=1, taken="SUB" + HOSTILE, settings={})
    other = step(2, entropy=0.75, _MUL=1.0)
    branch = Run.of(run_of(*STEPS[:2], other, begin=replace(started(), fork=fork)))
    plots = run_plots([whole, branch], ["a", "b"])
    assert [plot.start for plot in plots] == [0, 2]
    assert plots[0].label == "a"
    assert plots[1].label.startswith("b · fork at step 1: SUB")
    assert "\x1b" not in plots[1].label
    assert run_plots([branch], ["b"])[0].start == 0
    apart = Run.of(run_of(step(0, entropy=9.0), *STEPS[1:]))
    assert run_plots([apart, branch], ["a", "b"])[1].start == 0
