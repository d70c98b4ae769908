"""Plots as SVG and PNG, by matplotlib. Knows `RunPlot` and nothing of events or files."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from rich.cells import cell_len, set_cell_size

from softchat.plots.data import RunPlot

MARK = "softchat plot"
"""What a file says of itself, by which it is known."""
_SOFT, _HARD, _COLD, _INK = "#a626a4", "#d19a00", "#0e7490", "#444444"
_POINT = 1 / 72  # inches
_WIDEST, _NARROWEST, _STEP = 30.0, 9.0, 0.13  # inches of the figure, and of a step in it
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.75, 0.35, 0.55, 0.55  # inches around the axes
_HEIGHTS = (1.9, 0.6, 3.2)  # inches: entropy, cold steps, weights
_GAP = 0.18  # inches between them
_WHY_FONT, _WHY_LONGEST = 6.0, 32  # points and cells of a strategy's reason
_LONGEST = 24  # cells of a piece
_LARGEST_FONT, _SMALLEST_FONT = 8.0, 4.0  # points
_NARROW = 1.2 * _SMALLEST_FONT  # points; a step has no room for a piece
_CELL = 0.66  # of its font size, the width of a cell
# Pieces can be of any script: what is installed of these is tried where the first has no glyph.
_FAMILIES = (
    "DejaVu Sans",
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple Color Emoji"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Segoe UI Emoji", "Segoe UI Symbol"),
    *("Noto Sans Arabic", "Noto Sans Devanagari", "Noto Emoji", "Symbola"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A piece that there is room for."""

    text: str
    x: float
    """The step."""
    y: float
    """The middle of its weight."""
    size: float
    """Points."""
    upright: bool


def draw(plots: Sequence[RunPlot]) -> Figure:
    """One run in all detail, or the entropies of several."""
    with mpl.rc_context(_style()):
        return _detail(plots[0]) if len(plots) == 1 else _overlay(plots)


def to_bytes(figure: Figure, form: Literal["svg", "png"]) -> bytes:
    """The figure as a file's content, the same for the same figure."""
    buffer = io.BytesIO()
    # Who has made it is said, as by that a file is known that may be written over.
    said = {"svg": {"Creator": MARK}, "png": {"Software": MARK}}[form]
    unsaid = ("Date", "Format", "Type") if form == "svg" else ()
    with mpl.rc_context(_style()), warnings.catch_warnings():
        # A sign that no font here has becomes a box; in an SVG the reader's own fonts have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # Tight: a wide font, or a long reason, must not be cut off at the edge.
        edges: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.1}
        figure.savefig(buffer, format=form, metadata=said | dict.fromkeys(unsaid), dpi=110, **edges)
    return buffer.getvalue()


def labels(plot: RunPlot, *, step: float, height: float) -> Iterator[Label]:
    """The pieces that can be read where their weight is drawn.

    Args:
        plot: the run.
        step: points that a step is wide.
        height: points that a weight of 1 is high.

    """
    bases = plot.bases
    for place, tokens in enumerate(plot.tokens):
        for rank, entry in enumerate(tokens[: len(plot.weights)]):
            weight, room = plot.weights[rank, place], abs(plot.weights[rank, place]) * height
            text = _shortened(entry.piece, _LONGEST)
            for upright in (False, True):
                along, across = (room, step) if upright else (step, room)
                size = min(_LARGEST_FONT, across / 1.2, along / (_CELL * (cell_len(text) + 0.5)))
                if size >= (_SMALLEST_FONT if upright else _LARGEST_FONT):
                    y = bases[rank, place] + weight / 2
                    yield Label(text=text, x=place, y=y, size=size, upright=upright)
                    break


def turns(plot: RunPlot, *, step: float) -> Iterator[tuple[int, str]]:
    """Steps at which the strategy had another reason than before, and which, if there is room.

    Args:
        plot: the run.
        step: points that a step is wide.

    """
    free = 0.0
    for place, (before, why) in enumerate(pairwise(("", *plot.why))):
        if why and why != before and place * step >= free:
            free = place * step + 1.2 * _WHY_FONT
            yield place, _shortened(why, _WHY_LONGEST)


def glances(plot: RunPlot, *, step: float) -> Iterator[tuple[int, str]]:
    """Steps at which a look ahead saw another answer than the one before, and which, if room is.

    Args:
        plot: the run.
        step: points that a step is wide.

    """
    free, before = 0.0, ""
    for seen in plot.seen:
        if seen.answer != before and seen.step * step >= free:
            free = seen.step * step + 1.2 * _WHY_FONT
            before = seen.answer
            yield seen.step, _shortened(seen.answer, _WHY_LONGEST)


def _shortened(text: str, longest: int) -> str:
    return text if cell_len(text) <= longest else set_cell_size(text, longest - 1) + "…"


def _detail(plot: RunPlot) -> Figure:
    count = len(plot.entropy)
    width = min(_WIDEST, max(_NARROWEST, _STEP * count + _LEFT + _RIGHT))
    step = (width - _LEFT - _RIGHT) / _POINT / max(1, count)
    strips = {
        "would answer": list(glances(plot, step=step)),
        "why": list(turns(plot, step=step)),
    }
    strips = {name: said for name, said in strips.items() if said}
    figure, axes = _figure(width, (*_HEIGHTS[:2], *map(_strip, strips.values()), _HEIGHTS[2]))
    entropy, cold, weights = axes[0], axes[1], axes[-1]
    _draw_entropy(entropy, [plot], [_SOFT], step=step)
    room = int((width - _LEFT - _RIGHT) / _POINT / (8 * _CELL))
    lines = [textwrap.shorten(plot.question, room, placeholder=" …")] if plot.question else []
    lines += textwrap.wrap(plot.caption, room, max_lines=2 - len(lines), placeholder=" …")
    caption = "\n".join(lines)
    _put(entropy, caption, x=0, y=1, dy=14, va="bottom", size=8, color=_INK)

    cold.stairs(plot.below, _edges(count), fill=True, color=_COLD, alpha=0.5)
    cold.set_ylim(0, 1.15 * max(1, plot.below.max(initial=0)))
    if plot.tau and plot.patience <= 2 * cold.get_ylim()[1]:
        cold.set_ylim(0, 1.15 * max(plot.patience, *plot.below))
        cold.axhline(plot.patience, color=_COLD, lw=0.8, ls="--")
    rule = f"patience {plot.patience}" if plot.tau else "no cold stop"
    _put(cold, rule, x=1, y=1, dy=1, ha="right", va="bottom", size=7)
    cold.set_ylabel("cold steps")
    cold.yaxis.set_major_locator(MaxNLocator(3, integer=True))

    for strip, (name, said) in zip(axes[2:-1], strips.items(), strict=True):
        _draw_words(strip, name, said)
    _draw_weights(weights, plot, step=step)
    for label in labels(plot, step=step, height=_HEIGHTS[2] / _POINT):
        _put_label(weights, label)
    for one in axes:
        one.set_xlim(-0.5, max(0, count - 1) + 0.5)
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        one.tick_params(labelbottom=one is weights)
    weights.set_xlabel("step")
    return figure


def _overlay(plots: Sequence[RunPlot]) -> Figure:
    longest = max(len(plot.entropy) for plot in plots)
    width = min(_WIDEST, max(_NARROWEST, _STEP / 2 * longest + _LEFT + _RIGHT))
    figure, (axes,) = _figure(width, (2 * _HEIGHTS[0],))
    wheel = mpl.colormaps["tab10" if len(plots) <= 10 else "tab20"]
    step = (width - _LEFT - _RIGHT) / _POINT / max(1, longest)
    colors = [wheel(place % wheel.N) for place in range(len(plots))]
    _draw_entropy(axes, plots, colors, step=step)
    # Set afterwards: matplotlib leaves out a label that begins with _, and typesets one with $.
    legend = axes.legend(axes.get_lines()[: len(plots)], ["run"] * len(plots), fontsize=8)
    for text, plot in zip(legend.get_texts(), plots, strict=True):
        text.set_parse_math(False)
        text.set_text(f"{plot.label} · {plot.reason}" if plot.reason else plot.label)
    axes.set_xlim(-0.5, max(0, longest - 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step")
    return figure


def _draw_entropy(
    axes: Axes, plots: Sequence[RunPlot], colors: Sequence[object], *, step: float
) -> None:
    """Entropies by step, which is `step` points wide; τ; where and why the thinking ended."""
    dots: dict[str, Any] = {"marker": ".", "ms": 3} if step >= _NARROW / 2 else {}
    for plot, color in zip(plots, colors, strict=True):
        # A branch leaves the curve that it is of at the last step that they share.
        shown = np.arange(max(0, plot.start - 1), len(plot.entropy))
        axes.plot(shown, plot.entropy[shown], color=color, lw=min(1.2, max(0.5, step)), **dots)
    highest = max(plot.entropy.max(initial=0.1) for plot in plots)
    if len(plots) == 1 and plots[0].seen:
        seen = plots[0].seen
        highest = max(highest, *(one.entropy for one in seen))
        places, entropies = [one.step for one in seen], [one.entropy for one in seen]
        axes.plot(places, entropies, "D", color=_COLD, ms=4, mfc="none", mew=0.9)
        _put(axes, "◇ of the answer ahead", x=0, y=1, dx=4, va="top", size=7, color=_COLD)
    top = 1.15 * max(highest, *(2 * plot.tau for plot in plots))
    for tau in sorted({plot.tau for plot in plots if plot.tau > 0}):
        axes.axhline(tau, color=_COLD, lw=0.9, ls="--")
        _put(axes, f"τ {tau:g}", x=1, y=tau, data_y=True, dx=3, va="center", size=7, color=_COLD)
    for plot, color in zip(plots, colors, strict=True):
        if plot.reason and len(plot.entropy):
            last = len(plot.entropy) - 1
            axes.plot([last], [plot.entropy[-1]], "o", color=color, ms=6, mfc="none")
            axes.axvline(last, color=color, lw=0.8, ls=":")
    if len(plots) == 1 and plots[0].reason:
        _put(axes, f"{plots[0].reason} ○", x=1, y=1, dy=3, ha="right", va="bottom", size=8)
    # Small entropies are what τ is about: a linear scale would press them all onto the axis.
    axes.set_yscale("function", functions=(lambda h: np.sqrt(np.maximum(h, 0)), np.square))
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(top)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel("entropy (nats)")


def _strip(said: Sequence[tuple[int, str]]) -> float:
    """Inches of a strip in which words stand upright: as high as the longest."""
    cells = max(cell_len(words) for _, words in said)
    # No lower than its own name beside it.
    return max((cells + 4) * 0.5 * _WHY_FONT, 48) * _POINT


def _draw_words(axes: Axes, name: str, said: Sequence[tuple[int, str]]) -> None:
    for place, why in said:
        axes.text(
            place, 0, why, fontsize=_WHY_FONT, rotation=90, color=_INK, ha="center", va="bottom",
            parse_math=False, clip_on=True,
        )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_ylabel(name)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(bottom=False)


def _draw_weights(axes: Axes, plot: RunPlot, *, step: float) -> None:
    # What has no room for words is an image in an SVG, too: its paths would take megabytes.
    narrow = step < _NARROW
    ranks, count = plot.weights.shape
    bases = plot.bases
    upper = bases + plot.weights
    for rank in range(ranks):
        base = bases[rank]
        shade = 0.55 / (1 + rank) + 0.12
        for mode, color in ((plot.soft, _SOFT), (~plot.soft, _HARD)):
            if mode.any():
                heights = np.where(mode, upper[rank], base)
                axes.stairs(
                    heights, _edges(count), baseline=base, fill=True, fc=color, alpha=shade,
                    ec="white", lw=0 if narrow else 0.6, rasterized=narrow,
                )  # fmt: skip
    axes.set_ylim(*plot.reach)
    axes.set_ylabel("weights, likeliest token lowest")
    modes = [("soft", _SOFT, plot.soft.any()), ("hard", _HARD, (~plot.soft).any())]
    axes.legend(
        handles=[Patch(color=color, alpha=0.67, label=name) for name, color, seen in modes if seen],
        loc="lower right", bbox_to_anchor=(1, 0.995), ncols=2, frameon=False, fontsize=7,
        borderpad=0,
    )  # fmt: skip


def _figure(width: float, heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure with axes of these sizes (inches), one under the other."""
    height = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _BOTTOM
    figure = Figure(figsize=(width, height))
    axes, top = [], height - _TOP
    for own in heights:
        across = (width - _LEFT - _RIGHT) / width
        box = (_LEFT / width, (top - own) / height, across, own / height)
        axes.append(figure.add_axes(box))
        top -= own + _GAP
    return figure, axes


def _put(
    axes: Axes,
    text: str,
    *,
    x: float,
    y: float,
    dx: float = 0,
    dy: float = 0,
    data_y: bool = False,
    **style: Any,  # noqa: ANN401  # matplotlib's
) -> None:
    """Text at a place of the axes (0 to 1; `data_y`: y in the axes' units), moved by points."""
    where = ("axes fraction", "data" if data_y else "axes fraction")
    axes.annotate(
        text, (x, y), xycoords=where, xytext=(dx, dy), textcoords="offset points",
        annotation_clip=False, parse_math=False, **style,
    )  # fmt: skip


def _put_label(axes: Axes, label: Label) -> None:
    axes.text(
        label.x, label.y, label.text, fontsize=label.size, rotation=90 if label.upright else 0,
        ha="center", va="center", parse_math=False, clip_on=True,
    )  # fmt: skip


def _edges(count: int) -> npt.NDArray[np.float64]:
    return np.arange(count + 1, dtype=np.float64) - 0.5


def _ticks(top: float) -> list[float]:
    """Round entropies up to `top`, not too near to each other on a square-root scale."""
    chosen = [0.0]
    for power in range(-3, math.ceil(math.log10(top)) + 1):
        for digit in (1, 2, 5):
            tick = digit * 10.0**power
            if tick <= top and math.sqrt(tick) - math.sqrt(chosen[-1]) >= 0.13 * math.sqrt(top):
                chosen.append(tick)
    return chosen


@cache
def _families() -> list[str]:
    here = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _FAMILIES if name in here]


def _style() -> Any:  # noqa: ANN401  # matplotlib's type of it lists all that there are
    return {
        "font.family": _families(),
        "svg.fonttype": "none",  # text stays text: it can be searched, and copied
        "svg.hashsalt": "softchat",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
    }
