"""`--schema`: the JSON that an answer must be, as a schema, a file of one, or a list of fields."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

from softchat.base.text import one_line
from softchat.cli.options import flag
from softchat.errors import SoftchatError, UsageError
from softchat.events import FinishReason
from softchat.models.folders import expand, is_file
from softchat.settings import ANSWER

if TYPE_CHECKING:
    from softchat.talk.conversation import Turn

Schema = Annotated[
    str | None,
    flag(
        "--schema",
        metavar="JSON|FILE|FIELDS",
        help="JSON that the answer must be: a JSON schema, its file, or 'name, age int'.",
        rich_help_panel=ANSWER,
    ),
]
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_FIELD = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\s+(?P<type>\w+))?(?:\s*:.*)?")
_HINT = "as in 'name, age int', or JSON in {}, or the name of a file that holds it"


def grammar_of(given: str) -> str:
    """The grammar of what `--schema` was given.

    Raises:
        UsageError: it is nothing that it can be.

    """
    from softchat.engine.schema import grammar_of as grammar_of_schema
    from softchat.prompt.attached import read_file

    text = given.strip()
    if text.startswith("{"):
        return grammar_of_schema(_schema(text, "--schema"))
    path = expand(text)
    if "/" in text or text.endswith(".json") or is_file(path):
        return grammar_of_schema(_schema(read_file(path).text, one_line(str(path))))
    return grammar_of_schema(_of_fields(text))


def _schema(text: str, where: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The pairs as an object; Python would keep the last of those with one name."""
        found = dict(pairs)
        if len(found) < len(pairs):
            raise _said_twice([name for name, _ in pairs], where)
        return found

    try:
        schema = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} holds no JSON: {one_line(str(error))}", hint=_HINT) from error
    if not isinstance(schema, dict):
        raise UsageError(f"{where} holds no JSON schema, which is an object", hint=_HINT)
    return schema


def _of_fields(text: str) -> dict[str, Any]:
    """The object that has these fields, as llm writes it: `name, age int, bio: in one line`."""
    properties: dict[str, Any] = {}
    names = []
    for field in filter(str.strip, text.split("\n" if "\n" in text else ",")):
        found = _FIELD.fullmatch(field.strip())
        kind = _TYPES.get(found["type"] or "str") if found else None
        if found is None or kind is None:
            shown = one_line(field.strip())[:40]
            types = ", ".join(_TYPES)
            raise UsageError(f"'{shown}' is no field of a schema", hint=f"{_HINT}; types: {types}")
        properties[found["name"]] = {"type": kind}
        names.append(found["name"])
    if not properties:
        raise UsageError("--schema names nothing", hint=_HINT)
    if len(properties) < len(names):
        raise _said_twice(names, "--schema")
    return {"type": "object", "properties": properties, "required": [*properties]}


def _said_twice(names: list[str], where: str) -> UsageError:
    name = next(name for place, name in enumerate(names) if name in names[:place])
    return UsageError(f"{where} has '{one_line(name)[:40]}' twice", hint="keep one of the two")


def check_json(turn: Turn) -> None:
    """Raise SoftchatError unless an answer is JSON, and whole, as it is if it was not cut."""
    reason = turn.finished.finish_reason if turn.finished else FinishReason.STOP
    hint = "--max-answer N gives it more room"
    if reason is FinishReason.LOOP:
        hint = "it went in circles: say more of what is wanted, or bound it in the schema"
    try:
        value = json.loads(turn.answer)
    except (ValueError, RecursionError) as error:
        raise SoftchatError("the answer was cut, and is no JSON", hint=hint) from error
    if reason is not FinishReason.STOP and type(value) in (int, float):  # all else says its end
        raise SoftchatError("the answer was cut, in the middle of a number", hint=hint)
