"""Views: whatever shows a run. They know events and nothing else, and only they print.

Importing this package costs nothing; `views.panel` is the one that imports rich.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from softchat.events import Event


class View(Protocol):
    """A context that shows the events of one run, or of several one after the other."""

    def show(self, event: Event) -> None:
        """Show one event, now."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class BesideAnswer:
    """What views have in common that show the thinking, and the answer as another view shows it.

    Args:
        answer: shows the answer; entered and left by this view.

    """

    def __init__(self, answer: View) -> None:
        self._answer = answer

    def __enter__(self) -> Self:
        self._answer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the line of an answer that broke off."""
        self._answer.__exit__(kind, error, traceback)
