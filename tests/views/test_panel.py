"""The panel, drawn from events made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from softchat.events import (
    Answer,
    ConceptEntry,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Lens,
    Mode,
    ModelInfo,
    Prefill,
    Started,
    Step,
)
from softchat.thinking.fork import take_alone
from softchat.views.panel import PanelState, PanelView, render_panel, render_summary
from softchat.views.plain import AnswerView, StepView
from softchat.views.steps import step_in_full, steps_table
from softchat.views.thoughts import MIXED, first_thoughts, last_thoughts, thought, thoughts
from softchat.views.wording import REASONS, glyphs_for

UNICODE, ASCII = glyphs_for("utf-8"), glyphs_for("ascii")
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e[link=x]y[/INST]\r\x08"


def started(name="model", **settings):
    model = ModelInfo(name=name, path="", architecture="llama", n_vocab=9, n_embd=2, n_ctx=64)
    base = {"strategy": "soft", "tau": 0.5, "patience": 8, "max_think": 99}
    return Started(model=model, settings=base | settings, prompt_tokens=12)


def step(index=0, entropy=1.0, pieces=(" ADD", " SUB", " MUL"), below=0, mode=Mode.SOFT, why=""):
    weights = [0.55, 0.35, 0.10, *[0.0] * 20][: len(pieces)]
    concept = tuple(
        ConceptEntry(id=i, piece=piece, weight=weight)
        for i, (piece, weight) in enumerate(zip(pieces, weights, strict=True))
    )
    return Step(
        index=index, entropy=entropy, concept=concept, below=below, mode=mode,
        elapsed_s=(index + 1) / 100, why=why,
    )  # fmt: skip


def state_of(*events):
    state = PanelState()
    for event in (started(), Prefill(tokens=12, cached=0, elapsed_s=0.1), *events):
        state.fold(event)
    return state


def printed(renderable):
    sink = StringIO()
    Console(file=sink, width=160).print(renderable)
    return sink.getvalue()


def lines_of(state, width=80, height=24, glyphs=UNICODE):
    return render_panel(state, width=width, height=height, glyphs=glyphs).plain.split("\n")


def test_a_row_shows_pieces_bars_and_entropy():
    """Heaviest first, each with a bar as long as its weight."""
    row = lines_of(state_of(step(index=7, entropy=0.431)))[2]
    assert row.startswith("│    7 0.431  ·ADD")
    assert row.index("·ADD") < row.index("·SUB") < row.index("·MUL")
    bars = [part.count("━") * 2 + part.count("╸") for part in row.split("·")[1:]]
    assert bars == [6, 4, 1]


def test_white_space_is_visible():
    """A line break is ⏎, a space ·, a tab ⇥, nothing ∅."""
    row = lines_of(state_of(step(pieces=("\n", " ", "\t", ""))), width=120)[2]
    assert [part for part in row.split() if part in "⏎·⇥∅"] == ["⏎", "·", "⇥", "∅"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_no_line_is_too_wide(width, glyphs):
    """Wide characters and long pieces are cut by cells, and the last column stays free."""
    pieces = ("漢字漢字漢字", "👩‍👩‍👧‍👦", "e\u0301" * 9, "averyveryverylongpiece", *["x"] * 9)
    state = state_of(*(step(index=i, pieces=pieces) for i in range(30)))
    for line in lines_of(state, width=width, glyphs=glyphs):
        assert cell_len(line) < width


@pytest.mark.parametrize("height", [1, 2, 5, 10, 40])
def test_it_is_never_higher_than_the_screen(height):
    """On a low terminal there are fewer rows; the newest steps stay."""
    lines = lines_of(state_of(*(step(index=i) for i in range(50))), height=height)
    assert len(lines) <= max(1, height)
    if height >= 5:
        assert any(line.startswith("│   49") for line in lines)


def test_the_height_does_not_change_as_steps_come():
    """The panel does not grow while one looks at it."""
    heights = {len(lines_of(state_of(*(step(index=i) for i in range(n))))) for n in range(1, 30)}
    assert len(heights) == 1


def test_the_sparkline_tells_what_is_under_tau():
    """Steps under τ are at the lowest level, steps above never are: without colour too."""
    line = lines_of(state_of(*(step(index=i, entropy=h) for i, h in enumerate([0.1, 0.6, 4.0]))))[1]
    assert "τ 0.5" in line
    spark = line.split()[-1]
    assert spark[0] == "▁"
    assert spark[1] > "▁"
    assert spark[2] == "█"


def test_the_counter_is_k_of_patience():
    """Three cold steps of eight are three dots of eight."""
    footer = lines_of(state_of(step(below=3)))[-1]
    assert "cold ●●●○○○○○ 3/8" in footer


def test_what_is_not_shown_is_counted():
    """Where ten tokens don't fit, the row says how many there are besides."""
    row = lines_of(state_of(step(pieces=tuple("abcdefghij"))), width=60)[2]
    assert row.endswith("+8") or row.endswith("+7")


def test_the_prompt_is_being_read():
    """Before the first step there is a word on what is going on."""
    state = PanelState()
    state.fold(started())
    assert lines_of(state) == ["reading the prompt (12 tokens)…"]


@pytest.mark.parametrize(("glyphs", "soft", "hard"), [(UNICODE, "≈", "•"), (ASCII, "~", "*")])
def test_a_strategy_with_a_choice_shows_which_and_why(glyphs, soft, hard):
    """Each row has a sign for soft or hard, and ends in the reason; the title has the last mode."""
    state = PanelState()
    for event in (
        started(strategy="adaptive"), Prefill(tokens=12, cached=0, elapsed_s=0.1),
        step(why="one leads"), step(index=1, mode=Mode.HARD, pieces=(" ADD",), why="fork"),
    ):  # fmt: skip
        state.fold(event)
    for width in (60, 80, 120):
        title, _, first, second, *_ = lines_of(state, width=width, glyphs=glyphs)
        assert first[2:].startswith(f"   0 {soft} 1.000")
        assert second[2:].startswith(f"   1 {hard} 1.000")
        assert first.rstrip().endswith("one leads")
        assert second.rstrip().endswith("fork")
        assert "hard (adaptive)" in title
    halted = Halted(reason=HaltReason.LOOP, steps=2, injected="")
    summary = render_summary(state, halted, width=80, glyphs=glyphs).plain
    assert summary.startswith("thought 2 steps (1 soft) in")


def test_a_strategy_without_a_choice_has_no_such_sign():
    """Under `soft` and `hard` every row would say the same."""
    assert "≈" not in lines_of(state_of(step()))[2]


def test_plain_lines_and_tables_say_why():
    """The same in words, where there is no panel."""
    lines, one = StringIO(), step(mode=Mode.HARD, pieces=("a",), why="fork " + HOSTILE)
    StepView(lines, AnswerView(StringIO())).show(one)
    assert "hard (fork" in lines.getvalue()
    sink = StringIO()
    console = Console(file=sink, width=200)
    console.print(steps_table([one], UNICODE), step_in_full(one, tau=0.1, glyphs=UNICODE))
    assert sink.getvalue().count("fork") == 2
    assert "hard, fork" in sink.getvalue()
    for text in (lines.getvalue(), sink.getvalue()):
        assert not {"\x1b", "\x9b", "\u202e", "\x07", "\x08"} & set(text)


@pytest.mark.parametrize("reason", list(HaltReason))
def test_the_summary_names_the_reason(reason):
    """One line for every reason, that fits into 80 columns; a narrow one has the reason first."""
    state = state_of(step(index=36, entropy=0.02), step(index=37, entropy=3.1))
    halted = Halted(reason=reason, steps=38, injected="")
    text = render_summary(state, halted, width=80, glyphs=UNICODE).plain
    assert text.startswith("thought 38 soft steps in 0.4 s (100/s)")
    assert REASONS[reason] in text
    assert text.endswith("H 0.02 to 3.1")
    for width in range(1, 80):
        narrow = render_summary(state, halted, width=width, glyphs=UNICODE).plain
        assert cell_len(narrow) <= max(1, width - 1)
        assert "H" not in narrow or narrow.endswith("H 0.02 to 3.1")
        assert width < 48 or REASONS[reason] in narrow
        assert " in 0" not in narrow or REASONS[reason] in narrow


def test_one_step_has_no_pace():
    """Its logits came with the prompt: it takes no time that a second one would take too."""
    state = state_of(step())
    halted = Halted(reason=HaltReason.CLOSED, steps=1, injected="")
    assert "/s" not in render_summary(state, halted, width=80, glyphs=UNICODE).plain
    assert "/s" not in "".join(lines_of(state))
    assert "/s" in "".join(lines_of(state_of(step(), step(1))))


def test_what_a_look_ahead_has_cost_is_told():
    """In the panel's last line, and among plain lines; nothing of it where none looked."""
    halted = Halted(
        reason=HaltReason.SURE, steps=1, injected="", probes=2, probe_tokens=11, probe_s=0.5
    )
    state = state_of(step(index=0, entropy=0.02))
    line = render_summary(state, halted, width=120, glyphs=UNICODE).plain
    assert "the answer is settled · looked ahead 2 times, 11 tokens, 0.5 s · H" in line
    assert "looked" not in render_summary(state, halted, width=60, glyphs=UNICODE).plain
    sink = StringIO()
    view = StepView(sink, AnswerView(StringIO()))
    view.show(halted)
    view.show(replace(halted, probes=0))
    first, second = sink.getvalue().splitlines()
    assert first.endswith("looked ahead 2 times, 11 tokens, 0.5 s")
    assert "looked" not in second


def lens(index=0, text="It is 42.", entropy=0.034, whole=True):
    return Lens(index=index, text=text, entropy=entropy, whole=whole, elapsed_s=(index + 1) / 50)


def test_the_panel_has_a_line_for_what_it_would_answer():
    """From the first on, so that nothing moves when it comes; its last look counts."""
    state = PanelState()
    for event in (started(lens=True), Prefill(tokens=12, cached=0, elapsed_s=0.1), step()):
        state.fold(event)
    before = lines_of(state)
    assert before[-2] == "│ would answer: …"
    state.fold(lens())
    state.fold(lens(index=3))
    after = lines_of(state)
    assert after[-2] == "│ would answer: It is 42. · H 0.034 · step 3"
    assert len(before) == len(after) == len(lines_of(state_of(step())))


@pytest.mark.parametrize("width", [60, 200])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_an_answer_ahead_fits_its_line(width, glyphs):
    """Cut, without anything that a terminal would obey; one that goes on ends in dots."""
    state = state_of(step(), lens(text=f"a{HOSTILE}\nb" + "long " * 80, whole=False))
    line = lines_of(state, width=width, glyphs=glyphs)[-2]
    assert cell_len(line) < width
    assert line.endswith(f"{glyphs.ellipsis}{glyphs.dot}H 0.034{glyphs.dot}step 0")
    assert not set("\x1b\x07\x9b\u202e") & set(line)
    line = lines_of(state_of(step(), lens(text="yes, ", whole=False)), glyphs=glyphs)[-2]
    assert f"would answer: yes,{glyphs.ellipsis}{glyphs.dot}H" in line
    assert "would answer: nothing" in lines_of(state_of(step(), lens(text="")), glyphs=glyphs)[-2]


def test_plain_lines_and_the_table_tell_of_it():
    """A line where it looked; a column, in the row of the step that it looked from."""
    sink = StringIO()
    StepView(sink, AnswerView(StringIO())).show(lens(index=7))
    assert sink.getvalue() == "lens    7  H 0.034  would answer: It is 42.\n"
    steps = [step(index=0), step(index=1)]
    table = printed(steps_table(steps, UNICODE, lenses=[lens(index=1, text="four" + HOSTILE)]))
    assert "would answer" in table.splitlines()[0]
    assert "soft  four␛]52" in table.splitlines()[2]
    assert "H 0.034" in table.splitlines()[2]
    assert "\x1b" not in table
    assert "would answer" not in printed(steps_table(steps, UNICODE))


def test_the_live_panel_shows_it_at_once():
    """Also without a further step."""
    shown, _ = run_view(
        started(lens=True), Prefill(tokens=1, cached=0, elapsed_s=0.1), step(), lens()
    )
    assert "It is 42." in shown


def run_view(*events, width=80):
    sink, answer = StringIO(), StringIO()
    console = Console(file=sink, force_terminal=True, width=width, height=24)
    ticks = iter(range(10_000))
    with PanelView(console, AnswerView(answer), clock=lambda: float(next(ticks))) as view:
        for event in events:
            view.show(event)
    return sink.getvalue(), answer.getvalue()


def test_hostile_text_is_inert():
    """No sequence of a model's or a file's reaches the terminal; markup stays text."""
    halted = Halted(reason=HaltReason.CLOSED, steps=1, injected="")
    drawn, answer = run_view(
        started(name=HOSTILE), Prefill(tokens=1, cached=0, elapsed_s=0.1),
        step(pieces=(HOSTILE, "[bold]", "\x1b[31m"), why=HOSTILE), halted, Answer(text=HOSTILE),
    )  # fmt: skip
    for forbidden in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\x07", "\x08"):
        assert forbidden not in drawn
        assert forbidden not in answer
    assert "\x1b" not in answer
    assert "[link=x]y[/INST]" in answer


def test_the_answer_goes_to_its_own_stream():
    """The answer alone, ended by one line break; the summary is not in it."""
    finished = Finished(
        finish_reason=FinishReason.STOP, answer="four", steps=1, answer_tokens=1,
        think_s=0.1, answer_s=0.1, total_s=0.2,
    )  # fmt: skip
    halted = Halted(reason=HaltReason.CLOSED, steps=1, injected="")
    drawn, answer = run_view(
        started(), step(), halted, Answer(text="fo"), Answer(text="ur\n"), finished
    )
    assert answer == "four\n"
    assert "four" not in drawn
    assert "closed by the model" in drawn


def test_the_cursor_comes_back_whatever_happens():
    """An exception in the middle leaves a terminal that can be used."""
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=80, height=24)
    view = PanelView(console, AnswerView(StringIO()))

    def broken():
        with view:
            view.show(started())
            view.show(step())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert sink.getvalue().count("\x1b[?25l") == sink.getvalue().count("\x1b[?25h") == 1


def test_it_is_not_drawn_at_every_step():
    """A hundred steps within a refresh are one drawing."""
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=80, height=24)
    now = [0.0]
    with PanelView(console, AnswerView(StringIO()), clock=lambda: now[0]) as view:
        view.show(started())
        view.show(Prefill(tokens=1, cached=0, elapsed_s=0.1))
        now[0] = 1.0
        for index in range(100):
            view.show(step(index=index))
    assert sink.getvalue().count("╭") == 1


def texts_of(*steps, line=True):
    return thoughts(steps, UNICODE, line=line).plain


def weighted(*pairs):
    entries = tuple(ConceptEntry(id=i, piece=p, weight=w) for i, (p, w) in enumerate(pairs))
    return replace(step(), concept=entries)


def test_thoughts_are_running_text_with_mixed_places_marked():
    """Where two tokens have weight, both are there, with a bar between; what has little is not."""
    sure = weighted((" The", 0.97), (" A", 0.03))
    mixed = weighted((" cake", 0.5), (" moon", 0.4), (" sea", 0.1))
    assert texts_of(sure, mixed, weighted(("\n", 1.0)), weighted(("End", 1.0))) == (
        "The cake|moon⏎ End"
    )
    assert texts_of(sure, weighted(("\n", 1.0)), weighted(("x", 1.0)), line=False) == "The\nx"
    frontier = weighted(*((f" s{n}", 0.125) for n in range(8)))
    assert texts_of(frontier) == "s0|s1|s2|s3|s4|s5|+2"


def test_a_mixed_place_is_marked_without_colours_too():
    """Its span is underlined, and the bar stands in the text itself."""
    text = thoughts([weighted((" a", 0.5), (" b", 0.5))], UNICODE)
    assert [span.style for span in text.spans] == [MIXED]
    assert text.plain == "a|b"


def test_thoughts_hold_nothing_that_a_terminal_obeys():
    """Pieces are a model's: no escape gets through."""
    assert "\x1b" not in texts_of(weighted(("\x1b]0;x\x07", 1.0)))


def test_the_panel_has_the_text_and_on_a_tall_screen_a_legend():
    """The line above the footer reads what was thought; H and the rest are explained."""
    state = state_of(weighted((" cake", 0.5), (" moon", 0.5)))
    assert "cake|moon" in lines_of(state)[-2]
    assert "H: how unsure" not in "\n".join(lines_of(state))
    assert "H: how unsure (nats)" in lines_of(state, height=40)[-2]


def test_pieces_get_the_width_there_is():
    """A long piece is cut at 80 columns with ten tokens, and whole at 200."""
    state = state_of(weighted((" reasoning", 0.55), *((f" t{n}", 0.05) for n in range(9))))
    assert "reasoning" not in lines_of(state, width=80)[2]
    assert "reasoning" in lines_of(state, width=200)[2]


def test_what_is_left_of_the_panel_can_be_read():
    """Below the summary stands the text of the thoughts, and how to see more of them."""
    events = [
        started(),
        weighted((" cake", 0.5), (" moon", 0.5)),
        Halted(reason=HaltReason.CLOSED, steps=1, injected=""),
    ]
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with PanelView(console, AnswerView(StringIO()), more="softchat show last") as view:
        for event in events:
            view.show(event)
    settled = out.getvalue()
    assert "softchat show last" in settled
    assert "cake|moon" in settled.rpartition("show last")[2]


@pytest.mark.parametrize(
    ("tag", "closing"), [((), None), (("</think>",), 1), (("</", "think", ">"), 3)]
)
def test_the_tag_is_no_thought(tag, closing):
    """What closed the thinking is left out of the text, and the line break before it."""
    pieces = ("4", "\n", "x", " ", "\n", *tag)
    steps = [replace(weighted((one, 1.0)), index=index) for index, one in enumerate(pieces)]
    halted = Halted(reason=HaltReason.CLOSED, steps=len(steps), injected="", closing=closing)
    assert texts_of(*thought(steps, halted), line=False) == "4\nx"
    assert texts_of(*thought(steps, None), line=False).startswith("4\nx")
    out = StringIO()
    with PanelView(Console(file=out, force_terminal=True), AnswerView(StringIO())) as view:
        for event in (started(), *steps, halted):
            view.show(event)
    assert "  4⏎ x\n" in re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


def test_words_stay_apart_wherever_the_text_is_cut():
    """The spaces between pieces are there in all of it, in its beginning, and in its end."""
    steps = [weighted((f" w{n}", 1.0)) for n in range(6)] + [weighted(("x", 0.5), ("y", 0.5))]
    assert thoughts(steps, UNICODE).plain == "w0 w1 w2 w3 w4 w5x|y"
    assert first_thoughts(steps, UNICODE, cells=99).plain == "w0 w1 w2 w3 w4 w5x|y"
    assert first_thoughts(steps, UNICODE, cells=9).plain == "w0 w1 w2…"
    assert last_thoughts(steps, UNICODE, cells=9).plain == " w4 w5x|y"
    assert last_thoughts(steps, UNICODE, cells=9).spans[-1].style == MIXED


def test_digits_of_two_steps_are_no_number_where_one_is_mixed():
    """Digits have no space before them; those of a number that was thought whole stay together."""
    steps = [
        weighted(("5", 1.0)),
        weighted(("3", 0.5), ("7", 0.5)),
        weighted(("4", 0.4), ("2", 0.3), ("6", 0.3)),
        weighted((" 1", 1.0)),
        weighted(("2", 1.0)),
    ]
    said = "5 3|7 4|2|6 12"
    assert thoughts(steps, UNICODE).plain == said
    assert first_thoughts(steps, UNICODE, cells=99).plain == said
    assert last_thoughts(steps, UNICODE, cells=99).plain == said


def test_a_word_is_there_once():
    """With a space in front and without, it is two tokens that read the same."""
    assert texts_of(weighted((" red", 0.5), ("red", 0.5))) == "red"
    assert texts_of(weighted((" red", 0.4), ("red", 0.3), (" blue", 0.3))) == "red|blue"
    assert not thoughts([weighted((" red", 0.5), ("red", 0.5))], UNICODE).spans


@pytest.mark.parametrize("width", [24, 60, 200])
@pytest.mark.parametrize("height", [5, 24, 50])
def test_a_step_that_waits_says_what_can_be_done(width, height):
    """Its tokens are numbered, and every key is named, at any size; no line is too wide."""
    state = state_of(started(temperature=0.7), *(step(index) for index in range(9)))
    text = render_panel(state, width=width, height=height, glyphs=UNICODE, waits=True).plain
    lines = text.split("\n")
    assert all(cell_len(line) < width for line in lines)
    assert len(lines) <= max(height, 9)
    assert "Enter answers" not in text
    if width == 24 and height == 5:  # as much of it as there is room for
        return
    assert "1 ·ADD" in text
    for key in ("space goes on", "1-9 that", "x without", "b back", "a answers", "r runs on"):
        assert key in text
    assert "temperature 0.7" in text


def test_a_step_that_is_told_again_takes_its_place():
    """So it is shown where its user has changed it, or has gone back."""
    taken = take_alone(step(1), step(1).concept[1])
    state = state_of(started(), step(0), step(1), step(2), taken)
    assert (state.count, state.soft) == (2, 1)
    assert [one.index for one in state.steps] == [0, 1]
    assert len(state.entropies) == len(state.first) == 2
    assert any("·SUB alone" in line for line in lines_of(state))
    state = state_of(started(), *(step(index) for index in range(200)), step(3))
    assert (state.count, len(state.first)) == (4, 4)


def test_the_panel_waits_as_long_as_it_is_told():
    """Each step that waits is drawn; while it runs on, the usual line is there."""
    out, waiting = StringIO(), [True]
    console = Console(file=out, force_terminal=True, width=80, height=24)
    with PanelView(console, AnswerView(StringIO()), waits=lambda: waiting[0]) as view:
        for event in (started(), Prefill(tokens=2, cached=0, elapsed_s=0.1), step(0), step(1)):
            view.show(event)
        assert out.getvalue().count("goes on") == 2
        waiting[0] = False
        view._drawn_at = float("-inf")
        view.show(step(2))
        assert "Ctrl-C stops" in out.getvalue()
