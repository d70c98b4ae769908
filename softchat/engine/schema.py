"""JSON schemas as grammars, converted by llama-cpp-python in a child process that has hard limits.

A schema is somebody's program: `{"minItems": 1000000000}` alone would fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softchat.base.child import Child, ChildError
from softchat.base.text import one_line
from softchat.errors import UsageError

_child = Child("softchat.engine.schema_converter")


def grammar_of(schema: Mapping[str, Any], *, child: Child = _child) -> str:
    """The grammar (GBNF) of all JSON texts that this JSON schema describes.

    Raises:
        UsageError: it is no schema, or one that can't be converted.

    """
    try:
        answer = child.ask({"schema": schema})
    except ChildError as error:
        raise UsageError(f"the schema can't be read: {error}", hint="leave out --schema") from error
    except RecursionError:
        answer = None
    finally:
        child.close()
    if answer is None or "exhausted" in answer:
        raise UsageError("the schema is too large", hint="smaller counts, fewer levels")
    if "error" in answer:
        raise UsageError(
            f"the schema can't be used: {one_line(answer['error'])}",
            hint="references must be to its own parts, patterns between ^ and $",
        )
    return str(answer["grammar"])
