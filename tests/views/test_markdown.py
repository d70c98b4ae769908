"""The answer as Markdown: whatever way it comes, the screen is that of rendering it at once."""

from __future__ import annotations

import re
from io import StringIO

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from softchat.base.text import printable
from softchat.events import Answer
from softchat.views.markdown import MarkdownView, code_blocks, split_blocks

LINES = [
    "", "", "", "word", "# Title", "## Two", "A longer line with **bold** and `code`, 漢字 and 👍.",
    "***", "---", "===", "- item", "- ", "* star", "  - nested", "    deeper", "1. one", "2) two",
    "10. ten", "   more of it", "```", "```python", "~~~", "def f(x):", "\treturn 'x'  ", '"""',
    "| a | b |", "|---|--:|", "| 1 | 2 |", "> quote", ">> deep", "    code", "[foo]: http://x.y",
    "[foo] [a](http://b.c) ![i](j.png)", "&amp; &#27;[2J &rlm;", "<div>", "</div>", "<!-- x",
    "**open", "close**", "`tick", "a\\", "x  ", "long " * 30, "漢" * 50, "y" * 130, "+", "#",
    "- [ ] task", "~~gone~~", "1986. A year.", "- ```", "  ```", "> ```", "\\# no title", "_a_ *b*",
]  # fmt: skip


def screen_of(data, columns, lines):
    """What a terminal shows after this, with what it has scrolled away."""
    screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.5)
    pyte.Stream(screen).feed(data.replace("\n", "\r\n"))
    above = ["".join(row[x].data for x in range(columns)) for row in screen.history.top]
    return "\n".join(line.rstrip() for line in [*above, *screen.display]).rstrip()


def streamed(chunks, columns, lines):
    """What the view has written after each of these pieces of an answer, and at its end."""
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=columns, height=lines)
    now = 0.0
    with MarkdownView(console, clock=lambda: now) as view:
        for chunk in chunks:
            now += 1.0  # drawn at each piece
            view.show(Answer(text=chunk))
            yield sink.getvalue()
    yield sink.getvalue()


def at_once(text, columns):
    """The lines of the whole answer, rendered once."""
    console = Console(file=StringIO(), force_terminal=True, width=columns, color_system=None)
    shown = []
    for piece in [piece for block in split_blocks(printable(text)) for piece in block.pieces]:
        shown += [""] * (piece.gap and bool(shown))
        shown += ["".join(part.text for part in line) for line in piece.lines(console, columns)]
    return "\n".join(shown) + "\n"


def cut(text, sizes):
    """The text in pieces of these sizes, and the rest."""
    for size in sizes:
        yield text[:size]
        text = text[size:]
    yield text


@given(
    text=st.lists(st.sampled_from(LINES), max_size=25).map("\n".join),
    sizes=st.lists(st.integers(0, 12), max_size=200),
    columns=st.integers(24, 100),
    lines=st.integers(4, 30),
)
@example(text="a *b\n***c* d", sizes=[8], columns=80, lines=24)
@example(text="a\n\nb\n\nc", sizes=[1] * 7, columns=80, lines=24)
@settings(max_examples=150, deadline=None)
def test_it_ends_as_if_rendered_at_once(text, sizes, columns, lines):
    """No line is lost, none is there twice, whatever the pieces and the size of the screen."""
    *_, written = streamed(cut(text, sizes), columns, lines)
    assert screen_of(written, columns, lines) == screen_of(
        at_once(text.lstrip(), columns), columns, lines
    )


@given(
    text=st.lists(st.sampled_from(LINES), max_size=12).map("\n".join),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    lines=st.integers(4, 40),
)
@example(text="- a\n- b\n- c\n- d\n- e\nf\ng\nh", sizes=[7, 6, 6, 2, 2], lines=4)
@settings(max_examples=60, deadline=None)
def test_at_every_moment_it_is_what_came_so_far(text, sizes, lines):
    """What is live stands below what is settled; of a block that is too long, the end is shown."""
    columns = 60
    chunks = list(cut(text, sizes))
    for count, written in enumerate(streamed(chunks, columns, lines), 1):
        so_far = "".join(chunks[:count]).lstrip()
        whole = screen_of(at_once(so_far, columns), columns, lines).split("\n")
        shown = screen_of(written, columns, lines).split("\n")
        hidden = len(whole) - len(shown)
        above = next((i for i, line in enumerate(shown) if line != whole[i]), len(shown))
        assert hidden >= 0
        assert shown[above:] == whole[above + hidden :]
        assert not hidden or len(shown) >= lines - 1  # no more is hidden than must be


def shown(text, columns=60):
    """The screen after the whole answer, and what was written for it."""
    *_, written = streamed([text], columns, 24)
    return screen_of(written, columns, 24), written


def test_code_is_copied_clean():
    """A code block is its lines: no frame, no indent, no blanks behind, no line break added."""
    long = "x = " + "1 + " * 30 + "1"
    text = f"Code:\n\n```python\ndef f():\n\n\treturn 1   \n{long}\n```\n"
    _, written = shown(text)
    rows = written[written.index("def") :].replace("\x1b[?2026h", "").splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in rows]
    assert plain[:4] == ["def f():", "", "    return 1", long]
    assert not re.search(r"\x1b\[[0-9;]*4[0-8]", written)  # a background would be copied, or glare


def test_an_empty_line_is_empty():
    """No blank stands between two paragraphs, where it would be copied."""
    *_, written = streamed("a\n\nb\n\nc\n", 60, 24)
    assert "\x1b[2K\nb\n" in written  # the whole line is erased before it is left


def test_hostile_text_is_inert():
    """No sequence, link or markup of a model's does anything, spelled out or as an entity."""
    hostile = "\x1b]8;;http://x\x1b\\a\x1b]52;c;aGk=\x07\x9b2J\u202e[link=x]y[/INST]&#x1b;[2J&rlm;"
    text = f"# {hostile}\n\n- {hostile}\n\n[{hostile}](http://x?{hostile})\n\n```{hostile}\n{hostile}\n"
    screen, written = shown(text, columns=200)
    for forbidden in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\u200f", "\x07"):
        assert forbidden not in written
    assert screen.count("[link=x]y[/INST]") >= 3
    assert "http://x" in screen


def test_nothing_that_was_written_is_hidden():
    """HTML, images, references and addresses show as text."""
    text = (
        "<b>x</b> <!-- y --> ![z](http://i.j/k.png) <http://a.b>\n\n[foo]: http://c.d\n\n<div>\nw"
    )
    screen, _ = shown(text)
    for part in (
        "<b>x</b>",
        "<!-- y -->",
        "z",
        "http://i.j/k.png",
        "http://a.b",
        "http://c.d",
        "w",
    ):
        assert part in screen


def test_what_is_nested_too_deep_shows_as_written():
    """Parsers give up at some depth: the words are there all the same."""
    for mark in (">", "- "):
        for depth in (5, 17, 30):
            screen, _ = shown(mark * depth + "word\n\nend", columns=20)
            assert "word" in screen.replace("\n", "")
            assert screen.endswith("end")


def test_a_model_breaks_lines_where_it_means_it():
    """Two lines of a paragraph stay two lines; numbers go on as Markdown counts."""
    code = "def f(x):\n    if x:\n\treturn 1\n\n    return 2\n\nEnd  \nof it"
    assert shown(code)[0] == code.replace("\t", "    ").replace("  \n", "\n")
    assert shown("one\ntwo\n\n7. a\n7. b")[0] == "one\ntwo\n\n7. a\n8. b"


def test_an_answer_that_breaks_off_stays():
    """Whatever ends the view, what came is on the screen, and the cursor is back."""
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=40, height=9)

    def broken():
        with MarkdownView(console) as view:
            view.show(Answer(text="- one\n- tw"))
            view.show(Answer(text="o"))  # too soon to be drawn
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert screen_of(sink.getvalue(), 40, 9) == "• one\n• two"
    assert sink.getvalue().count("\x1b[?25l") == sink.getvalue().count("\x1b[?25h") == 1


def test_another_width_leaves_no_debris():
    """After a resize each line is there once; what is not settled yet has the new width."""
    screen = pyte.HistoryScreen(80, 24, history=1000, ratio=0.5)
    stream = pyte.Stream(screen)
    sink = StringIO()
    console = Console(file=sink, force_terminal=True, width=80, height=24)
    now = 0.0
    with MarkdownView(console, clock=lambda: now) as view:
        for number in range(30):
            for word in f"{number}. item{number:02} {'word ' * 12}".split(" "):
                now += 1.0
                view.show(Answer(text=word + " "))
            view.show(Answer(text="\n"))
            if number in (9, 19):
                stream.feed(sink.getvalue().replace("\n", "\r\n"))
                sink.seek(0)
                sink.truncate()
                console.width = 50 if number == 9 else 100
                screen.resize(columns=console.width)
    stream.feed(sink.getvalue().replace("\n", "\r\n"))
    above = ["".join(row[x].data for x in range(100)) for row in screen.history.top]
    text = "\n".join([*above, *screen.display])
    assert [text.count(f"{n}. item{n:02}") for n in range(10, 30)] == [1] * 20
    assert [text.count(f" item{n:02} ") for n in range(30)] == [1] * 30


def test_code_blocks_are_found():
    """Those in lists and quotes too, and one that is not closed."""
    text = "```py\na\n```\n- x\n  ~~~\n  b\n  ~~~\n\n`no`\n\n> ```\n> c\n> ```\n\n```\nd"
    assert code_blocks(text) == ["a\n", "b\n", "c\n", "d"]
