"""The child process that renders chat templates in jinja2's immutable sandbox.

`{"template": …, "variables": {…}}` becomes `{"text": …}`, `{"error": …}` or `{"exhausted": true}`.
A template can call what transformers gives it, and nothing else.
"""

from __future__ import annotations

# Some of it is imported as jinja2 would import it later, when no file can be opened any more.
import encodings.unicode_escape  # noqa: F401
import html  # noqa: F401
import json
import textwrap  # noqa: F401
import unicodedata  # noqa: F401
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2.debug  # noqa: F401
from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Namespace

from softchat.base.limits import serve
from softchat.base.local_time import local

_LONGEST = 2**22  # characters that it may write
_LONGEST_ERROR = 300  # characters of what a template says is wrong
_LONGEST_TIME = 100  # characters of a format for the time


class _TooLongError(Exception):
    """The template writes more than it may."""


def main() -> None:
    """Render for the process that started this one, until it ends."""
    local(datetime.now(UTC))  # reads the time zone, which is a file
    serve(_rendered)


def _rendered(request: dict[str, Any]) -> dict[str, Any]:
    try:
        pieces, length = [], 0
        for piece in _compiled(request["template"]).generate(**request["variables"]):
            length += len(piece)
            if length > _LONGEST:
                raise _TooLongError
            pieces.append(piece)
        text = "".join(pieces)
        text.encode()
        return {"text": text}
    except (_TooLongError, MemoryError):
        return {"exhausted": True}
    except UnicodeEncodeError:
        return {"error": "it writes half a character, which is no text"}
    except Exception as error:  # noqa: BLE001  # a stranger's program can raise anything
        return {"error": str(error)[:_LONGEST_ERROR] or type(error).__name__}


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    return _Environment().from_string(source)


class _Generation(Extension):
    """`{% generation %}` marks what is trained on; for rendering it is nothing."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Environment(ImmutableSandboxedEnvironment):
    """What templates expect, as transformers' apply_chat_template provides it."""

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        self.filters["tojson"] = _to_json
        self.globals = {
            "namespace": Namespace,
            "dict": dict,
            "range": safe_range,
            "raise_exception": _raise,
            "strftime_now": _strftime_now,
        }


def _to_json(
    value: Any,  # noqa: ANN401
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The filter as transformers has it: without HTML escapes, and characters as they are."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _strftime_now(form: str) -> str:
    if len(form) > _LONGEST_TIME:  # C libraries write widths, like %99d
        raise ValueError("a time as long as that")
    return datetime.now().strftime(form)


def _raise(message: Any) -> NoReturn:  # noqa: ANN401  # whatever the template hands over
    raise TemplateError(str(message))
