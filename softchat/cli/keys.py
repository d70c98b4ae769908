"""One key at a time, from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.keys import Keys

from softchat.record.playback import Move

_LOOK_S = 0.1  # between two looks for a Ctrl-C
_FORWARD = {" ", "n", "j", "l", Keys.ControlM, Keys.ControlJ, Keys.Right, Keys.Down, Keys.PageDown}
_BACK = {"p", "b", "k", "h", Keys.ControlH, Keys.Left, Keys.Up, Keys.PageUp}
# A Ctrl-D that is typed before the terminal gives keys is a NUL to Linux, once it does.
_LEAVE = {"q", Keys.ControlD, Keys.ControlAt}
_MOVES = (
    dict.fromkeys(_FORWARD, Move.FORWARD)
    | dict.fromkeys(_BACK, Move.BACK)
    | dict.fromkeys(_LEAVE, Move.LEAVE)
)


def move_key(
    interrupted: Callable[[], bool], *, terminal: Input | None = None
) -> Callable[[], Move]:
    """A function that waits for a key: space, Enter or an arrow go on, arrows back, q leaves.

    It raises KeyboardInterrupt for Ctrl-C. Between two calls the terminal is as it was, and Ctrl-C
    a signal: then, if `interrupted`, it leaves.
    """
    source = terminal or create_input(always_prefer_tty=True)
    waiting: list[Keys | str] = []  # typed, and not yet asked for

    async def read() -> None:
        some = asyncio.Event()

        def ready() -> None:
            waiting.extend(press.key for press in source.read_keys())
            if waiting or source.closed:
                some.set()

        with source.raw_mode(), source.attach(ready):
            # From here on Ctrl-C is a key; but one from before may be told late, to another thread,
            # which does not wake this one.
            while not (some.is_set() or interrupted()):
                with suppress(TimeoutError):
                    await asyncio.wait_for(some.wait(), _LOOK_S)

    def move() -> Move:
        while True:
            if not waiting:
                asyncio.run(read())
            if interrupted():
                return Move.LEAVE
            key = waiting.pop(0) if waiting else "q"  # the terminal has gone
            if key == Keys.ControlC:
                raise KeyboardInterrupt
            if key in _MOVES:
                return _MOVES[key]

    return move
