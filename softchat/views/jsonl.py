"""The event contract on a stream: one JSON object a line. Knows nothing of terminals or wording."""

from __future__ import annotations

import json
from typing import TextIO

from softchat.base.closeable import Closeable
from softchat.base.text import inert_json, is_unicode
from softchat.events import Event, to_dict, to_json


class JsonView(Closeable):
    """Every event, as it happens."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unicode = is_unicode(stream.encoding)

    def show(self, event: Event) -> None:
        """Write the event's line."""
        # Escapes of ASCII are the same JSON, and pass through any encoding.
        line = to_json(event) if self._unicode else json.dumps(to_dict(event), allow_nan=False)
        self._stream.write(inert_json(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to close: the stream is the caller's."""
