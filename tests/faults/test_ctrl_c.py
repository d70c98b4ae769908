"""Ctrl-C at random moments, once and twice: the turn stops, and the terminal is as it was."""

from __future__ import annotations

import random
import re
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from tests.faults.soak import times

termios = pytest.importorskip("termios")

TOOLBAR = r"(context \d+/\d+|not loaded|loading…)$"  # there is one below a prompt alone
PROMPT = r">\s*\n[^\n]*" + TOOLBAR
LOADED = r">\s*\n[^\n]*context \d+/\d+$"
# A turn that goes on until it is stopped, in either of its parts.
ENDLESS = (
    "--tau", "0", "--loop-steps", "0", "--drift-steps", "0", "--seed", "1", "--max-answer", "3000",
)  # fmt: skip
THINKING, ANSWERING = (*ENDLESS, "--max-think", "3000"), (*ENDLESS, "--max-think", "0")
WAIT_S = 120  # nothing is asserted on a clock; this is for a machine that does much else
QUESTION = "Write a very long story about a dragon."

pytestmark = pytest.mark.usefixtures("own_home")


def paste(text):
    """As a terminal sends what is pasted."""
    return f"\x1b[200~{text}\x1b[201~\r"


def long_text(rng):
    """A question whose prompt takes long to read, and that no other one begins like."""
    return " ".join(rng.choices(("red", "blue", "seven", "of", "cats", "run", "home"), k=900))


def assert_clean(one):
    """No part of a panel is left, the cursor is there, and nothing was told of a bug."""
    assert not re.search("[╭│╰]", one.text), one.text
    assert not one.screen.cursor.hidden
    assert not re.search(b"Traceback|KeyboardInterrupt", one.raw)


def settings_of(one):
    """What `stty -a` tells."""
    return termios.tcgetattr(one.child.child_fd)


class Presses:
    """Sessions in which turns are stopped, and how long each took from the key to the prompt."""

    def __init__(self, terminal, rng):
        self._terminal, self._rng = terminal, rng
        self._flags, self._session = None, None
        self.seconds = []

    def stop(self, part, twice):
        """Begin a turn, press Ctrl-C in this part of it, and see that all is as before."""
        one = self._in(part)
        before = settings_of(one)
        one.screen.reset()
        self._begin(one, part)
        until = time.monotonic() + self._rng.uniform(0, 0.5)
        while time.monotonic() < until:
            one.read(0.01)
        if twice:
            self._press_twice(one)
            return
        began = time.monotonic()
        one.child.send("\x03")
        one.until(PROMPT, WAIT_S)
        self.seconds.append(time.monotonic() - began)
        assert settings_of(one) == before
        assert_clean(one)

    def _in(self, part):
        flags = ANSWERING if part == "answering" else THINKING
        if part == "loading" or self._flags != flags:
            self.leave()
        if self._session is None:
            self._flags = flags
            self._session = self._terminal(*flags)
            self._plain = settings_of(self._session)  # Python takes longer to start than this
            # While it loads there is a prompt already.
            self._session.until(PROMPT if part == "loading" else LOADED, WAIT_S)
        return self._session

    def _begin(self, one, part):
        one.child.send(paste(long_text(self._rng)) if part == "prefill" else QUESTION + "\r")
        while re.search(TOOLBAR, one.text) or not one.text:
            assert one.read()
        if part == "thinking":
            one.until(r"\d+ steps", WAIT_S)
        if part == "answering":
            one.until(r"thought 0 steps[^\n]*\n+[^\n]*\w", WAIT_S)

    def _press_twice(self, one):
        one.child.send("\x03")
        pause = time.monotonic() + self._rng.uniform(0, 0.3)
        while time.monotonic() < pause:
            one.read(0.01)
        one.child.send("\x03")
        self._end()

    def leave(self):
        """End the session, by the way of users."""
        if self._session is not None:
            self._session.until(PROMPT, WAIT_S)
            self._session.child.sendeof()
            self._end()

    def _end(self):
        one, self._session = self._session, None
        deadline = time.monotonic() + WAIT_S
        while one.read(0.2):
            assert time.monotonic() < deadline, one.text
        assert settings_of(one) == self._plain
        one.child.close()
        assert one.child.exitstatus == 0
        assert_clean(one)


def test_a_session(terminal):
    """While it loads, reads, thinks, answers: one press stops the turn, two leave the session."""
    rng = random.Random(0)
    presses = Presses(terminal, rng)
    parts = ["loading", "prefill", "thinking", "answering"]
    moments = [(part, twice) for part in parts for twice in (False, True)] * times(1, 12)
    moments += [(part, False) for part in parts] * times(0, 1)
    for part, twice in moments:
        presses.stop(part, twice)
    presses.leave()
    p50, p95 = np.percentile(presses.seconds, (50, 95)) * 1000
    print(f"{len(moments)} moments; from the key to the prompt: {p50:.0f} ms, p95 {p95:.0f} ms")


# Before softchat's own code runs, it is Python that a key ends.
BEGUN = """
from softchat.cli import main, signals
listen = signals._Ending.listen
def begin(self):
    listen(self)
    print("begun", flush=True)
signals._Ending.listen = begin
main()
"""


@pytest.mark.parametrize("presses", [1, 2])
def test_ask(terminal, presses):
    """One press ends `softchat ask` with status 130, wherever it is; so do two."""
    rng = random.Random(presses)
    for _ in range(times(2, 20)):
        one = terminal(program=[sys.executable, "-c", BEGUN, "ask", QUESTION, *THINKING])
        one.until("begun", WAIT_S)
        until = time.monotonic() + rng.uniform(0, 2)
        while time.monotonic() < until:
            one.read(0.01)
        for _ in range(presses):
            one.child.send("\x03")
            one.read(rng.uniform(0, 0.3))
        status = one.finish(WAIT_S)
        assert status == 130, one.text
        assert_clean(one)


@pytest.mark.parametrize(
    ("command", "shows", "key", "ends"),
    [
        (["ask", QUESTION, *THINKING], r"\d+ steps", "\x03", {130}),
        ([*THINKING], LOADED, "\x04", {0, 130}),
        (["models"], "begun", "", {0, 130}),
        (["ask", "-m", "nowhere", "why?"], "begun", "", {3, 130}),
    ],
    ids=["ask", "chat", "models", "error"],
)
def test_whatever_is_pressed_while_it_ends(terminal, command, shows, key, ends):
    """Fifty times, as fast as a terminal takes them: nothing is told of it."""
    one = terminal(program=[sys.executable, "-c", BEGUN, *command])
    one.until(shows, WAIT_S)
    if key:
        one.child.send(key)
    for _ in range(50):
        with suppress(OSError):  # it has ended
            one.child.send("\x03")
        one.read(0.004)
    assert one.finish(WAIT_S) in ends, one.text
    assert not re.search(b"Traceback|KeyboardInterrupt|ignored|never", one.raw), one.raw
    assert not one.screen.cursor.hidden
