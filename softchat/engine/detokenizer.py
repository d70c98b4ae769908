"""Pieces of tokens as text, as they come. Knows nothing of engines."""

from __future__ import annotations

import codecs


class Detokenizer:
    """Bytes in, text out: a character that is split over tokens is held back until it is whole.

    The texts of all `feed` calls and of `finish`, joined, are what the joined bytes decode to, with
    each byte that is no UTF-8 shown as U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, piece: bytes) -> str:
        """The text that is certain now."""
        return self._decoder.decode(piece)

    @property
    def held(self) -> bytes:
        """What is held back: the beginning of a character."""
        return self._decoder.getstate()[0]

    def finish(self) -> str:
        """What was held back; a broken character at the very end is U+FFFD."""
        return self._decoder.decode(b"", final=True)
