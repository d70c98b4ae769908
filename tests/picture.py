"""Draws docs/panel.svg, the README's picture, from a real run: `python tests/picture.py TRACE`.

TRACE is a file that `softchat ask --trace` wrote; the panel is as it was at step 40 of it, or the
last one.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from rich.console import Console

from softchat.events import ConceptEntry, ModelInfo, Prefill, Started, Step
from softchat.views.panel import PanelState, render_panel
from softchat.views.wording import UNICODE

STEP = 40
WIDTH = 92


def main() -> None:
    """Read the trace, write the picture."""
    state = PanelState()
    title = "softchat ask"
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        match fields.pop("event"):
            case "started":
                fields["model"] = ModelInfo(**fields["model"])
                state.fold(Started(**fields))
            case "prefill":
                state.fold(Prefill(**fields))
            case "step" if fields["index"] <= STEP:
                fields["concept"] = tuple(ConceptEntry(**entry) for entry in fields["concept"])
                state.fold(Step(**fields))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render_panel(state, width=WIDTH, height=24, glyphs=UNICODE), soft_wrap=True)
    console.save_svg("docs/panel.svg", title=title)


if __name__ == "__main__":
    main()
