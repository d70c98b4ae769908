"""Long output on a terminal goes through the user's pager; in a pipe it goes straight on."""

from __future__ import annotations

import os

from rich.console import Console, RenderableType


def print_paged(console: Console, renderable: RenderableType, *, lines: int) -> None:
    """Print; through the pager if it has more lines than the terminal, and there is one."""
    if not console.is_terminal or lines < console.height - 2:
        console.print(renderable)
        return
    os.environ.setdefault("LESS", "FRX")  # as git does: or less would spell the colours out
    with console.pager(styles=console.color_system is not None):
        console.print(renderable)
