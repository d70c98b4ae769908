"""Keys while a model thinks, on a terminal of their own."""

from __future__ import annotations

import os
import pty
import sys
import termios
import time
from pathlib import Path

import pytest

from softchat.base.keys import AnswerNow, listening


@pytest.fixture
def keyboard(monkeypatch):
    """Where keys are typed that `sys.stdin` gets; whose terminal it is nobody asks."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr("softchat.base.keys._Listener._in_front", lambda self: True)
        yield master
    os.close(master)


def until(condition):
    """Wait for what must come; a minute is a hang."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("key", [b"\r", b"a"])
def test_a_key_asks_for_the_answer(keyboard, key):
    """And the terminal is as before afterwards."""
    before = termios.tcgetattr(sys.stdin)
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        assert not termios.tcgetattr(sys.stdin)[3] & termios.ICANON
        os.write(keyboard, key)
        until(answer_now)
    assert typed == []
    assert termios.tcgetattr(sys.stdin) == before


@pytest.mark.parametrize("text", [b"what", b"x\r", b"a new one\r"])
def test_whoever_types_is_writing_the_next_question(keyboard, text):
    """No key of it asks for anything, and none is lost."""
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        os.write(keyboard, text)
        time.sleep(0.2)
    assert not answer_now()
    rest = text.decode().replace("\r", "\n")
    assert typed in ([], [rest])  # all of it was read, or nothing


def test_it_can_end_sooner(keyboard):
    """What is typed then stays in the terminal; to end it twice does no harm."""
    before = termios.tcgetattr(sys.stdin)
    answer_now = AnswerNow()
    with listening(answer_now) as stop:
        stop()
        assert termios.tcgetattr(sys.stdin) == before
        os.write(keyboard, b"a\r")
    assert not answer_now()
    assert sys.stdin.readline() == "a\n"


def test_without_a_terminal_nobody_listens(monkeypatch):
    """A pipe is a question, not keys."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with listening(AnswerNow()) as stop:
            stop()
