"""Draws the panel of a real run, as docs has it: `python tests/picture.py TRACE STEP OUT.svg`.

TRACE is a file that `softchat ask --trace` wrote; the panel is as it was at that step of it, or the
last one. docs/panel.svg is of step 20, docs/frontier.svg of step 2.
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

WIDTH = 92


def main() -> None:
    """Read the trace, write the picture."""
    trace, last, picture = sys.argv[1:]
    state = PanelState()
    for event in replay(Path(trace)):
        match event:
            case Started() | Prefill():
                state.fold(event)
            case Step(index=index) if index <= int(last):
                state.fold(event)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render_panel(state, width=WIDTH, height=24, glyphs=UNICODE), soft_wrap=True)
    console.save_svg(picture, title="softchat ask")


if __name__ == "__main__":
    main()
