"""Regular expressions as grammars of JSON strings: what `pattern` says in a JSON schema."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from re import _constants as op  # type: ignore[attr-defined]  # typeshed has no name for them
from re import _parser  # type: ignore[attr-defined]
from typing import Any

CHARACTER = (  # no control characters, and no halves of characters as escapes
    r'[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-ce-fA-CE-F] [0-9a-fA-F]{3}'
    r" | [dD] [0-7] [0-9a-fA-F]{2}))"
)
_MOST = 1000  # how often anything may be repeated, counts within counts: llama.cpp tries them all
_MOST_EMPTY = 100  # parts that may be left out: llama.cpp tries each behind each, with each token
_LAST = 0x10FFFF
_ESCAPED = {'"': '"', "\\": "\\", "\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_CATEGORIES = {
    op.CATEGORY_DIGIT: [(0x30, 0x39)],
    op.CATEGORY_WORD: [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
    op.CATEGORY_SPACE: [(0x09, 0x0D), (0x20, 0x20)],
}
_ALL_SPACES = [  # of Python and of JavaScript, for what is to be no space
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
]
_OTHERS = {
    op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT,
    op.CATEGORY_NOT_WORD: op.CATEGORY_WORD,
    op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE,
}
Span = tuple[int, int]


class Unusable(Exception):  # noqa: N818  # of the schema, not of softchat
    """No answer can be held to this. The hint is a way out, where there is one of its own."""

    def __init__(self, said: str, hint: str = "") -> None:
        super().__init__(said)
        self.hint = hint


def of_pattern(pattern: str) -> str:
    """The JSON strings in which this is found; between ^ and $, those that it is all of."""
    parsed = _parsed(pattern)
    if parsed.state.flags & ~re.UNICODE:
        raise Unusable("a pattern has flags")
    items = list(parsed)
    begins, ends = (op.AT, op.AT_BEGINNING), (op.AT, op.AT_END)
    before = "" if items and items[0] == begins else "char*"
    items = items[1:] if not before else items
    behind = "" if items and items[-1] == ends else "char*"
    items = items[:-1] if not behind else items
    said = _sequence(items, 1)
    if said.count("){0,") + said.count('""') > _MOST_EMPTY:
        raise Unusable(f"more than {_MOST_EMPTY} parts of a pattern may be left out")
    return rf'("\"" {before} {said} {behind} "\"")'


def _parsed(pattern: str) -> Any:  # noqa: ANN401  # Python's own
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # [[:alpha:]] is letters to others, not to Python
        try:
            return _parser.parse(pattern)
        except (re.error, OverflowError) as error:
            raise Unusable(f"the pattern can't be read: {error}") from error
        except Warning as warning:
            raise Unusable(
                f"the pattern can be read in two ways: {warning}",
                hint=r"in [ ], signs are escaped: \[ \-- \&& \|| \~~; [[:alpha:]] is [A-Za-z]",
            ) from warning


def _sequence(items: Iterable[tuple[Any, Any]], count: int) -> str:
    return " ".join(_item(kind, value, count) for kind, value in items) or '""'


def _item(kind: Any, value: Any, count: int) -> str:  # noqa: ANN401
    """One part of it, in `count` repetitions."""
    match kind:
        case op.LITERAL:
            return _signs([(value, value)])
        case op.NOT_LITERAL:
            return _signs(_all_but([(value, value)]))
        case op.ANY:
            return _signs(_all_but([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]))
        case op.IN:
            return _signs(_spans(value))
        case op.BRANCH:
            return f"({' | '.join(_sequence(one, count) for one in value[1])})"
        case op.SUBPATTERN:
            _, more, fewer, inner = value
            if not more and not fewer:
                return f"({_sequence(inner, count)})"
        case op.MAX_REPEAT | op.MIN_REPEAT:
            least, most, item = value
            return _repeated(least, most, item, count)
    raise Unusable(f"no answer can be held to a pattern with {str(kind).lower()} in it")


def _repeated(least: int, most: Any, item: Any, count: int) -> str:  # noqa: ANN401
    is_endless = most is op.MAXREPEAT
    count *= max(1, least if is_endless else most)
    if count > _MOST:
        raise Unusable(f"a pattern counts to more than {_MOST}")
    if item.getwidth()[0] == 0 and (is_endless or most > 1):
        raise Unusable("a pattern repeats what may be empty")
    most = "" if is_endless else most
    return f"({_sequence(item, count)}){{{least},{most}}}"


def _spans(members: Sequence[tuple[Any, Any]]) -> list[Span]:
    spans: list[Span] = []
    is_negated = False
    for kind, value in members:
        match kind:
            case op.NEGATE:
                is_negated = True
            case op.LITERAL:
                spans.append((value, value))
            case op.RANGE:
                spans.append(value)
            case op.CATEGORY if value in _CATEGORIES:
                spans += _category(value, is_negated)
            case op.CATEGORY:
                spans += _all_but(_category(_OTHERS[value], not is_negated))
    return _all_but(spans) if is_negated else spans


def _category(category: Any, is_forbidden: bool) -> list[Span]:  # noqa: ANN401
    is_wide = is_forbidden and category == op.CATEGORY_SPACE
    return _ALL_SPACES if is_wide else _CATEGORIES[category]


def _all_but(spans: Iterable[Span]) -> list[Span]:
    left, begin = [], 0
    for low, high in sorted(spans):
        if low > begin:
            left.append((begin, low - 1))
        begin = max(begin, high + 1)
    if begin <= _LAST:
        left.append((begin, _LAST))
    return left


def _signs(spans: Sequence[Span]) -> str:
    """One of these characters, as a JSON string has it."""
    left_out = [(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF)]
    plain = _all_but([*_all_but(spans), *left_out])
    members = "".join(rf"\U{low:08X}-\U{high:08X}" for low, high in plain)
    ways = [f"[{members}]"] if plain else []
    ways += [
        rf'"\\" [\U{ord(escape):08X}]'
        for sign, escape in _ESCAPED.items()
        if any(low <= ord(sign) <= high for low, high in spans)
    ]
    if not ways:
        raise Unusable("a pattern asks for control characters")
    return f"({' | '.join(ways)})"
