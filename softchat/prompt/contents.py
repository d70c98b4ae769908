"""Contents of messages, kept from being read as markers: what is typed or loaded stays text.

A chat template mixes its own markers (`<|im_end|>`) with contents that may spell the same. So what
is a marker to the vocabulary is taken out of the contents first, and a private-use character stands
for it: that goes wherever the template takes the content, be it trimmed, split or repeated. In the
finished prompt it is put back, as the ordinary tokens that spell it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from softchat.engine.protocol import Engine

_FIRST = 0x100000  # plane 16: private use, and in no chat template
_LAST = 0x10FFFD
# What could become a marker together with what the template writes beside it.
_OPEN_AT_END = re.compile(r"[<\[](?=[^<>\[\]\s]{0,64}$)")
_CLOSE_AT_START = re.compile(r"(?<=^)([^<>\[\]\s]{0,64})([>\]])")

MARK = "\N{WHITE SQUARE CONTAINING BLACK SMALL SQUARE}answer\N{WHITE SQUARE}"
"""Stands in a prompt for a text that is looked for and cut out again: no token ever sees it."""


class Contents:
    """The contents of one prompt.

    Args:
        engine: whose vocabulary says what a marker is.
        template: the chat template and the thinking tags: of tokens that somebody has added to the
            vocabulary without making them control tokens, those are markers that stand in it.

    """

    def __init__(self, engine: Engine, template: str) -> None:
        self._engine, self._template = engine, template
        self._stand_ins: dict[str, str] = {}  # by what they stand for

    def hide(self, text: str) -> str:
        """The text of a message, with a stand-in for each marker."""
        if text == MARK:  # a vocabulary that can't spell it would end the process
            return text
        text = "".join(chr(0xFFFD) if _FIRST <= ord(sign) <= _LAST else sign for sign in text)
        text = self._without_markers(text)
        text = _OPEN_AT_END.sub(lambda match: self._stand_in(match[0]), text)
        return _CLOSE_AT_START.sub(lambda match: match[1] + self._stand_in(match[2]), text)

    def tokenize(self, text: str) -> list[int]:
        """A prompt's tokens: its own markers are read as such, those of contents are not."""
        engine = self._engine
        if not self._stand_ins:
            return engine.tokenize(text, special=True)
        spelled = {stand_in: marker for marker, stand_in in self._stand_ins.items()}
        tokens: list[int] = []
        for part in re.split(f"([{''.join(spelled)}])", text):
            if part in spelled:
                tokens += self._plain(spelled[part])
            elif part:
                tokens += engine.tokenize(part, special=True)
        return tokens

    def _without_markers(self, text: str) -> str:
        marker = max(self._markers(text), key=len, default="")
        if not marker:
            return text
        parts = map(self._without_markers, text.split(marker))
        return self._stand_in(marker).join(parts)

    def _stand_in(self, marker: str) -> str:
        return self._stand_ins.setdefault(marker, chr(_FIRST + len(self._stand_ins)))

    def _markers(self, text: str) -> Iterator[str]:
        """What the vocabulary takes for markers in a text, as it is spelled there."""
        engine = self._engine
        for token in set(engine.tokenize(text, special=True)):
            if engine.is_special(token):
                marker = engine.piece(token).decode("utf-8", "replace")
                control = token not in engine.tokenize(marker)
                if marker in text and (control or marker in self._template):
                    yield marker

    def _plain(self, marker: str) -> Sequence[int]:
        """The marker in ordinary tokens."""
        tokens = self._engine.tokenize(marker)
        if len(marker) > 1 and any(map(self._engine.is_special, tokens)):
            return [*self._plain(marker[:1]), *self._plain(marker[1:])]
        return tokens
