"""Plots by matplotlib: by what is in them, and that nothing in a trace breaks them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from softchat.events import Lens, Mode
from softchat.plots.data import run_plot
from softchat.plots.figure import _ticks, draw, glances, labels, to_bytes, turns
from softchat.record.runs import Run
from tests.recordings import HOSTILE, run_of, started, step

STRANGE = ("漢字", "👩‍👩‍👧‍👦", "$x^{2$", "_under", "\\frac{1}", "e\u0301", "&<>\"'", "", HOSTILE)


def plot_of(*steps, label="run", **more):
    return run_plot(Run.of(run_of(*steps, **more)), label)


PLOT = plot_of(
    step(0, entropy=1.5, _ADD=0.5, _SUB=0.25, _MUL=0.25),
    step(1, entropy=0.25, below=1, mode=Mode.HARD, _ADD=1.0),
)


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_a_run_in_detail():
    """Entropy as it was, τ where it is, the reason in words, a word for each mode."""
    figure = draw([PLOT])
    entropy, cold, weights = figure.axes
    line, tau = entropy.get_lines()[:2]
    assert line.get_xydata().tolist() == [[0.0, 1.5], [1.0, 0.25]]
    assert set(tau.get_ydata()) == {0.5}
    assert entropy.get_ylim()[0] == 0
    assert cold.patches[0].get_data().values.tolist() == [0, 1]
    assert weights.get_ylim() == (0, 1)
    areas = [area.get_data() for area in weights.patches]
    tops = np.max([area.values for area in areas], axis=0)
    assert tops.tolist() == [1.0, 1.0]
    said = texts_of(figure)
    for words in ("τ 0.5", "patience 3", "cold stop ○", "soft", "hard", "·ADD", "·MUL"):
        assert words in said


def test_a_long_caption_stays_inside():
    """In two lines at the most, whatever the settings are."""
    plot = plot_of(step(0), begin=started("name " * 90, tau=0.0))
    said = texts_of(draw([plot]))
    caption = next(text for text in said if text.startswith("name"))
    assert caption.count("\n") == 1
    assert caption.endswith("…")
    assert "no cold stop" in said


def test_the_strategys_reasons():
    """Each stands at the step where it is not that of the step before, if there is room."""
    reasons = ["", "to hard", "to hard", "", "to soft", "to hard", "w" * 99]
    plot = plot_of(*(step(place, why=why) for place, why in enumerate(reasons)))
    said = list(turns(plot, step=10))
    assert said[:-1] == [(1, "to hard"), (4, "to soft"), (5, "to hard")]
    assert said[-1] == (6, "w" * 31 + "…")
    assert [place for place, _ in turns(plot, step=4)] == [1, 4, 6]
    figure = draw([plot])
    strip = figure.axes[2]
    assert [(text.get_position()[0], text.get_text()) for text in strip.texts] == said
    assert len(draw([PLOT]).axes) == 3  # no strip without any


def test_the_answers_ahead_have_a_track():
    """A mark at each entropy; a strip with each answer that is not the one before."""
    seen = [
        Lens(index=place, text=text, entropy=entropy, whole=True, elapsed_s=0.1)
        for place, text, entropy in (
            (0, "3", 2.5),
            (1, "4", 0.5),
            (3, "4", 0.25),
            (4, "w" * 99, 9.0),
        )
    ]
    steps = [step(place) for place in range(5)]
    plot = plot_of(*steps[:2], *seen[:2], *steps[2:4], seen[2], steps[4], seen[3])
    said = [(0, "3"), (1, "4"), (4, "w" * 31 + "…")]
    assert list(glances(plot, step=10)) == said
    assert [place for place, _ in glances(plot, step=2)] == [0, 4]
    figure = draw([plot])
    assert [(text.get_position()[0], text.get_text()) for text in figure.axes[2].texts] == said
    marks = figure.axes[0].get_lines()[1]
    assert marks.get_xydata().tolist() == [[0, 2.5], [1, 0.5], [3, 0.25], [4, 9.0]]
    assert figure.axes[0].get_ylim()[1] > 9
    assert "◇ of the answer ahead" in texts_of(figure)
    assert "svg" in to_bytes(figure, "svg").decode()


def test_a_long_run_is_a_small_file():
    """Steps too narrow for words are an image in an SVG: 3,000 of 20 tokens were 6 MB of paths."""
    weights = {f"t{place}": 0.05 for place in range(20)}
    plot = plot_of(*(step(index, entropy=index % 7, **weights) for index in range(3000)))
    content = to_bytes(draw([plot]), "svg")
    assert len(content) < 1_000_000
    assert b"data:image/png;base64" in content
    assert b"<image" not in to_bytes(draw([PLOT]), "svg")


def test_several_runs_are_one_over_the_other():
    """A line each, in a legend with its label, whatever the label is."""
    other = plot_of(step(0, entropy=0.75), label="_other $x^{2$", begin=started(tau=0.0))
    figure = draw([PLOT, other])
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.get_lines()[:2]] == [[1.5, 0.25], [0.75]]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["run · cold stop", "_other $x^{2$ · cold stop"]
    assert to_bytes(figure, "svg")


def test_pieces_are_written_where_there_is_room():
    """Lying in a wide step, upright in a narrow one, nowhere in one that is too narrow."""
    wide = list(labels(PLOT, step=60, height=200))
    assert [(label.text, label.x, label.upright) for label in wide] == [
        ("·ADD", 0, False), ("·SUB", 0, False), ("·MUL", 0, False), ("·ADD", 1, False),
    ]  # fmt: skip
    assert [label.y for label in wide] == [0.25, 0.625, 0.875, 0.5]
    narrow = list(labels(PLOT, step=9, height=200))
    assert [label.text for label in narrow] == ["·ADD", "·SUB", "·MUL", "·ADD"]
    assert all(label.upright and label.size <= 9 / 1.2 for label in narrow)
    assert list(labels(PLOT, step=3, height=200)) == []
    flat = plot_of(step(0, a=0.999, invisible=0.001))
    assert [label.text for label in labels(flat, step=60, height=200)] == ["a"]


@pytest.mark.parametrize("form", ["svg", "png"])
def test_no_text_and_no_number_breaks_it(form):
    """Scripts without a font here, markup, formulas, absurd numbers: no error and no warning."""
    wild = [
        step(0, entropy=2.0**62, below=2**62, **dict.fromkeys(STRANGE, 0.1)),
        step(1, entropy=0.0, mode=Mode.HARD, why=HOSTILE, **{HOSTILE: 2.0**62}),
        *(step(2 + place, why=text) for place, text in enumerate(STRANGE)),
    ]
    plot = plot_of(*wild, label=HOSTILE, begin=started(HOSTILE, patience=2**62, tau=1e300))
    for plots in ([plot], [plot, PLOT], [plot_of(step(0))], [plot_of(), plot_of()]):
        content = to_bytes(draw(plots), form)
        if form == "png":
            assert content.startswith(b"\x89PNG")
            continue
        root = ET.fromstring(content)
        assert root.tag.endswith("svg")
        assert not root.findall(".//{*}script")
        assert not any(value.startswith("http") for e in root.iter() for value in e.attrib.values())


def test_an_svg_can_be_searched_and_made_again():
    """Its text is text, and the same run gives the same file."""
    first, second = (to_bytes(draw([PLOT]), "svg") for _ in range(2))
    assert first == second
    assert "·ADD" in first.decode()


@pytest.mark.parametrize("top", [0.1, 0.7, 3.3, 12.0, 2.0**62])
def test_ticks_are_round_and_apart(top):
    """From 0 up, neither one nor twenty."""
    ticks = _ticks(top)
    assert ticks[0] == 0
    assert 3 <= len(ticks) <= 8
    assert ticks[-1] <= top
