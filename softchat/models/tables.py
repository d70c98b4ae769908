"""TOML files laid over one another, each value still knowing the file and line it was written on.

Knows nothing of models. Any mistake becomes a `UsageError` that begins with `file:line:`.
"""

from __future__ import annotations

import bisect
import difflib
import io
import math
import re
import reprlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from softchat.base.files import read_file
from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.settings import FAR_OFF, check, is_switch

Keys = tuple[str, ...]


class DamagedError(UsageError):
    """A file can't be read, or is no TOML: not one word of it can be taken."""


_PAST_TOML = 2**63
_DEEPEST = 100  # names within names: the parser takes the square of them
_TOO_DEEP = re.compile(
    r"""(?:(?<![\w-])(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*)"""
    f"{{{_DEEPEST}}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One file."""

    file: Path
    text: str
    values: Mapping[str, Any]

    def has(self, keys: Keys) -> bool:
        """Whether the file gives a value for the key at the end of this way through its tables."""
        return _has(self.values, keys)

    def line_of(self, keys: Keys) -> int:
        """The line of the statement that gives the value; 1 if none does.

        The parser keeps no lines, so it is asked about the first half of them, a quarter and so on:
        the answer is right for quoted and dotted keys, inline tables and long strings alike.
        """
        if not keys or not self.has(keys):
            return 1
        lines = self.text.split("\n")
        ends = range(1, len(lines))
        # Where the statements up to one line have it and those before have not, it begins.
        return 1 + bisect.bisect_left(ends, 1, key=lambda end: _has(_first(lines, end), keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the files together. Reading a key checks it."""

    layers: Sequence[Layer]
    keys: Keys
    values: Mapping[str, Any]

    def error(self, key: str | None, message: str, *, hint: str = "") -> UsageError:
        """The error to raise about one key, or about the whole table."""
        keys = self.keys if key is None else (*self.keys, key)
        layer = self._layer_of(keys)
        place = f"{layer.file}:{layer.line_of(keys)}"
        return UsageError(one_line(f"{place}: {message}"), hint=one_line(hint))

    @contextmanager
    def told_at(self, key: str) -> Iterator[None]:
        """What is found wrong in here with the value of a key is told with its place."""
        try:
            yield
        except UsageError as error:
            raise self.error(key, error.message, hint=error.hint) from error

    def setting(self, key: str) -> str | float:
        """The value of a setting of a run, inside its range."""
        if is_switch(key):
            return self.switch(key)
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            value = _Written(value)
        with self.told_at(key):
            return check(key, value)

    def told(self, key: str) -> str:
        """What the value of a key is, as the file has it."""
        return f"{key} is {_shown(self.values[key])}"

    def file_of(self, key: str) -> Path:
        """The file whose value for this key counts."""
        return self._layer_of((*self.keys, key)).file

    def line_of(self, key: str) -> int:
        """The line of the statement that gives the value which counts."""
        keys = (*self.keys, key)
        return self._layer_of(keys).line_of(keys)

    def allow(self, *names: str) -> None:
        """Refuse every key but these."""
        for key, value in self.values.items():
            if key not in names:
                raise self.error(key, f"no key '{key}' here", hint=self._meant(key, value, names))

    def text(self, key: str, default: str | None = None, *, form: str = "", says: str = "") -> str:
        """A string, of the `form` (a regular expression) that is described by `says`."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"{key} is {_shown(value)}", hint="it must be a string in quotes")
        if form:
            self.match(key, value, form, says)
        return value

    def match(self, key: str, value: str, form: str, says: str, *, what: str = "") -> None:
        """Refuse a string that is not of the form; `what` it is, if not the value of the key."""
        if not re.fullmatch(form, value):
            message = f"wrong {what or key}: {_shown(value)}"
            raise self.error(key, message, hint=f"it must be {says}")

    def switch(self, key: str) -> bool:
        """True or false."""
        value = self._value(key, None)
        if not isinstance(value, bool):
            raise self.error(key, f"{key} is {_shown(value)}", hint="it must be true or false")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._value(key, None)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            hint = f"it must be a whole number from {low} to {high}"
            raise self.error(key, f"{key} is {_shown(value)}", hint=hint)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings, empty if it is not there."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(
                key, f"{key} is {_shown(value)}", hint='it must be like ["one", "two"]'
            )
        return tuple(value)

    def count(self, key: str) -> int:
        """A whole number of at least 1."""
        value = self._value(key, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            hint = "it must be a whole number of at least 1"
            raise self.error(key, f"{key} is {_shown(value)}", hint=hint)
        return value

    def positive(self, key: str) -> float:
        """A number above 0."""
        value = self._value(key, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
        raise self.error(key, f"{key} is {_shown(value)}", hint="it must be a number above 0")

    def table(self, key: str, *, required: bool = False) -> Table:
        """A table inside this one, empty if it is not there and need not be."""
        value = self._value(key, None if required else {})
        if not isinstance(value, dict):
            hint = f"it must be a table: [{_header((*self.keys, key))}]"
            raise self.error(key, f"{key} is {_shown(value)}", hint=hint)
        return Table(layers=self.layers, keys=(*self.keys, key), values=value)

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key, default)
        if value is None:
            name = f"[{_header(self.keys)}]" if self.keys else "this file"
            raise self.error(None, f"{name} needs '{key}'")
        return value

    def _layer_of(self, keys: Keys) -> Layer:
        # The last file that gives a value is the one whose value counts.
        return next((layer for layer in reversed(self.layers) if layer.has(keys)), self.layers[-1])

    def _meant(self, key: str, value: object, names: Sequence[str]) -> str:
        near = difflib.get_close_matches(key, names, n=1, cutoff=FAR_OFF)
        if near:
            return f"did you mean '{near[0]}'?"
        if isinstance(value, dict) and self.keys:
            # [models.qwen3-0.6b] is a table '6b' in a table 'qwen3-0'.
            header = _header((*self.keys[:-1], f"{self.keys[-1]}.{key}"))
            return f"a name with a dot in it needs quotes: [{header}]"
        return f"there are: {', '.join(names)}"


def read_tables(files: Sequence[Path]) -> Table:
    """The files, each laid over those before it.

    Tables are merged key by key, but one that gives another `type` is another thing: it replaces
    the earlier one whole.

    Raises:
        DamagedError: a file cannot be read, or is not TOML.
        UsageError: a number in it is larger than TOML's can be.

    """
    layers = [_read_layer(file) for file in files]
    values: dict[str, Any] = {}
    for layer in layers:
        values = _merge(values, layer.values)
    return Table(layers=layers, keys=(), values=values)


def _read_layer(file: Path) -> Layer:
    try:
        text = io.StringIO(read_file(file).decode("utf-8-sig"), newline=None).read()
    except OSError as error:
        hint = "is it a file, and may you read it?"
        raise DamagedError(one_line(f"cannot read {file}: {error.strerror}"), hint=hint) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8, as TOML must be"
        raise DamagedError(one_line(f"{file}:{line}: not valid UTF-8"), hint=hint) from error
    try:
        layer = Layer(file=file, text=text, values=parse(text))
    # Not only TOMLDecodeError: a number of 5000 digits is a plain ValueError.
    except (ValueError, RecursionError) as error:
        message, line = _syntax_error(str(error), text)
        raise DamagedError(
            one_line(f"{file}:{line}: {message}"), hint="see https://toml.io"
        ) from error
    if keys := _too_large(layer.values):
        message = f"{file}:{layer.line_of(keys)}: {keys[-1]} is larger than a number can be"
        raise UsageError(one_line(message), hint="TOML's have 64 bits")
    return layer


def parse(text: str) -> dict[str, Any]:
    """What the text says.

    Raises:
        ValueError: it is no TOML, or has names within names without an end.
        RecursionError: so have its values.

    """
    if deep := _TOO_DEEP.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise ValueError(f"{_DEEPEST} names within one another (at line {line}, column 1)")
    return tomllib.loads(text)


def _first(lines: Sequence[str], end: int) -> dict[str, Any]:
    """What the first lines say, up to the end of the statement that line `end` is of."""
    for last in range(end, len(lines) + 1):
        try:
            return tomllib.loads("\n".join(lines[:last]))
        except ValueError:
            pass  # in the middle of a value of several lines
    return {}


def _too_large(values: Mapping[str, Any]) -> Keys:
    """Where a whole number stands that Python could not even write; nowhere in most files."""
    left: list[tuple[Keys, object]] = [((), values)]
    while left:
        keys, value = left.pop()
        if isinstance(value, int) and abs(value) >= _PAST_TOML:
            return keys
        if isinstance(value, list):
            left += [(keys, one) for one in _leaves(value)]
        elif isinstance(value, dict):
            left += [((*keys, key), one) for key, one in value.items()]
    return ()


def _leaves(value: object) -> list[object]:
    """All that is in an array, however deep: no keys lead there."""
    leaves, left = [], [value]
    while left:
        one = left.pop()
        inner = one if isinstance(one, list) else one.values() if isinstance(one, dict) else None
        if inner is None:
            leaves.append(one)
        else:
            left += inner
    return leaves


def _syntax_error(message: str, text: str) -> tuple[str, int]:
    at = re.search(r" \(at line (\d+), column \d+\)$", message)
    if at:
        return message[: at.start()], int(at[1])
    return message.removesuffix(" (at end of document)"), text.rstrip("\n").count("\n") + 1


def _merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(upper.get("type"), str) and upper["type"] != lower.get("type"):
        return dict(upper)
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(below or {}, value) if both else value
    return merged


def _has(values: object, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _header(keys: Keys) -> str:
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"' for key in keys)


class _Repr(reprlib.Repr):
    """Values as TOML writes them; of long and deep ones the beginning."""

    def repr_bool(self, value: bool, _: int) -> str:
        return str(value).lower()

    def repr_date(self, value: date | time, _: int) -> str:
        return value.isoformat()

    repr_datetime = repr_time = repr_date


_shown = _Repr().repr


class _Written:
    """A value that no setting can have, which is told as it was written."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return _shown(self._value)
