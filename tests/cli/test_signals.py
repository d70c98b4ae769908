"""Signals: the process ends of them, and the terminal is as it was, whatever was done with it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.terminal import Terminal

termios = pytest.importorskip("termios")

# A program that leaves a terminal without echo and cursor, and does not look after either.
SPOILED = """
import os, signal, sys, termios, time
from softchat.cli import signals
with signals.in_order():
    modes = termios.tcgetattr(2)
    modes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(2, termios.TCSANOW, modes)
    os.write(2, b"\\x1b[?25l")
    {then}
"""
TERM, STOP = (f"os.kill(os.getpid(), signal.SIG{name})" for name in ("TERM", "TSTP"))
TRY = "\n    try: " + TERM + "\n    "


@pytest.fixture
def spoil():
    """A function that runs such a program on a terminal, in a shell if it is to be gone on with."""

    def run(then, *, program=(), **terminal):
        command = [*program, sys.executable, "-c", SPOILED.format(then=then)]
        environ = os.environ | {"PYTHONPATH": str(Path.cwd())}
        return Terminal((), environ, program=command, **terminal)

    return run


def read_all(one):
    """Up to its end; the terminal stays."""
    while one.read(0.1):
        pass


def assert_as_it_was(one):
    """With echo, lines, and a cursor."""
    flags = termios.tcgetattr(one.child.child_fd)[3]
    assert flags & termios.ECHO
    assert flags & termios.ICANON
    assert not one.screen.cursor.hidden


# Where its exception may go.
WAYS = {
    "SIGTERM": TERM,
    "SIGHUP": "os.kill(os.getpid(), signal.SIGHUP)",
    "SIGQUIT": "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n    "
    "os.kill(os.getpid(), signal.SIGQUIT)",
    "SIGUSR1": "os.kill(os.getpid(), signal.SIGUSR1)",
    "SIGUSR2": "os.kill(os.getpid(), signal.SIGUSR2)",
    "two at once": "def told(): raise OSError\n    class Late:\n        __del__ = lambda _: told()"
    + TRY + "finally: Late()",
    "lost": TRY + "except signals.Ended: pass",
    "another status": TRY + "except signals.Ended: sys.exit(3)",
    "another error": TRY + "except signals.Ended: raise ValueError",
    "a way out without end": TRY + "finally: time.sleep(1000)",
    "ctrl-c on the way out": TRY + "finally: raise KeyboardInterrupt",
    "swallowed by native code": "import ctypes; call = ctypes.CFUNCTYPE(None)(lambda: "
    + TERM + ")\n    call(); time.sleep(1000)",
    "waiting": "import threading; threading.Timer(0.1, lambda: " + TERM + ").start()"
    "\n    time.sleep(1000)",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_signal_ends_it(spoil, way):
    """Also where its exception is lost, or the way out is long; no traceback."""
    one = spoil(WAYS[way])
    read_all(one)
    assert_as_it_was(one)
    one.child.close()
    assert one.child.signalstatus == (
        getattr(signal, way) if way in dir(signal) else signal.SIGTERM
    )
    assert b"Traceback" not in one.raw


@pytest.mark.parametrize(
    "end", ["raise KeyboardInterrupt", "raise ValueError", "sys.exit(3)", "sys.exit(0)", "pass"]
)
def test_whatever_is_raised_leaves_the_terminal(spoil, end):
    """Ctrl-C, a bug, an exit from anywhere; what ends in peace may have left its modes behind."""
    one = spoil(end)
    read_all(one)
    if end == "pass":  # whoever hides a cursor in peace shows it
        one.stream.feed(b"\x1b[?25h")
    assert_as_it_was(one)


def test_a_loop_that_ctrl_c_left_half_made_says_nothing(spoil):
    """asyncio would tell that it lacks what it has not got yet."""
    half = "import asyncio; one = asyncio.SelectorEventLoop.__new__(asyncio.SelectorEventLoop); "
    one = spoil(half + "one._closed = False; del one; print('went on')")
    read_all(one)
    assert b"went on" in one.raw
    assert b"ignored" not in one.raw


def test_a_second_signal_leaves_the_terminal(spoil):
    """It ends the process at once; the first has put the terminal in order."""
    one = spoil(TRY + "finally: " + TERM)
    read_all(one)
    assert_as_it_was(one)
    one.child.close()
    assert one.child.signalstatus == signal.SIGTERM


def test_a_terminal_that_others_are_in_front_of_is_not_ours():
    """A shell's own modes, at its prompt, are none to go back to."""
    looks = "from softchat.cli import signals; print('has', signals._Terminal()._modes is not None)"
    environ = os.environ | {"PYTHONPATH": str(Path.cwd())}
    for shell, has in (('"$0" "$@"', True), ('"$0" "$@" & wait', False)):
        program = ["bash", "-mc", shell, sys.executable, "-c", looks]
        Terminal((), environ, program=program).until(f"has {has}")


def test_a_ctrl_c_while_one_is_heard_of(spoil):
    """The hook for what native code swallows is not left by another; the first is raised again."""
    one = spoil(
        "import ctypes\n"
        "    before = signal.setitimer\n"
        "    def late(*what): signal.raise_signal(signal.SIGINT); return before(*what)\n"
        "    signal.setitimer = late\n"
        "    def press(): raise KeyboardInterrupt\n"
        "    call = ctypes.CFUNCTYPE(None)(press)\n"
        "    call(); time.sleep(20)"
    )
    read_all(one)
    assert_as_it_was(one)
    assert b"ignored" not in one.raw
    assert b"KeyboardInterrupt" in one.raw


def test_ctrl_c_that_native_code_swallows_comes_again(spoil):
    """And nothing is told of where it was swallowed."""
    one = spoil(
        "import ctypes; call = ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))"
        "\n    try: call(); time.sleep(1000)\n    except KeyboardInterrupt: print('again')"
    )
    read_all(one)
    assert b"again" in one.raw
    assert b"ignored" not in one.raw


def test_a_stop_gives_the_terminal_back(spoil):
    """And `fg` finds the modes that were set; the end leaves it as it was in the beginning."""
    shell = ["bash", "-mc", '"$0" "$@"; echo stopped; read line; fg']
    one = spoil(
        STOP + "\n    print('modes', bool(termios.tcgetattr(2)[3] & termios.ECHO))\n    " + TERM,
        program=shell,
    )
    one.until("stopped")
    assert_as_it_was(one)
    one.child.send("\r")
    one.until("modes False")
    read_all(one)
    assert_as_it_was(one)


def test_a_dumb_terminal_gets_no_escapes(spoil):
    """It would print them."""
    one = spoil(TERM, term="dumb")
    one.finish()
    assert b"\x1b[?25h" not in one.raw


def test_one_that_is_held_is_not_waited_for(spoil):
    """After a Ctrl-S it takes nothing."""
    one = spoil("os.write(2, b'!')\n    time.sleep(1)\n    " + TERM)
    one.until("!")
    one.child.sendcontrol("s")
    deadline = time.monotonic() + 60
    while one.child.isalive():  # reading would not free it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert one.child.signalstatus == signal.SIGTERM


def test_a_signal_that_is_ignored_stays_so(spoil):
    """As nohup has it."""
    one = spoil(TERM, program=["sh", "-c", 'trap \'\' TERM HUP; exec "$0" "$@"'])
    assert one.finish() == 0
