"""Keys that move through a recorded run."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest
from prompt_toolkit.input import create_pipe_input

from softchat.base.interrupt import Interrupt
from softchat.cli.keys import move_key
from softchat.record.playback import Move


@pytest.mark.parametrize(
    ("typed", "move"),
    [(" ", Move.FORWARD), ("\x1b[C", Move.FORWARD), ("b", Move.BACK), ("xq", Move.LEAVE)],
)
def test_a_key_is_a_move(typed, move):
    """What means nothing is passed over."""
    with create_pipe_input() as terminal:
        terminal.send_text(typed)
        assert move_key(Interrupt(), terminal=terminal)() is move


@pytest.mark.parametrize("typed", [b"q", b"\x04"])
def test_a_key_that_is_typed_too_soon(typed):
    """While the terminal still gathers lines; it is not lost."""
    pty = pytest.importorskip("pty")
    vt100 = pytest.importorskip("prompt_toolkit.input.vt100")
    keyboard, screen = pty.openpty()
    with os.fdopen(screen) as terminal:
        os.write(keyboard, typed)
        assert move_key(Interrupt(), terminal=vt100.Vt100Input(terminal))() is Move.LEAVE
    os.close(keyboard)


def test_ctrl_c_while_it_waits():
    """There it is a key."""
    with create_pipe_input() as terminal:
        terminal.send_text("\x03")
        with pytest.raises(KeyboardInterrupt):
            move_key(Interrupt(), terminal=terminal)()


def test_ctrl_c_before_it_waits(monkeypatch):
    """Until the terminal gives keys it is a signal, which is heard all the same."""
    interrupt = Interrupt()

    @contextlib.contextmanager
    def raw_mode():
        interrupt.press(2, None)  # at the last moment
        yield

    with create_pipe_input() as terminal:
        monkeypatch.setattr(terminal, "raw_mode", raw_mode)
        assert move_key(interrupt, terminal=terminal)() is Move.LEAVE


def test_ctrl_c_that_is_told_late():
    """A signal that another thread has got wakes nobody: it is looked for."""
    interrupt = Interrupt()
    with create_pipe_input() as terminal:
        late = threading.Timer(0.3, interrupt.press, (2, None))
        late.start()
        assert move_key(interrupt, terminal=terminal)() is Move.LEAVE
        late.join()
