"""One key at a time, from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.keys import Keys

from softchat.record.playback import Move

_FORWARD = {" ", "n", "j", "l", Keys.ControlM, Keys.ControlJ, Keys.Right, Keys.Down, Keys.PageDown}
_BACK = {"p", "b", "k", "h", Keys.ControlH, Keys.Left, Keys.Up, Keys.PageUp}
_MOVES = (
    dict.fromkeys(_FORWARD, Move.FORWARD)
    | dict.fromkeys(_BACK, Move.BACK)
    | dict.fromkeys(("q", Keys.ControlD), Move.LEAVE)
)


def move_key(terminal: Input | None = None) -> Callable[[], Move]:
    """A function that waits for a key: space, Enter or an arrow go on, arrows back, q leaves.

    It raises KeyboardInterrupt for Ctrl-C. Between two calls the terminal is as it was.
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
            await some.wait()

    def move() -> Move:
        while True:
            if not waiting:
                asyncio.run(read())
            key = waiting.pop(0) if waiting else "q"  # the terminal has gone
            if key == Keys.ControlC:
                raise KeyboardInterrupt
            if key in _MOVES:
                return _MOVES[key]

    return move
