"""A run written down: its events, one JSON object a line. Knows nothing of views or engines."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from softchat.errors import SoftchatError, UsageError
from softchat.events import Error, Event, to_json
from softchat.text import printable


class TraceWriter:
    """Writes events to a file as they come, so that a crash loses no more than the last line.

    Raises:
        UsageError: the file can't be opened for writing.

    """

    def __init__(self, path: Path) -> None:
        try:
            # Questions and answers are nobody else's business: readable by the owner only.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise UsageError(
                f"can't write the trace {printable(str(path), newlines=False)}: {error.strerror}",
                hint="name another file with --trace",
            ) from error
        self._file = os.fdopen(handle, "w", encoding="utf-8")

    def write(self, event: Event) -> None:
        """Append one event."""
        self._file.write(to_json(event) + "\n")
        self._file.flush()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; if the run failed, with the error as its last line."""
        if isinstance(value, SoftchatError):
            self.write(Error.of(value))
        self._file.close()
