"""A view for a person at a terminal without a live panel. Knows events; moves no cursor."""

from __future__ import annotations

from rich.console import Console

from softchat.events import Event, Halted, Started
from softchat.views import BesideAnswer, View
from softchat.views.panel import PanelState, render_summary
from softchat.views.wording import glyphs_for

_LEAST = 70  # cells of the line in the end; no harm is done where a narrower terminal wraps it


class QuietView(BesideAnswer):
    """A line when the thinking begins, the panel's one when it ends; the answer as another view.

    Args:
        console: of the terminal for the lines; gets plain text.
        answer: shows the answer; entered and left by this view.

    """

    def __init__(self, console: Console, answer: View) -> None:
        super().__init__(answer)
        self._console = console
        self._glyphs = glyphs_for(console.encoding)
        self._state = PanelState()

    def show(self, event: Event) -> None:
        """Write a line, if the thinking begins or ends."""
        self._state.fold(event)
        match event:
            case Started(settings=settings):
                self._state = PanelState()
                if settings.get("max_think") != 0 and settings.get("think") is not False:
                    self._line(f"thinking{self._glyphs.ellipsis}")
            case Halted():
                width = max(_LEAST, self._console.width)
                line = render_summary(self._state, event, width=width, glyphs=self._glyphs)
                self._line(line.plain)
        self._answer.show(event)

    def _line(self, text: str) -> None:
        self._console.file.write(f"{text}\n")
        self._console.file.flush()
