"""One key at a time, from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.keys import Keys

_FORWARD = {" ", "n", "j", "l", Keys.ControlM, Keys.ControlJ, Keys.Right, Keys.Down, Keys.PageDown}
_LEAVE = {"q", Keys.ControlD}


def forward_key(terminal: Input | None = None) -> Callable[[], bool]:
    """A function that waits for a key: True for space, Enter or an arrow, False for q.

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

    def forward() -> bool:
        while True:
            if not waiting:
                asyncio.run(read())
            key = waiting.pop(0) if waiting else "q"  # the terminal has gone
            if key == Keys.ControlC:
                raise KeyboardInterrupt
            if key in _LEAVE:
                return False
            if key in _FORWARD:
                return True

    return forward
