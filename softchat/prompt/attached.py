"""A question and the texts that go with it (files, stdin), as one message. Knows no model.

The texts come first, each under its name and between quotes, and the question last: so `llm` and
`ollama run` have it, and small models answer better than with the question first.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from softchat.base.files import missing_hint, open_stream
from softchat.base.text import one_line
from softchat.errors import UsageError

MOST = 2**23
"""Bytes that are read of one text: no context here holds more, and some things have no end."""
_BLOCK = re.compile(r'([^\n]+):\n(?P<fence>"{3,})\n(?P<text>.*?)\n(?P=fence)\n\n', re.DOTALL)
_FENCE = re.compile('"{3,}')
_MARKS = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A text that goes with a question."""

    name: str
    text: str


def join(question: str, texts: Sequence[Attached]) -> str:
    """The message: all texts, then the question. One text alone is the question itself."""
    if not question.strip() and len(texts) == 1:
        return texts[0].text.strip()
    return "".join(map(_block, texts)) + question.strip()


def split(message: str) -> tuple[list[Attached], str]:
    """The texts in a message that `join` made, and its question."""
    texts, at = [], 0
    while block := _BLOCK.match(message, at):
        texts.append(Attached(name=block[1], text=block["text"]))
        at = block.end()
    return texts, message[at:]


def in_short(message: str) -> str:
    """The message as people name it: the names of its texts in brackets, and the question."""
    texts, question = split(message)
    return " ".join([*(f"[{one.name}]" for one in texts), question]).strip()


def _block(attached: Attached) -> str:
    longest = max(map(len, _FENCE.findall(attached.text)), default=2)
    fence = '"' * (longest + 1)
    return f"{attached.name}:\n{fence}\n{attached.text.strip(chr(10))}\n{fence}\n\n"


def read_file(path: Path) -> Attached:
    """A file of text.

    Raises:
        UsageError: it can't be read, is no text, or is too long.

    """
    shown = one_line(str(path))
    try:
        with open_stream(path) as file:
            return Attached(name=one_line(path.name), text=read(file, shown))
    except IsADirectoryError as error:
        raise UsageError(f"{shown} is a folder", hint="name its files, one by one") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"can't read {shown}: {reason}", hint=missing_hint(path)) from error


def read(stream: BinaryIO, shown: str) -> str:
    """What a stream holds, which may have no end.

    Args:
        stream: read to its end, or to where it is too long.
        shown: what it is called in an error.

    Raises:
        UsageError: it is no text, or too long.

    """
    data = stream.read(MOST + 1)
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding != "utf-16" and b"\0" in data:
        raise UsageError(f"{shown} is no text", hint="only text can be read: convert it first")
    if len(data) > MOST:
        hint = "give the part that matters, as of head -c 100000"
        raise UsageError(f"{shown} is longer than {MOST >> 20} MB", hint=hint)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        hint = "convert it first, as with iconv -t utf-8"
        raise UsageError(f"{shown} is not UTF-8 text", hint=hint) from error
