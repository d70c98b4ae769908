"""JSON schemas as grammars. What an answer would not be held to is refused. Knows no llama.cpp.

The grammar may describe less than the schema (no property that has no name in it, no number beyond
16 digits), never more. The one exception is told in docs/everyday.md: `oneOf` is taken as `anyOf`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from itertools import groupby, takewhile
from typing import Any
from urllib.parse import unquote

from softchat.base.text import one_line
from softchat.engine.schema_pattern import CHARACTER, Unusable, of_pattern
from softchat.errors import UsageError

_MOST = 4000  # parts of a schema that are looked at, those behind references at each
_LARGEST_COUNT = 1000  # repetitions, and constants of an enum
_MOST_OPTIONAL = 200  # properties that may be left out, of one object: llama.cpp takes n² for them
_MOST_WAYS = 200  # that are no constants, side by side: llama.cpp tries all of them with each token
_MOST_ALIKE = 400  # constants of which each begins with the one before: brackets in brackets
_LONGEST_NUMBER = 16  # digits: what a float of 64 bits can tell apart
_LARGEST = 10**_LONGEST_NUMBER - 1
_RULES = {
    "space": '" "?',
    "char": CHARACTER,
    "string": r'"\"" char* "\""',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "integer": '"-"? whole',
    "number": '"-"? whole fraction? ([eE] [-+]? [0-9]{1,2})?',
    "whole": f'"0" | [1-9] [0-9]{{0,{_LONGEST_NUMBER - 1}}}',
    "fraction": f'"." [0-9]{{1,{_LONGEST_NUMBER}}}',
    "object": '"{" space (string ":" space value ("," space string ":" space value)*)? space "}"',
    "array": '"[" space (value ("," space value)*)? space "]"',
    "value": "object | array | string | number | boolean | null",
    "date": '[12] [0-9]{3} "-" (("0" [13578] | "1" [02]) "-" (day | "29" | "30" | "31")'
    ' | ("0" [469] | "11") "-" (day | "29" | "30") | "02-" day)',
    "day": '"0" [1-9] | "1" [0-9] | "2" [0-8]',
    "time": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})?'
    ' ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
    "hex": "[0-9a-f]",
}
_FORMATS = {
    "date": r'"\"" date "\""',
    "time": r'"\"" time "\""',
    "date-time": r'"\"" date "T" time "\""',
    "uuid": r'"\"" hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12} "\""',
}
_LENGTHS = {"date": (10, 10), "time": (9, 18), "date-time": (20, 29), "uuid": (36, 36)}
_IS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
_KEYWORDS = {  # by the type that each makes of a schema that names none
    "object": {"properties", "required", "additionalProperties", "unevaluatedProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "unevaluatedItems"},
    "string": {"pattern", "minLength", "maxLength", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
_CONSTANT = {"enum", "const", "type"}
_COUNTS = {"minLength", "maxLength", "minItems", "maxItems"}
_EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_UNEVALUATED = {"unevaluatedProperties": "additionalProperties", "unevaluatedItems": "items"}
_PARTS = {"$ref", "allOf", "anyOf", "oneOf"}
_HAS: tuple[tuple[set[str], Callable[[Any], bool], str], ...] = (  # what is no such, is told so
    ({"required", "prefixItems", "allOf", "anyOf", "oneOf", "enum"}, _IS["array"], "list"),
    ({"properties"}, _IS["object"], "object"),
    (_COUNTS, lambda it: _IS["number"](it) and it >= 0 and it % 1 == 0, "whole number from 0 on"),
    ({"minimum", "maximum"}, lambda it: _IS["number"](it) and abs(it) < math.inf, "number"),
    ({*_EXCLUSIVE}, lambda it: isinstance(it, bool | int | float) and abs(it) < math.inf, "number"),
    ({"pattern", "format"}, _IS["string"], "text"),
    ({"items", "additionalProperties"}, lambda it: isinstance(it, bool | Mapping), "schema"),
    ({"required"}, lambda it: all(isinstance(name, str) for name in it), "list of texts"),
)
_HELD = _PARTS.union({"type", "enum", "const"}, *_KEYWORDS.values())
_NOT_HELD = (
    {"not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies"}
    | {"patternProperties", "propertyNames", "minProperties", "maxProperties", "multipleOf"}
    | {"uniqueItems", "contains", "minContains", "maxContains", "additionalItems"}
    | {"$dynamicRef", "$recursiveRef"}
)
_SAID = (  # to readers and programs: nothing of it is about the answer
    {"title", "description", "default", "example", "examples", "deprecated", "readOnly"}
    | {"writeOnly", "contentEncoding", "contentMediaType", "contentSchema", "definitions", "id"}
    | {"nullable", "discriminator", "externalDocs", "xml"}  # OpenAPI's
)
_NEAR = 0.75  # how alike an unknown word is to a keyword that was meant
_NOTHING_IF_FALSE = {"uniqueItems", "additionalItems"}


def grammar_of(schema: Mapping[str, Any]) -> str:
    """The grammar (GBNF) of JSON texts that this JSON schema describes.

    Raises:
        UsageError: it is no schema, or one that no answer can be held to.

    """
    try:
        return _Conversion(schema).grammar()
    except RecursionError as error:
        raise UsageError("the schema is too large", hint="fewer levels") from error
    except Unusable as error:
        said, hint = str(error), error.hint
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        said, hint = str(error), ""  # a wrong schema can raise anything
    raise UsageError(
        f"the schema can't be used: {one_line(said)[:200]}",
        hint=hint or "a simpler one; docs/everyday.md tells what an answer can be held to",
    )


class _Conversion:
    """The rules that a schema becomes: those of JSON, and one for each part with a name."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401  # JSON
        self._whole = schema
        self._rules = dict(_RULES)
        self._refs: dict[str, str] = {}
        self._seen = 0

    def grammar(self) -> str:
        _check_keys(self._whole)
        _check_addresses(self._whole)
        self._rules["root"] = self._of(self._whole)
        return "\n".join(f"{name} ::= {rule}" for name, rule in self._rules.items())

    def _of(self, schema: Any) -> str:  # noqa: ANN401
        """What this part of the schema describes, as one item of a rule."""
        self._count()
        held = _held(schema)
        if "$ref" in held and len(held) == 1:
            return self._reference(held["$ref"])
        if "$ref" in held:
            return self._of(_both(_closed(self._target(held.pop("$ref"))), held))
        if "allOf" in held and len(held) == len(held["allOf"]) == 1:
            return self._of(held["allOf"][0])
        if "allOf" in held:
            for part in held.pop("allOf"):
                held = _both(held, _closed(self._direct(part)))
            return self._of(held)
        for keyword in ("anyOf", "oneOf"):
            if keyword in held:
                return self._any(held.pop(keyword), held)
        if "enum" in held or "const" in held:
            return _literals(_constants(held))
        kind = held.get("type", _kind(held))
        if isinstance(kind, list):
            return self._any([{"type": one} for one in kind], _without(held, "type"))
        return self._of_type(kind, held)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > _MOST:
            raise Unusable("it is too large, or refers to itself")

    def _of_type(self, kind: object, held: dict[str, Any]) -> str:
        match kind:
            case "object":
                return self._object(held)
            case "array":
                return self._array(held)
            case "string":
                return _string(held)
            case "integer" | "number":
                return _number(str(kind), held)
            case "boolean" | "null":
                return str(kind)
            case "value" if "type" not in held:  # which is no type of theirs
                return "value"
        raise Unusable(f"there is no type {json.dumps(kind)}")

    def _any(self, schemas: list[Any], held: dict[str, Any]) -> str:
        """One of these, and what is said beside them; those that can't be are passed over."""
        possible = [one for one in schemas if one is not False]
        if held:
            possible = [_both(held, _closed(self._direct(one))) for one in possible]
        constants: list[Any] = []
        items = []
        for one in possible:
            what = _held(self._direct(one))
            if what.keys() <= _CONSTANT and what.keys() & {"enum", "const"}:
                self._count()
                constants += _constants(what)
            else:
                items.append(self._of(one))
        if len(items) > _MOST_WAYS:
            raise Unusable(f"more than {_MOST_WAYS} ways, not counting constants, in one place")
        return _one_of([*items, *([_literals(constants)] if constants else [])])

    def _direct(self, schema: Any) -> Any:  # noqa: ANN401
        """The schema, or what it refers to if it does nothing else."""
        while isinstance(schema, dict) and "$ref" in schema and len(_held(schema)) == 1:
            self._count()
            schema = self._target(schema["$ref"])
        return schema

    def _reference(self, ref: Any) -> str:  # noqa: ANN401
        target = self._target(ref)
        if ref not in self._refs:
            self._refs[ref] = f"ref{len(self._refs)}"  # before what may refer to it again
            self._rules[self._refs[ref]] = self._of(target)
        return self._refs[ref]

    def _target(self, ref: Any) -> Any:  # noqa: ANN401
        if not isinstance(ref, str) or (ref != "#" and not ref.startswith("#/")):
            raise Unusable(f"it refers to {json.dumps(ref)}, which is no part of it (#/…)")
        target = self._whole
        for part in unquote(ref).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            try:
                target = target[_index(name)] if isinstance(target, list) else target[name]
            except (LookupError, TypeError, ValueError):
                raise Unusable(f"it refers to {json.dumps(ref)}, which it has not") from None
        return target

    def _object(self, held: dict[str, Any]) -> str:
        properties, required = dict(held.get("properties", {})), list(held.get("required", []))
        others = held.get("additionalProperties", held.get("unevaluatedProperties", True))
        if not properties and not required:
            if others is False:
                return r'"{" space "}"'
            pair = self._named(f'string ":" space {self._of(others)}')
            return f'("{{" space ({pair} ("," space {pair})*)? space "}}")'
        for name in required:
            properties.setdefault(name, others)
        pairs = [
            (self._named(f'{_literal(name)} ":" space {self._of(value)}'), name in required)
            for name, value in properties.items()
            if value is not False or name in required
        ]
        if sum(not needed for _, needed in pairs) > _MOST_OPTIONAL:
            raise Unusable(
                f"an object has more than {_MOST_OPTIONAL} properties that may be left out"
            )
        return f'("{{" space {self._pairs(pairs)} space "}}")'

    def _pairs(self, pairs: list[tuple[str, bool]]) -> str:
        """In this order; all that are required, and any of the others."""
        tails = [""]  # behind each pair
        for pair, needed in reversed(pairs):
            rest = f'"," space {pair}' if needed else f'("," space {pair})?'
            tails.insert(0, self._named(f"{rest} {tails[0]}"))
        firsts = []
        for (pair, needed), tail in zip(pairs, tails[1:], strict=True):
            firsts.append(f"{pair} {tail}")
            if needed:
                return _one_of(firsts)
        return f"{_one_of(firsts)}?" if firsts else ""

    def _array(self, held: dict[str, Any]) -> str:
        first, rest = held.get("prefixItems", []), held.get("items", True)
        if "unevaluatedItems" in held and "items" not in held:
            rest = False
        least, most = held.get("minItems", 0), held.get("maxItems")
        before = sum(1 for _ in takewhile(lambda one: one is not False, first))
        if before < len(first):  # nothing can be there, nor behind it
            most = before if most is None else min(most, before)
        if most is not None:
            first = first[:most]
        counts = _counts(least - len(first), None if most is None else most - len(first))
        if first and ("items" not in held or rest is False or most == len(first)):
            if least > len(first):
                raise Unusable("an array is to have more items than it can have")
            items = ' "," space '.join(self._of(one) for one in first)
        elif rest is False or most == 0:
            items = ""
        elif first:
            others = f'("," space {self._of(rest)}){counts}'
            items = ' "," space '.join(self._of(one) for one in first) + f" {others}"
        else:
            item = self._named(self._of(rest))
            counts = _counts(least - 1, None if most is None else most - 1)
            items = f'({item} ("," space {item}){counts}){"" if least else "?"}'
        if least and not items:
            raise Unusable("an array is to have more items than it can have")
        return f'("[" space {items} space "]")'

    def _named(self, rule: str) -> str:
        name = f"part{len(self._rules)}"
        self._rules[name] = rule
        return name


def _check_keys(whole: Any) -> None:  # noqa: ANN401
    """Raise Unusable if a key is no text, at any depth: no JSON has such a one."""
    seen: set[int] = set()
    left = [whole]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Mapping):
            for key in part:
                if not isinstance(key, str):
                    raise Unusable(f"the key {key!r} is no text")
            left += part.values()
        elif isinstance(part, list | tuple):
            left += part


def _check_addresses(whole: Any) -> None:  # noqa: ANN401
    """Raise Unusable if a part has an address, and references in it: to them, # is that part."""
    seen: set[int] = set()
    left = [(whole, False)]
    while left:
        part, is_apart = left.pop()
        if id(part) in seen or not isinstance(part, dict | list):
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            address = part.get("$id")
            has_one = isinstance(address, str) and not address.startswith("#")
            is_apart = is_apart or (has_one and part is not whole)
            if is_apart and isinstance(part.get("$ref"), str):
                raise Unusable("a reference in a part that has an '$id'")
        left += [(one, is_apart) for one in (part.values() if isinstance(part, dict) else part)]


def _held(schema: Any) -> dict[str, Any]:  # noqa: ANN401
    """What it says of the answer, without what is only said to a reader."""
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise Unusable(
            "nothing fits it" if schema is False else f"{json.dumps(schema)} is no schema"
        )
    for keyword in _NOT_HELD & schema.keys():
        if schema[keyword] is not False or keyword not in _NOTHING_IF_FALSE:
            raise Unusable(f"no answer can be held to '{keyword}'")
    held = {keyword: value for keyword, value in schema.items() if keyword in _HELD}
    _check_words(schema, alone=not held)
    _check_values(held)
    for keyword in _COUNTS & held.keys():
        held[keyword] = int(held[keyword])  # 2.0 is one
    for exclusive, bound in _EXCLUSIVE.items():
        if isinstance(held.get(exclusive), bool) and held.pop(exclusive):  # as in draft 4
            if bound not in held:
                raise Unusable(f"'{exclusive}' is true, and there is no '{bound}'")
            held[exclusive] = held.pop(bound)
    return held


def _check_words(schema: Mapping[str, Any], *, alone: bool) -> None:
    """Raise Unusable if a word is no keyword and looks like one, or stands with none beside it.

    JSON schemas may hold any words, of which those that nobody knows say nothing: a keyword with a
    letter too few, and an example of the answer in the schema's place, would be passed over.
    """
    for word in schema.keys() - _HELD - _NOT_HELD - _SAID:
        what = f"'{word}' is no keyword of a schema"
        if near := difflib.get_close_matches(word, _HELD, n=1, cutoff=_NEAR):
            raise Unusable(what, f"did you mean '{near[0]}'?")
        if alone and not word.startswith(("$", "x-")):
            raise Unusable(what, """as in {"type": "object", "properties": {"age": …}}""")


def _check_values(held: dict[str, Any]) -> None:
    """Raise Unusable if a keyword has what it can't have."""
    for keywords, is_right, what in _HAS:
        for keyword in keywords & held.keys():
            if not is_right(held[keyword]):
                raise Unusable(f"'{keyword}' is no {what}")
    for keyword in _UNEVALUATED.keys() & held.keys():
        if held[keyword] is not False:
            raise Unusable(f"no answer can be held to '{keyword}' that is not false")
    kinds = held.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if not isinstance(kind, str) or kind not in _IS:
            raise Unusable(f"there is no type {json.dumps(kind)}")


def _closed(schema: Any) -> dict[str, Any]:  # noqa: ANN401
    """What it says where it is a part of another: 'unevaluated…' looks at its own part alone."""
    held = _held(schema)
    for keyword in _UNEVALUATED.keys() & held.keys():
        if held.keys() & _PARTS:
            raise Unusable(f"'{keyword}' in a part that has parts")
        held.setdefault(_UNEVALUATED[keyword], held.pop(keyword))
    return held


def _index(name: str) -> int:
    """The place in a list that a reference names."""
    if not re.fullmatch("0|[1-9][0-9]*", name):
        raise ValueError(name)
    return int(name)


def _kind(held: dict[str, Any]) -> str:
    return next((kind for kind, words in _KEYWORDS.items() if words & held.keys()), "value")


def _both(one: Any, other: Any) -> dict[str, Any]:  # noqa: ANN401
    """One schema that says what these two say."""
    one, other = _held(one), _held(other)
    for here, there in ((one, other), (other, one)):
        named = there.get("properties", {}).keys() - here.get("properties", {}).keys()
        if named and here.get("additionalProperties", True) is not True:
            raise Unusable("what 'additionalProperties' forbids is named beside it")
    both: dict[str, Any] = one | other | _both_arrays(one, other)
    for keyword in one.keys() & other.keys() - {"prefixItems", "items"}:
        mine, yours = one[keyword], other[keyword]
        if keyword == "properties":
            shared = mine.keys() & yours.keys()
            both[keyword] = mine | yours
            both[keyword] |= {name: _met(mine[name], yours[name]) for name in shared}
        elif keyword in ("required", "allOf"):
            both[keyword] = [*mine, *yours]
        elif keyword in ("minimum", "exclusiveMinimum", "minLength", "minItems"):
            both[keyword] = max(mine, yours)
        elif keyword in ("maximum", "exclusiveMaximum", "maxLength", "maxItems"):
            both[keyword] = min(mine, yours)
        elif not _same(mine, yours):
            raise Unusable(f"'{keyword}' is said twice, and not alike")
    return both


def _both_arrays(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The items of both: what the shorter 'prefixItems' has no place for is held to its 'items'."""
    arrays = [(held.get("prefixItems", []), held.get("items", True)) for held in (one, other)]
    length = max(len(first) for first, _ in arrays)
    mine, yours = ([*first, *[rest] * (length - len(first))] for first, rest in arrays)
    both = {}
    if length:
        both["prefixItems"] = [_met(*pair) for pair in zip(mine, yours, strict=True)]
    if "items" in one or "items" in other:
        both["items"] = _met(arrays[0][1], arrays[1][1])
    return both


def _met(one: Any, other: Any) -> Any:  # noqa: ANN401
    """What fits both of these schemas."""
    if one is False or other is False:
        return False
    if one is True or _same(one, other):
        return other
    return one if other is True else {"allOf": [one, other]}


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Whether they are the same JSON; to Python, true is 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _without(held: dict[str, Any], keyword: str) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name != keyword}


def _constants(held: dict[str, Any]) -> list[Any]:
    """The values that it can have."""
    others = held.keys() - {"enum", "const", "type"}
    if others or ("enum" in held and "const" in held):
        beside = min(others, default="enum")
        raise Unusable(f"'{beside}' beside constants")
    values = held["enum"] if "enum" in held else [held["const"]]
    if len(values) > _LARGEST_COUNT:
        raise Unusable(f"'enum' has more than {_LARGEST_COUNT} values")
    kinds = held.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        values = [value for value in values if any(_IS[kind](value) for kind in kinds)]
    return values


def _literals(values: list[Any]) -> str:
    """One of these values, as JSON."""
    if not values:
        raise Unusable("nothing fits it")
    return f"({_one_text_of(sorted({_as_json(value) for value in values}))})"


def _one_text_of(texts: list[str], depth: int = 0) -> str:
    """One of these texts, which are sorted: what several begin with stands there once.

    llama.cpp holds each token of the vocabulary against each way there is to go on, so of a
    thousand ways side by side it makes a second for each token of the answer.
    """
    if depth > _MOST_ALIKE:
        raise Unusable(
            f"of more than {_MOST_ALIKE} constants, each begins with the one before",
            hint="fewer such constants",
        )
    first, last = texts[0], texts[-1]
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = first[: sum(1 for _ in alike)]
    rests = [text[len(shared) :] for text in texts]
    groups = groupby(filter(None, rests), lambda rest: rest[0])
    ways = [_one_text_of([*some], depth + 1) for _, some in groups]
    if not ways:
        return _quoted(shared)
    behind = f"({' | '.join(ways)}){'' if rests[0] else '?'}"
    return f"{_quoted(shared)} {behind}" if shared else behind


def _literal(value: Any) -> str:  # noqa: ANN401
    """These signs and no others: the value as JSON."""
    return _quoted(_as_json(value))


def _as_json(value: Any) -> str:  # noqa: ANN401
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, which can only be written as an escape
        return json.dumps(value, allow_nan=False)
    return text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\x7f", "\\x7F")
    return f'"{escaped}"'


def _one_of(items: list[str]) -> str:
    if not items:
        raise Unusable("nothing fits it")
    return f"({' | '.join(items)})"


def _string(held: dict[str, Any]) -> str:
    least, most = held.get("minLength", 0), held.get("maxLength")
    form = held.get("format")
    if "pattern" in held:
        if least or most is not None or form in _FORMATS:
            raise Unusable("'pattern', and lengths or a 'format' beside it")
        return of_pattern(held["pattern"])
    if form in _FORMATS:
        shortest, longest = _LENGTHS[form]
        if least > shortest or (most is not None and most < longest):
            raise Unusable(f"'format' is '{form}', and the lengths beside it forbid some of them")
        return _FORMATS[form]
    if least or most is not None:
        return rf'("\"" char{_counts(least, most)} "\"")'
    return "string"


def _counts(least: int, most: int | None) -> str:
    """How often an item comes."""
    least = max(0, least)
    if max(least, most or 0) > _LARGEST_COUNT:
        raise Unusable(f"a count is above {_LARGEST_COUNT}")
    if most is None:
        return f"{{{least:d},}}"
    if most < least:
        raise Unusable("a least count is larger than the most")
    return f"{{{least:d},{most:d}}}"


def _number(kind: str, held: dict[str, Any]) -> str:
    bounds = held.keys() & _KEYWORDS["number"]
    if not bounds:
        return kind
    low, high = held.get("minimum", -_LARGEST), held.get("maximum", _LARGEST)
    if kind == "integer":
        low = max(math.ceil(low), math.floor(held.get("exclusiveMinimum", -_LARGEST - 1)) + 1)
        high = min(math.floor(high), math.ceil(held.get("exclusiveMaximum", _LARGEST + 1)) - 1)
        positive = _digits
    else:
        if exclusive := sorted(bounds & _EXCLUSIVE.keys()):
            raise Unusable(
                f"no number can be held to '{exclusive[0]}'",
                "of an integer it can be; or 'minimum'",
            )
        if low != int(low) or high != int(high):
            raise Unusable("bounds of a number must be whole ('minimum', 'maximum')")
        low, high = int(low), int(high)
        positive = _decimals
    if low > _LARGEST or high < -_LARGEST:
        raise Unusable(
            f"its numbers have more than {_LONGEST_NUMBER} digits", hint="bounds nearer to 0"
        )
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    if low > high:
        raise Unusable("a least number is larger than the most")
    ways = []
    if high >= 0:
        ways.append(positive(max(low, 0), high))
    if low < 0:
        ways.append(f'"-" {positive(max(-high, 0), -low)}')
    return _one_of(ways)


def _decimals(low: int, high: int) -> str:
    """The numbers from one whole number to another, neither below 0."""
    last = f'"{high}" ("." "0"{{1,{_LONGEST_NUMBER}}})?'
    return f"({last})" if low == high else f"({_digits(low, high - 1)} fraction? | {last})"


def _digits(low: int, high: int) -> str:
    """The whole numbers from one to another, neither below 0."""
    ways = []
    for length in range(len(str(low)), len(str(high)) + 1):
        least = low if length == len(str(low)) else 10 ** (length - 1)
        most = min(high, 10**length - 1)
        ways.append(_between(str(least), str(most)))
    return _one_of(ways)


def _between(low: str, high: str) -> str:
    """The rows of digits from one to another of the same length."""
    rest = len(low) - 1
    if low == "0" * (rest + 1) and high == "9" * (rest + 1):
        return f"[0-9]{{{rest + 1}}}"
    if rest == 0:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" {_between(low[1:], high[1:])}'
    ways = [f'"{low[0]}" {_between(low[1:], "9" * rest)}']
    if int(high[0]) - int(low[0]) > 1:
        ways.append(f"[{int(low[0]) + 1}-{int(high[0]) - 1}] [0-9]{{{rest}}}")
    ways.append(f'"{high[0]}" {_between("0" * rest, high[1:])}')
    return _one_of(ways)
