"""What goes over the wire: a JSON object a line, in ASCII. Knows no process and no engine.

Down go requests, `{"do": …, "number": N, …}` with numbers that count from 1: `load` a model, `ask`
it something, how much `room` that takes, whether its `servers` are there; and what needs no model
loaded before, `build`, `describe`, `needs` and `pace`. `{"answer": N}` ends the thinking of that
one, whose answer is wanted now; `{"key": K, "of": N}` is a key for that one, of which each step
waits for one; `{"stop": N}` stops that one, whether it runs or is yet to begin, and none after it.
Up come the events of a run as `to_dict` makes them, and at the end of each request
`{"done": N, "used": …}` with its `result`, the `error` that it failed with, or the traceback of a
`bug`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from softchat.base.typed import read
from softchat.errors import SoftchatError
from softchat.events import Error
from softchat.talk.backend import ChatRequest

_encode = json.JSONEncoder(separators=(",", ":")).encode


def line_of(message: dict[str, Any]) -> bytes:
    """The message as a line. Lone surrogates, as in names of files, survive as escapes."""
    return _encode(message).encode("ascii") + b"\n"


def write_line(descriptor: int, message: dict[str, Any]) -> None:
    """Write the message, all of it. Raises BrokenPipeError if nobody is at the other end."""
    line = memoryview(line_of(message))
    while line:
        line = line[os.write(descriptor, line) :]


def read_request(values: dict[str, Any]) -> ChatRequest:
    """The question that `dataclasses.asdict` and JSON made this of."""
    request: ChatRequest = read(values, ChatRequest, "question")
    return request


def error_of(values: dict[str, str]) -> SoftchatError:
    """The error that was raised, as the subclass that it was."""
    kind = next(one for one in _kinds(SoftchatError) if one.kind == values["kind"])
    return kind(values["message"], hint=values["hint"])


def values_of(error: SoftchatError) -> dict[str, str]:
    """What `error_of` reads."""
    return asdict(Error.of(error))


def _kinds(kind: type[SoftchatError]) -> Iterator[type[SoftchatError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
