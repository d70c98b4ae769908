"""What JSON holds as values of known types, and nothing else. Knows nothing of events or files."""

from __future__ import annotations

import json
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from softchat.base.text import storable

_LARGEST = 2**63  # no count, time or entropy of a run comes near it
_SHOWN = 40  # characters of a wrong value in a message


def read_json(text: str | bytes) -> Any:  # noqa: ANN401  # whatever JSON holds
    """What a text of JSON holds. Its numbers are finite, so that all of it can be written again.

    Raises:
        ValueError, RecursionError: it is no JSON.

    """
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def read(value: Any, kind: Any, where: str) -> Any:  # noqa: ANN401  # whatever JSON holds
    """The value as `kind`: text, a number, a dataclass of them, a tuple, one of these or None.

    Fields that a dataclass does not have are passed over.

    Raises:
        ValueError: it is of another type, or lacks a field; the message says which, in `where`.

    """
    if kind is str and isinstance(value, str):
        return storable(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and type(value) is int and 0 <= value < _LARGEST:
        return value
    if kind is float and type(value) in (int, float) and abs(value) < _LARGEST:
        return float(value)
    if isinstance(kind, types.UnionType):  # with None
        return None if value is None else read(value, get_args(kind)[0], where)
    if is_dataclass(kind) and isinstance(value, dict):
        return _object(value, kind, where)
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(read(item, inner, where) for item in value)
    if get_origin(kind) is dict and isinstance(value, dict):
        return value
    if isinstance(kind, type) and issubclass(kind, StrEnum) and value in list(kind):
        return kind(value)
    shown = repr(value)
    raise ValueError(f"{where} is {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}")


def _object(value: dict[str, Any], kind: Any, where: str) -> Any:  # noqa: ANN401
    made = {}
    for name, (type_, optional) in _shape(kind).items():
        if name in value:
            made[name] = read(value[name], type_, f"{where}.{name}")
        elif not optional:
            raise ValueError(f"{where} has no {name}")
    return kind(**made)


@cache
def _shape(kind: Any) -> dict[str, tuple[Any, bool]]:  # noqa: ANN401  # a dataclass
    """Of each field its type, and whether it may be missing."""
    hints = get_type_hints(kind)
    return {field.name: (hints[field.name], field.default is not MISSING) for field in fields(kind)}
