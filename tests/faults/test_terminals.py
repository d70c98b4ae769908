"""Terminals of any kind, and whatever is typed into them: no traceback, and all is as it was."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from itertools import islice

import pytest

from tests import tiny
from tests.faults.soak import times
from tests.faults.test_signals import family, is_there, run_for, wait_for
from tests.terminal import LONG, Terminal

termios = pytest.importorskip("termios")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PROMPT = r">[^\n]*\s*\n[^\n]*context"
SIZES = [(1, 1), (2, 2), (1, 50), (3, 1), (12, 3), (300, 2), (500, 200)]
VARIABLES = [
    *[("TERM", value) for value in ("", "dumb", "unknown", "vt100", "linux", "screen-256color")],
    *[("TERM", value) for value in ("xterm-kitty", "\x1b[31m", "x" * 5000, "../../etc")],
    *[("COLUMNS", value) for value in ("0", "-1", "abc", "99999999")],
    *[("LINES", "0"), ("LINES", "x"), ("LANG", "C"), ("LC_ALL", "xx_YY"), ("COLORTERM", "\x1b")],
    *[("PYTHONIOENCODING", "latin-1"), ("PYTHONIOENCODING", "ascii:strict")],
    *[("NO_COLOR", "1"), ("FORCE_COLOR", "9"), ("PAGER", "none \x1b")],
]
TYPED = {
    "a paste without end": "\x1b[200~abc",
    "a paste in a paste": "\x1b[200~a\x1b[200~b\x1b[201~c\x1b[201~",
    "a paste of controls": "\x1b[200~a\0b\x1b]0;x\x07\x9b2J\x1b[201~",
    "a paste of 5,000 lines": "\x1b[200~" + "x\n" * 5000 + "\x1b[201~",
    "what is no UTF-8": b"a\xff\xfe\x80\xc3(\xed\xa0\x80\r",
    "controls": bytes({*range(1, 32), *range(127, 160)} - {3, 4, 26, 28}),
    "answers to questions": "\x1b[99999;99999R\x1b[0;0R\x1b]11;rgb:ff/ff/ff\x07\x1bP>|x\x1b\\",
    "odd sequences": "\x1b[999999999999A\x1b[?1;2;3c\x1b[;;;;m\x1b[~",
    "a mouse": "\x1b[<0;10;10M\x1b[M !!\x1b[I\x1b[O",
    "many arrows": "\x1b[A\x1b[B" * 2000,
    "function keys": "\x1bOP\x1b[15~\x1b[24;8~",
    "escapes": "\x1b" * 500,
    "wide": "漢字" * 200,
    "right to left": "שלום \u202e عالم" * 20,
    "combining": "a" + "\u0301" * 1000,
    "joined": "👨‍👩‍👧‍👦" * 50,
    "nothing to see": "\u200b" * 300,
    "tags": "\U000e0041" * 100,
}
PRESSED = {
    "enter": "\r" * 300, "a": "a" * 300, "ctrl-c": "\x03" * 20, "ctrl-d": "\x04" * 50,
    "other controls": "\x01\x02\x0b" * 100, "text": "what? 漢字 \udc9b" * 30,
}  # fmt: skip
STREAMS = ("2</dev/tty", "<&-", ">&-", "2>&-", ">/dev/full", "<&- >&- 2>&-", "2>/dev/null", "</")
MOMENTS = ("loading", "thinking", "prompt", "session")


def some(attacks, one_in=6):
    """All of them in a soak."""
    return list(islice(attacks, 0, None, times(one_in, 1)))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model, that thinks for as long as it may."""
    letters = (tiny.ASCII + tiny.LETTERS)[: len(tiny.LETTERS)]
    return tiny.write(tmp_path_factory.mktemp("m") / "m.gguf", letters=letters)


@pytest.fixture
def start(model, tmp_path):
    """A function that starts `ask`, or a session, on a terminal."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SOFTCHAT_")}
    environ = mine | {"SOFTCHAT_HOME": str(tmp_path / "home"), "MODEL": str(model)}

    def start(command, *, shell="", variables=(), **terminal):
        more = ("why?",) if command == "ask" else ()
        flags = (
            LONG if command == "ask" and not shell else ("--max-think", "3", "--max-answer", "3")
        )
        arguments = [command, *more, "-m", str(model), *flags, "--ctx", "8192"]
        program = None
        if shell:
            own = f'"$0" "$@" {shell}; echo status $?'
            program = ["bash", "-c", own, sys.executable, "-m", "softchat", *arguments]
        return Terminal(arguments, environ | dict(variables), program=program, **terminal)

    return start


def leave(one, statuses=(0, 130)):
    """As a user does who wants to go; the terminal is as it was, and nobody is left."""
    pids = family(one.child.pid)
    keys, deadline = "\x03\x03\x04", time.monotonic() + 120
    while one.read(0.3):
        assert time.monotonic() < deadline, one.text
        if one.child.isalive():
            one.child.send(keys[0])
            keys = keys[1:] + keys[0]
    assert termios.tcgetattr(one.child.child_fd)[3] & termios.ECHO
    wait_for(lambda: not one.child.isalive())  # or the end of its terminal would be a SIGHUP
    one.child.close()
    for ends in (b"Traceback", b"Unhandled exception"):  # the latter: prompt_toolkit's
        assert ends not in one.raw, one.raw
    assert not one.screen.cursor.hidden, one.raw[-90:]
    wait_for(lambda: not any(map(is_there, pids)))
    # Before softchat's own code runs, it is Python that a Ctrl-C ends.
    assert one.child.exitstatus in statuses or one.child.signalstatus == signal.SIGINT


@pytest.mark.parametrize(("columns", "lines"), some(SIZES))
@pytest.mark.parametrize("command", ["ask", "chat"])
def test_any_size(start, command, columns, lines):
    """Down to a single cell."""
    one = start(command, columns=columns, lines=lines)
    run_for(one, 2)
    one.child.send("why?\r")
    run_for(one, 1)
    leave(one)


@pytest.mark.parametrize(("name", "value"), some(VARIABLES))
def test_any_variable(start, name, value):
    """What variables say of a terminal need not be so."""
    one = start("ask", term=value) if name == "TERM" else start("ask", variables={name: value})
    run_for(one, 2)
    leave(one)


@pytest.mark.parametrize("what", some(TYPED))
@pytest.mark.parametrize("columns", [80, 5][: times(1, 2)])
def test_anything_typed_at_the_prompt(start, what, columns):
    """It is a question, or nothing; the session goes on."""
    one = start("chat", columns=columns, lines=24)
    one.until(PROMPT if columns > 9 else r"\S")
    one.child.send(TYPED[what])
    run_for(one, 1)
    one.child.send("\x1b[D" * 5 + "\x7f\r\x1b[201~")
    run_for(one, 1)
    leave(one)


COLOURED = "a\x1b[31mred\x1b[0m\x1b[;;m\x1b[<mb"


def test_colours_that_are_typed_are_no_mouse(start):
    """As they come of a paste that is not marked as one: at the prompt, or before there is one."""
    one = start("chat", columns=80, lines=24)
    one.child.send(f"why?\r{COLOURED}")
    one.until("thought 3")
    one.until(PROMPT)
    one.child.send(COLOURED)
    one.until(r"ared[\s\S]*red")
    one.child.send("\r")
    one.until("thought 3")
    leave(one)


def test_a_ctrl_c_ends_a_paste_without_end(start):
    """The prompt hears again, and can be left."""
    one = start("chat", columns=80, lines=24)
    one.until(PROMPT)
    one.child.send(TYPED["a paste without end"])
    run_for(one, 1)
    one.child.send("\x03")  # and nothing for a while, or it may be a part of the paste
    one.until("leaves")
    leave(one)


@pytest.mark.parametrize("what", some(PRESSED, 3))
def test_anything_pressed_while_it_thinks(start, what):
    """It ends the thinking, or waits for the prompt."""
    one = start("ask")
    one.until("steps")
    one.child.send(PRESSED[what].encode(errors="surrogateescape"))
    run_for(one, 1)
    leave(one)


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_any_change_of_size(start, command):
    """At each moment: loading, thinking, at the prompt."""
    rng = random.Random(5)
    one = start(command)
    for _ in range(times(40, 400)):
        one.resize(rng.randint(1, 200), rng.randint(1, 60))
        run_for(one, 0.03)
    one.resize(80, 24)
    leave(one)


@pytest.mark.parametrize("moment", some(MOMENTS, 2))
def test_a_terminal_that_goes_away(start, moment):
    """Whatever it does then, it ends."""
    one = start("ask" if moment in ("loading", "thinking") else "chat")
    if moment == "loading":
        run_for(one, 0.4)
    elif moment == "thinking":
        one.until("steps")
    else:
        one.until(PROMPT)
        if moment == "session":
            one.child.send("/set max_think 3000\rwhy?\r")
            run_for(one, 0.5)
    pids = family(one.child.pid)
    one.child.close(force=False)
    wait_for(lambda: not any(map(is_there, pids)))


@pytest.mark.parametrize("streams", some(STREAMS, 4))
@pytest.mark.parametrize("command", ["ask", "chat"])
def test_streams_that_are_no_terminal(start, command, streams):
    """It is told what it needs, or does without."""
    one = start(command, shell=streams)
    if command == "ask":  # it comes to its end
        one.until(r"status \d+")
    else:
        run_for(one, 2)
    leave(one, statuses=range(256))
    told = {int(status) for status in re.findall(rb"status (\d+)", one.raw)}
    assert told <= {0, 1, 2, 130}, one.text  # 120: Python could not even write its traceback


def test_a_terminal_that_takes_nothing_for_a_while(start):
    """After a Ctrl-S; it goes on with a Ctrl-Q."""
    one = start("ask")
    one.until("steps")
    one.child.send("\x13")
    time.sleep(1)
    one.child.send("\x11")
    leave(one)
