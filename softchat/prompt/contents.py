"""Contents of messages, kept from being read as markers: what is typed or loaded stays text.

A chat template mixes its own markers (`<|im_end|>`) with contents that may spell the same. So what
is a marker to the vocabulary is taken out of the contents first, and a private-use character stands
for it: that goes wherever the template takes the content, be it trimmed, split or repeated. In the
finished prompt it is put back, as the ordinary tokens that spell it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from softchat.engine.protocol import Engine
from softchat.errors import UsageError

_FIRST = 0x100000  # plane 16: private use, and in no chat template
_LAST = 0x10FFFD
_STAND_INS = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]+")
_MOST = 4096  # markers in one prompt: each is looked for in all of it
_LONG = 256  # signs of a marker, of which each may have to be spelled alone
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
        text = _STAND_INS.sub(lambda match: chr(0xFFFD) * len(match[0]), text)
        while markers := self._markers(text):  # where one was, another one may come to be
            for marker in sorted(markers, key=len, reverse=True):
                text = text.replace(marker, self._stand_in(marker))
        text = _OPEN_AT_END.sub(lambda match: self._stand_in(match[0]), text)
        return _CLOSE_AT_START.sub(lambda match: match[1] + self._stand_in(match[2]), text)

    def tokenize(self, text: str) -> list[int]:
        """A prompt's tokens: its own markers are read as such, those of contents are not."""
        engine = self._engine
        if not self._stand_ins:
            return engine.tokenize(text, special=True)
        spelled = {stand_in: self._plain(marker) for marker, stand_in in self._stand_ins.items()}
        tokens: list[int] = []
        for part in re.split(f"([{''.join(spelled)}])", text):
            if part in spelled:
                tokens += spelled[part]
            elif part:
                tokens += engine.tokenize(part, special=True)
        return tokens

    def _stand_in(self, marker: str) -> str:
        return self._stand_ins.setdefault(marker, chr(_FIRST + len(self._stand_ins)))

    def _markers(self, text: str) -> set[str]:
        """What the vocabulary takes for markers in a text, as it is spelled there.

        Raises:
            UsageError: they are too many.

        """
        engine, found = self._engine, set()
        parts = filter(None, _STAND_INS.split(text))  # not every vocabulary can spell a stand-in
        for token in {token for part in parts for token in engine.tokenize(part, special=True)}:
            if engine.is_special(token):
                marker = engine.piece(token).decode("utf-8", "replace")
                control = token not in engine.tokenize(marker)
                is_there = marker and marker in text and not _STAND_INS.search(marker)
                if is_there and (control or marker in self._template):
                    found.add(marker)
        if len(found | self._stand_ins.keys()) > _MOST:
            raise UsageError(
                f"the text names more than {_MOST} special tokens of this model",
                hint="is it a vocabulary? ask about a part of it",
            )
        return found

    def _plain(self, marker: str) -> Sequence[int]:
        """The marker in ordinary tokens."""
        tokenize, tokens = self._engine.tokenize, list[int]()
        for place in range(min(len(marker), _LONG)):
            rest = tokenize(marker[place:])
            if not any(map(self._engine.is_special, rest)):
                return [*tokens, *rest]
            tokens += tokenize(marker[place])
        return [*tokens, *chain(*map(tokenize, marker[_LONG:]))]
