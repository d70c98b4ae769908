"""Plots as one HTML file that needs nothing else: the browser draws. Knows `RunPlot`.

Nothing of what a trace says becomes markup or code: it travels as JSON that no `<` can leave, and
the page puts it into text nodes. The page's own policy forbids it any request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from softchat.plots.data import RunPlot


def make_page(plots: Sequence[RunPlot]) -> str:
    """The page that shows these runs."""
    template = files("softchat.plots").joinpath("page.html").read_text(encoding="utf-8")
    data = json.dumps([_plain(plot) for plot in plots], ensure_ascii=False, allow_nan=False)
    inert = data.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    before, after = template.split("/*RUNS*/")
    return before + inert + after


def _plain(plot: RunPlot) -> dict[str, Any]:
    return {
        "label": plot.label,
        "question": plot.question,
        "caption": plot.caption,
        "tau": plot.tau,
        "patience": plot.patience,
        "entropy": [round(entropy, 6) for entropy in plot.entropy.tolist()],
        "below": plot.below.tolist(),
        "soft": plot.soft.tolist(),
        "why": plot.why,
        "tokens": [
            [[entry.piece, round(entry.weight, 6), entry.id] for entry in step]
            for step in plot.tokens
        ],
        "ranks": len(plot.weights),
        "reach": plot.reach,
        "seen": [[one.step, round(one.entropy, 6), one.answer] for one in plot.seen],
        "reason": plot.reason,
        "answer": plot.answer,
        "start": plot.start,
    }
