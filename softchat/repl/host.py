"""What a slash command may use of the session's loop, which is its host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from softchat.events import Event
    from softchat.models import Located
    from softchat.prompt.attached import Attached
    from softchat.record.trace import TraceWriter
    from softchat.repl.session import Session
    from softchat.views.wording import Glyphs


class Host(Protocol):
    """What a command may use of the loop that runs it."""

    session: Session
    console: Console
    glyphs: Glyphs
    trace: TraceWriter | None
    trace_path: Path | None
    find: Callable[[str], Located]
    attached: list[Attached]
    """Texts that go with the next question."""

    def say(self, text: str, style: str = "") -> None:
        """Print a line of softchat's own."""

    def keep(self, *, pending: str = "") -> None:
        """Write the session down as it is now."""

    def run_turn(self, events: Iterator[Event]) -> None:
        """Show a turn, write it down, and keep the session."""

    def run_quietly(self, events: Iterator[Event]) -> list[Event] | None:
        """Run a turn without showing it; None if it was stopped."""

    def save_as(self, path: Path) -> None:
        """Write the session to a file of the user's. Raises UsageError."""

    def is_own(self, path: Path) -> bool:
        """Whether this file holds what this session has written there, or comes from."""

    def refuse_used(self, path: Path, *, by: str) -> None:
        """Raise UsageError if the session comes from this file, or sessions are kept there."""

    def load_from(self, path: Path) -> None:
        """Take up a session from a file; the one so far stays as it is. Raises UsageError."""

    def end_trace(self) -> None:
        """Close the trace, if there is one."""

    def resume(self, name: str) -> None:
        """Go on with another session. Raises SoftchatError."""

    def edit(self, text: str) -> None:
        """Have this on the line that is typed next."""
