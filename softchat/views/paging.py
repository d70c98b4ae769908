"""Long output on a terminal goes through the user's pager; in a pipe it goes straight on."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments

_LOT = 4000  # segments that are written at once: some hundred lines


def print_paged(console: Console, renderable: RenderableType, *, lines: int) -> None:
    """Print; through the pager if it has more lines than the terminal, and there is one.

    In lots, as they are made: what is long begins at once, and is never all in memory, but for a
    pager, which takes one text.
    """
    if not console.is_terminal or lines < console.height - 2:
        for lot in _lots(console, renderable):
            console.print(lot)
        return
    os.environ.setdefault("LESS", "FRX")  # as git does: or less would spell the colours out
    from pydoc import pager  # takes long to import

    written = []
    for lot in _lots(console, renderable):
        with console.capture() as captured:
            console.print(lot)
        written.append(captured.get())
    pager("".join(written))


def _lots(console: Console, renderable: RenderableType) -> Iterator[Segments]:
    """What is printed, in parts of whole lines."""
    held: list[Segment] = []
    for segment in console.render(renderable):
        held.append(segment)
        if len(held) >= _LOT and segment.text.endswith("\n"):
            yield Segments(held)
            held = []
    yield Segments(held)
