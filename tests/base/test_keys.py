"""Keys while a model thinks, on a terminal of their own."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pytest

from softchat.base.keys import AnswerNow, StepKeys, listening, stepping


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


def read_all():
    """What has stayed in the terminal, though no line's end may be there."""
    modes = termios.tcgetattr(sys.stdin)
    modes[3] &= ~termios.ICANON
    modes[6][termios.VMIN], modes[6][termios.VTIME] = 0, 1
    termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)
    return os.read(sys.stdin.fileno(), 4096)


@pytest.mark.parametrize("keys", [b"\r", b"a", b"a\r", b"\r\r", b"aa", b"\ra"])
def test_a_key_asks_for_the_answer(keyboard, keys):
    """Once or more, whatever the order; the terminal is as before afterwards, and holds none."""
    before = termios.tcgetattr(sys.stdin)
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        assert not termios.tcgetattr(sys.stdin)[3] & termios.ECHO
        for key in keys:
            os.write(keyboard, bytes([key]))
            time.sleep(0.05)
        until(answer_now)
        until(lambda: not select.select([sys.stdin], [], [], 0)[0])
    assert typed == []
    assert termios.tcgetattr(sys.stdin) == before
    assert read_all() == b""


def test_enter_asks_at_once_and_what_comes_then_is_text(keyboard):
    """All of it is there for who reads next."""
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        os.write(keyboard, b"\r")
        until(answer_now)
        os.write(keyboard, b"next\rone")
    assert (typed, read_all()) == ([], b"next\none")


@pytest.mark.parametrize("text", ["what", "x\r", "\x04", "\x1b[A", "so a new\ra", "ä\r"])
@pytest.mark.parametrize("apart", [True, False])
def test_whoever_types_is_writing_the_next_question(keyboard, text, apart):
    """No key of it asks for anything, and every one stays where it is, also the later Enter."""
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        for part in text.encode() if apart else [text.encode()]:
            os.write(keyboard, bytes([part]) if apart else part)
            time.sleep(0.02)
    assert not answer_now()
    assert typed == []
    assert read_all().decode() == text.replace("\r", "\n")


@pytest.mark.parametrize("text", ["and now?", "another\r", "a dog\r"])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_a_question_may_begin_with_the_letter(keyboard, monkeypatch, text, apart, ends):
    """One that goes on before the pause ends is text: the letter is handed on, the rest stays."""
    monkeypatch.setattr("softchat.base.keys._PAUSE_S", 0.01 if ends and not apart else 60)
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        for part in text.encode() if apart else [text.encode()]:
            os.write(keyboard, bytes([part]) if apart else part)
            time.sleep(0.02)
        time.sleep(0.2)
    assert not answer_now()
    assert "".join(typed) + read_all().decode() == text.replace("\r", "\n")


def test_a_key_that_is_gone_when_it_is_read(keyboard, monkeypatch):
    """A Ctrl-C throws away what waits: nobody waits for it, and nothing was asked."""
    monkeypatch.setattr("softchat.base.keys._Listener._waiting", forgetting)
    answer_now, typed = AnswerNow(), []
    with listening(answer_now, typed.append):
        os.write(keyboard, b"\r")
        time.sleep(0.2)
    assert (answer_now(), typed, read_all()) == (False, [], b"")


def forgetting(listener):
    """One key waits, and is gone at once."""
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    return 1


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


@pytest.mark.parametrize(
    ("pressed", "keys"),
    [
        (b" x1tTbar9", list(" x1tTbar9")),
        (b"\r\n", [" ", " "]),  # Enter goes on too
        (b"\x1b[C\x1b[D\x1bOD\x7f", [" ", "b", "b", "b"]),  # arrows; backspace
        (b"q0?\x1b[5~\xc3\xa9\x04\x1b", []),
    ],
)
def test_keys_of_steps(pressed, keys):
    """In the order in which they were pressed; what means nothing is passed over."""
    held = StepKeys()
    held.press(pressed)
    assert [held() for _ in keys] == keys
    assert held() == ""


def test_whether_steps_wait_is_told_by_the_keys():
    """`r` runs on, and space waits again; other keys change nothing of that."""
    held = StepKeys()
    told = []
    for key in (b" ", b"r", b"x", b" ", b"1"):
        held.press(key)
        told.append(held.waits)
    assert told == [True, False, False, True, True]
    held.press(b"r\r")
    assert [held() for _ in range(7)][-2:] == ["r", "a"]  # Enter answers while it runs on
    held.clear()
    assert held.waits
    assert held() == ""


def test_each_key_is_taken_at_once(keyboard):
    """Without Enter, and without echo; afterwards the terminal is as before."""
    before = termios.tcgetattr(sys.stdin)
    held = StepKeys()
    with stepping(held) as stop:
        os.write(keyboard, b"x")
        until(lambda: held._pressed)
        assert held() == "x"
        os.write(keyboard, b"2b")
        until(lambda: len(held._pressed) == 2)
        stop()
        assert termios.tcgetattr(sys.stdin) == before
        os.write(keyboard, b"r\r")
    assert [held(), held(), held()] == ["2", "b", ""]
    assert sys.stdin.readline() == "r\n"


def test_without_a_terminal_no_key_is_taken(monkeypatch):
    """And nothing fails."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with stepping(held := StepKeys()) as stop:
            stop()
        assert held() == ""
