"""`softchat ask` in a real terminal: a pseudo-terminal, and pyte as the screen of it."""

from __future__ import annotations

import re
import signal
import sys
import time
from types import SimpleNamespace

import pexpect
import pyte
import pytest

from softchat.cli.app import app
from softchat.errors import UsageError
from softchat.record.runs import Run
from softchat.record.trace import replay
from tests.terminal import LOADING, LONG, assert_settled


def test_the_panel_shows_the_thinking_and_settles(terminal):
    """Rows with pieces, bars and entropies; a sparkline and τ; the counter; then one line."""
    one = terminal("ask", "Why is the sky blue?", *LONG, "--max-answer", "20")
    one.until(r"thinking · smollm2-plain · soft · \d+ steps · [\d.]+/s")
    one.until(r"H \d\.\d+  τ 0")
    one.until("[▁▂▃▄▅▆▇█]{5}")
    one.until(r"│ +\d+ \d\.\d{3}  .*━[^╰]*╰ .* Ctrl-C stops$")
    one.child.kill(signal.SIGINT)
    assert one.finish() == 130


def test_the_summary_and_the_answer_stay(terminal):
    """When all is done, one summary line and the answer are on the screen, and nothing else."""
    one = terminal("ask", "What is the capital of France?", "--tau", "9", "--patience", "30")
    assert one.finish() == 0
    assert_settled(one)
    lines = [x for x in re.sub(LOADING, "", one.text).splitlines() if x]
    assert re.match(r"thought \d+ soft steps in [\d.]+ s \([\d.]+/s\) · [a-z ]+ · H ", lines[0])
    assert "Paris" in "".join(lines[1:])
    # What follows begins on a line of its own.
    assert (one.screen.cursor.x, one.screen.cursor.y) == (0, len(one.text.splitlines()))


def test_the_cold_stop_counter_counts(terminal):
    """While steps are cold the counter rises towards patience."""
    one = terminal("ask", "Why is the sky blue?", *LONG, "--tau", "99", "--patience", "2500")
    one.until(r"cold ●*○* \d+/2500")
    one.until(r"cold ●+○* \d\d+/2500")


@pytest.mark.parametrize(("columns", "lines"), [(60, 20), (40, 10), (120, 40), (24, 5)])
def test_it_is_readable_at_any_size(terminal, columns, lines):
    """No line is wider than the screen, so none wraps and none is left behind."""
    one = terminal("ask", "用中文说你好", *LONG, columns=columns, lines=lines)
    for _ in range(10):
        one.until(r"╭ thinking[^╰]*")
        assert one.text.count("╭") == 1, one.text
        one.read(0.1)
    one.child.kill(signal.SIGINT)
    assert one.finish() == 130
    assert_settled(one)


def test_ctrl_c_while_thinking(terminal):
    """The thinking ends with what there is: `interrupted`, status 130, the terminal intact."""
    one = terminal("ask", "Why is the sky blue?", *LONG)
    one.until(r"\d\d+ steps")
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)
    assert re.search(r"thought \d+ soft steps .* interrupted", one.text)
    assert "Traceback" not in one.text


@pytest.mark.parametrize("key", ["\r", "a"])
def test_a_key_gets_the_answer(terminal, key):
    """Enter, or a, while it thinks: the line says who wanted it, and all is well."""
    one = terminal("ask", "Why is the sky blue?", *LONG, "--max-answer", "20")
    one.until(r"│ +\d+ \d\.\d{3}[^╰]*╰ .* Enter answers now · Ctrl-C stops$")
    one.child.send(key)
    assert one.finish() == 0
    assert_settled(one)
    assert re.search(r"thought \d+ soft steps? .* · you asked to", one.text)


def test_what_is_typed_meanwhile_is_for_the_shell(terminal):
    """A command, typed ahead: no letter of it is lost, and its Enter asks for nothing."""
    softchat = (
        f'{sys.executable} -m softchat ask Hi --max-answer 5 "$@"; read -r line; echo got:$line'
    )
    program = ["bash", "-c", softchat, "-", *LONG[:-4], "--max-think", "40"]
    one = terminal(program=program)
    one.until("thinking")
    one.child.send("ls -a\r")
    one.until("got:ls -a$")
    assert one.finish() == 0
    assert "you asked to" not in one.text


def test_ctrl_c_while_answering(terminal):
    """What was answered stays on the screen."""
    one = terminal("ask", "Count from 1 to 300.", "--max-think", "0", "--max-answer", "3000")
    one.until("thought 0 steps.*\n.*\\w+")
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)
    assert len(one.text.splitlines()) >= 2


def test_resizing_leaves_no_debris(terminal):
    """Wider, narrower, lower, higher: one panel at any time, none in the end."""
    one = terminal("ask", "Why is the sky blue?", *LONG, columns=80, lines=24)
    one.until(r"\d+ steps")
    for size in ((120, 30), (100, 40), (110, 24), (120, 40)):
        one.resize(*size)
        one.until_one_panel()
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)


def test_ctrl_c_in_the_middle_of_a_frame_leaves_no_debris(terminal):
    """A slow terminal has read half of one then; the rest is not thrown away by that key."""
    one = terminal("ask", "Why is the sky blue?", *LONG, columns=80, lines=24)
    one.until_one_panel()
    while one.raw.count(b"\x1b7") == one.raw.count(b"\x1b8"):
        one.read(most=40)
    time.sleep(0.3)  # what is left of it, and more, waits to be read
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)


def test_a_lower_window_leaves_no_debris(terminal):
    """A frame that is painted before the new size is known does not scroll its top away."""
    one = terminal("ask", "Why is the sky blue?", *LONG, columns=80, lines=30)
    one.until(r"\d+ steps[^╰]*╰ .* stops$")
    one.screen.resize(8, 80)  # the terminal is lower, and nobody has told softchat yet
    one.read(0.3)
    one.child.setwinsize(8, 80)
    one.until_one_panel()
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)


def test_what_is_typed_meanwhile_is_not_shown(terminal):
    """Keys that are pressed while the model thinks neither show nor shift the panel."""
    one = terminal("ask", "Why is the sky blue?", *LONG)
    one.until(r"\d+ steps")
    for key in ("x", "\r", "\r", "y", "\r"):
        one.child.send(key)
        one.read(0.15)
    one.until_one_panel()
    assert re.match(LOADING + "╭", one.text), one.text
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)


def test_ctrl_z_hands_back_a_clean_terminal(terminal, environ):
    """The shell gets its cursor and its echo; `fg` brings the panel back."""
    environ["PS1"] = "$ "
    one = terminal(program=["bash", "--norc", "--noprofile", "-i"])
    one.until(r"\$$")
    one.child.send(f"{sys.executable} -m softchat ask 'Why is the sky blue?' {' '.join(LONG)}\r")
    one.until(r"\d+ steps[^╰]*╰ .* stops$")
    one.child.send("\x1a")
    one.until(r"Stopped[^╭]*\$$")
    assert_settled(one)
    one.child.send("echo tty-echoes\r")
    one.until(r"echo tty-echoes\s+tty-echoes")
    one.child.send("fg\r")
    one.until(r"╭ .*\d+ steps[^╰]*╰ .* stops$")
    one.child.send("\x03")
    one.until(r"interrupted[^╭]*\$$")
    assert_settled(one)


def test_no_colour(environ, terminal):
    """NO_COLOR: the panel is there, without colours."""
    environ["NO_COLOR"] = "1"
    one = terminal("ask", "Why?", *LONG)
    one.until("thinking")
    one.child.send("\x03")
    one.finish()
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]m", one.raw)


def test_no_colour_keeps_markdown(environ):
    """NO_COLOR: no sequence sets a colour, and the marks of Markdown are not shown raw."""
    script = "from softchat.cli.outputs import Outputs; from softchat.events import Answer;"
    script += "v = Outputs(quiet=True).view(); v.__enter__(); v.show(Answer(text='**so** it is'));"
    script += "v.__exit__(None, None, None)"
    child = pexpect.spawn(
        sys.executable, ["-c", script], env=environ | {"TERM": "xterm-256color", "NO_COLOR": "1"}
    )
    output = child.read()
    child.close()
    assert child.exitstatus == 0
    assert b"\x1b[1mso" in output
    assert not re.search(rb"\x1b\[[0-9;]*\b(3[0-79]|9[0-7]|4[0-79])\b[0-9;]*m", output)


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        (("--no-panel", "--no-markdown"), {}),
        (("-q", "--no-markdown"), {}),
        ((), {"TERM": "dumb"}),
        ((), {"SOFTCHAT_PANEL": "0", "SOFTCHAT_MARKDOWN": "0"}),
    ],
)
def test_without_a_panel_there_is_no_escape(environ, flags, variables):
    """No panel and no Markdown, or a dumb terminal: the answer alone, no control sequence."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "softchat", "ask", "What is the capital of France?", "-m", "smollm2-plain", *flags],
        env=environ | {"TERM": "xterm"} | variables,
        timeout=60,
    )
    output = child.read()
    child.close()
    assert child.exitstatus == 0
    assert b"Paris" in output
    assert b"\x1b" not in output
    alive = rb"thinking\xe2\x80\xa6\r\nthought \d+ soft steps? in .* H [\d.]+ to [\d.]+\r\n"
    assert bool(re.search(alive, output)) == ("-q" not in flags)


MARKDOWN = """
import sys
from rich.console import Console
from softchat.events import Answer
from softchat.views.markdown import MarkdownView
text = "# Title\\n\\n" + "".join(f"{i}. item{i:03} **word** `code` 漢字\\n" for i in range(1, 61))
text += "\\n```python\\n" + "".join(f"line{i:03} = {i}\\n" for i in range(40)) + "```\\nDone.\\n"
due = iter(range(100000))
with MarkdownView(Console(), clock=lambda: float(next(due)) * 100) as view:
    for start in range(0, len(text), 7):
        view.show(Answer(text=text[start : start + 7]))
        if start in (700, 2100):
            input("\x1b]0;waiting\x07")  # a title
"""


def test_markdown_longer_than_the_screen(terminal):
    """Each line is there once, and in order, above the screen too; also when the width changes."""
    one = terminal(program=[sys.executable, "-c", MARKDOWN], columns=60, lines=20)
    screen = pyte.HistoryScreen(60, 20, history=1000, ratio=0.5)
    stream = pyte.ByteStream(screen)
    seen = 0
    for shown, columns in (("item022", 50), ("line004", 70)):
        one.wait(lambda: one.screen.title == "waiting", "wait for a key")
        one.screen.set_title("")
        assert shown in one.text, one.text
        stream.feed(one.raw[seen:])
        seen = len(one.raw)
        one.resize(columns, 20)
        screen.resize(20, columns)
        one.child.send("\r")
    assert one.finish() == 0
    stream.feed(one.raw[seen:])
    assert_settled(one)
    above = ["".join(row[x].data for x in range(70)) for row in screen.history.top]
    lines = "\n".join(line.rstrip() for line in [*above, *screen.display])
    assert re.findall(r"^\d+\. item\d+ word code", lines, re.MULTILINE) == [
        f"{i}. item{i:03} word code" for i in range(1, 61)
    ]
    assert re.findall(r"^line\d+ = \d+$", lines, re.MULTILINE) == [
        f"line{i:03} = {i}" for i in range(40)
    ]
    assert lines.rstrip().endswith("\nDone.")


@pytest.mark.parametrize("columns", [60, 200])
def test_step_by_step(terminal, tmp_path, columns):
    """Each key does what the panel says; a replay of the trace shows what was changed."""
    trace = tmp_path / "t.jsonl"
    flags = ("--step", *LONG, "--max-answer", "5", "--trace", str(trace))
    one = terminal("ask", "Why is the sky blue?", *flags, columns=columns, lines=40)
    one.until(r"· 1 step\b[\s\S]*space goes on")
    one.child.send(" ")
    one.until(r"· 2 steps[\s\S]*space goes on")
    one.child.send("2")
    one.until(r"alone[\s\S]*\n│ +2 ")
    one.child.send("x")
    one.until(r"without ")
    one.child.send("T")
    one.until(r"temperature 1\.1[\s\S]*t T temperature 1\.1|t T temperature 1\.1")
    one.child.send("b")
    one.until(r"· 2 steps[\s\S]*t T temperature 1$")
    one.child.send("1r")
    one.until(r"· \d\d+ steps[\s\S]*Ctrl-C stops")
    one.child.send(" ")
    one.until(r"space goes on")
    assert all(len(line) <= columns for line in one.text.splitlines())
    one.child.send("a")
    assert one.finish() == 0
    assert_settled(one)
    assert "you asked to" in one.text
    run = Run.of(replay(trace))
    assert run.halted.reason == "asked"
    assert [step.index for step in run.steps] == list(range(len(run.steps)))
    assert run.steps[1].change.instead_of[0].id == run.steps[1].concept[0].id
    again = terminal("replay", str(trace), "--speed", "0", "--verbose", columns=200, lines=50)
    assert again.finish() == 0
    assert re.search(r"step +1 .* alone\)", again.raw.decode())


def test_steps_need_a_terminal(softchat):
    """Nobody could press a key: one line, and a hint."""
    for flags, words in (((), "needs a terminal"), (("--json",), "exclude"), (("-q",), "exclude")):
        done = softchat("ask", "Why?", "--step", *flags)
        assert (done.status, words in done.err) == (2, True)


@pytest.mark.parametrize(
    ("has_keys", "has_panel"), [(False, True), (True, False)], ids=["windows", "stderr in a file"]
)
def test_steps_need_keys_and_somebody_who_sees_them(monkeypatch, has_keys, has_panel):
    """A session, too, says so at once."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: has_panel))
    monkeypatch.setattr("softchat.cli.outputs.can_listen", lambda: has_keys)
    with pytest.raises(UsageError, match="--step needs a terminal whose keys") as caught:
        app(["chat", "--step"], standalone_mode=False)
    assert "softchat fork" in caught.value.hint


def test_ctrl_c_while_a_step_waits(terminal):
    """Ends the run as ever, and the terminal is as it was."""
    one = terminal("ask", "Why is the sky blue?", "--step", *LONG)
    one.until("space goes on")
    one.child.send("\x03")
    assert one.finish() == 130
    assert_settled(one)


def test_steps_without_a_panel(environ):
    """A line for each step, after one that says what the keys do."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "softchat", "ask", "Why?", "-m", "smollm2-plain", "--step", *LONG],
        env=environ | {"TERM": "dumb"},
        timeout=60,
    )
    child.expect("space: go on")
    child.expect("step    0 ")
    child.send("x")
    child.expect("step    0 .*without")
    child.send(" a")
    child.expect("you asked to")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
