"""Draws docs/panel.svg, the README's picture, from a real run: `python tests/picture.py TRACE`.

TRACE is a file that `softchat ask --trace` wrote; the panel is as it was at step 20 of it, or the
last one.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console

from softchat.events import Prefill, Started, Step
from softchat.record.trace import replay
from softchat.views.panel import PanelState, render_panel
from softchat.views.wording import UNICODE

STEP = 20
WIDTH = 92


def main() -> None:
    """Read the trace, write the picture."""
    state = PanelState()
    for event in replay(Path(sys.argv[1])):
        match event:
            case Started() | Prefill():
                state.fold(event)
            case Step(index=index) if index <= STEP:
                state.fold(event)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render_panel(state, width=WIDTH, height=24, glyphs=UNICODE), soft_wrap=True)
    console.save_svg("docs/panel.svg", title="softchat ask")


if __name__ == "__main__":
    main()
