"""What a text answers, and whether that is the answer wanted. Knows nothing of models.

A way of reading answers has a name, as `--extract` gives it:

    number        the last number of the text; the first behind ####, where there is one
    boxed         what is in its last \\boxed{…}
    exact         the whole text
    regex:RE      the first group (or all) of the last match of a regular expression
    math          the expression that math-verify finds, compared as mathematics

Two answers are the same if they are the same number (1,000 and 1 000 are 1e3, $5 is 5, 1/2 and
\\frac{1}{2} are 0.5, 3 1/2 is 3.5), or the same text but for case, white space and a full stop at
the end. Several numbers, as "1, 2", are text, and so is what is longer than any number of use, or
has an exponent beyond a float's.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from softchat.base.child import Child
from softchat.errors import UsageError

_SPACE = "[ \u00a0\u2009\u202f]"
_THOUSANDS = rf"(?:,\d{{3}}){{1,333}}|(?:{_SPACE}\d{{3}}){{1,333}}"
_WHOLE = rf"(?:\d{{1,3}}(?:{_THOUSANDS})(?!\d)|\d+)"  # 12345, 12,345 or 12 345
_NUMBER = re.compile(
    r"(?<![\w.])(?<!\d:)[$€£]?[-+\u2212]?[$€£]?"  # not within a word, nor the seconds of m:ss
    rf"(?:{_WHOLE}(?:\.\d+)?|\.\d+)"
    r"(?:[eE][-+]?\d+)?(?:\s?/\s?\d+)?(?!\d|:\d)"
)
_MARK = "####"  # before the answer, in GSM8K and in what was trained on it
_FRACTION = re.compile(r"(\d{1,99})?\\[dt]?frac\{(\d{1,99})\}\{(\d{1,99})\}")
_MIXED = re.compile(  # 3 1/2
    rf"(?<![\w./])(?<!\d:)({_WHOLE}){_SPACE}(\d{{1,99}})\s?/\s?(\d{{1,99}})(?![\d/]|[.:]\d)"
)
_BESIDE = re.compile(r"[,\s$€£]")  # what a number is written with, and Python's has not
_AROUND = "$€£% "
_LONGEST_NUMBER = 1000  # characters
_LARGEST_EXPONENT = 400  # a little more than any float has
_EXPONENT = re.compile(r"[eE]([-+]?\d+)$")
_BOXED = "\\boxed{"
_matcher = Child("softchat.evaluate.matcher")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A way of reading answers."""

    name: str
    extract: Callable[[str], str | None]
    """The answer in a text; None if there is none."""
    same: Callable[[str, str], bool]
    """Whether an answer that was read is the one wanted."""
    can_be: Callable[[str], bool] = bool
    """Whether a question's answer can be given in this way at all."""


def make_reader(name: str) -> Reader:
    """The way of reading that has this name.

    Raises:
        UsageError: there is none, or it needs what is not installed.

    """
    match name.partition(":"):
        case ("number", "", ""):
            return Reader(
                name=name,
                extract=_last_number,
                same=same,
                can_be=_is_read,
            )
        case ("boxed", "", ""):
            return Reader(name=name, extract=_last_boxed, same=same)
        case ("exact", "", ""):
            return Reader(name=name, extract=lambda text: text.strip() or None, same=same)
        case ("regex", ":", expression) if expression:
            return Reader(name=name, extract=_last_match(expression), same=same)
        case ("math", "", ""):
            return _math()
    raise UsageError(
        f"no way of reading answers is called '{name}'",
        hint="there are: number, boxed, exact, math, and regex:EXPRESSION",
    )


def parse_number(text: str) -> Fraction | None:
    """The number that a text is, with `$`, thousands apart, a percent sign or spaces around."""
    text = _with_fractions(text).strip().lstrip(_AROUND).rstrip(f"{_AROUND}.")
    text = re.sub(r"^([-+\u2212])\s+", r"\1", text)
    if not _NUMBER.fullmatch(text):
        return None  # "1, 2" is two of them
    text = _BESIDE.sub("", text).replace("\u2212", "-")
    exponent = _EXPONENT.search(text)
    if len(text) > _LONGEST_NUMBER or (exponent and abs(int(exponent[1])) > _LARGEST_EXPONENT):
        return None  # Python would work it out to the last digit
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def _is_read(text: str) -> bool:
    """Whether a text is a number, and the one that is read in an answer that says it."""
    wanted, read = parse_number(text), _last_number(text)
    return wanted is not None and read is not None and parse_number(read) == wanted


def same(given: str, wanted: str) -> bool:
    """Whether two answers are the same number, or else the same text."""
    a, b = parse_number(given), parse_number(wanted)
    if a is not None and b is not None:
        return a == b
    return _plain(given) == _plain(wanted)


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".").strip().casefold()


def _last_number(text: str) -> str | None:
    text = _with_fractions(text)
    _, _, behind = text.partition(_MARK)  # what comes later is another question that it made up
    marked = _NUMBER.search(behind)
    if marked:
        return marked[0]
    found = _NUMBER.findall(text)
    return found[-1] if found else None


def _with_fractions(text: str) -> str:
    """The text with \\frac{3}{4} as 3/4, and 1\\frac{1}{2} and 1 1/2 as 3/2."""
    text = _FRACTION.sub(_as_one_fraction, text) if "frac" in text else text
    return _MIXED.sub(_as_one_if_proper, text) if "/" in text else text


def _as_one_fraction(match: re.Match[str]) -> str:
    whole, top, bottom = int(_BESIDE.sub("", match[1] or "0")), int(match[2]), int(match[3])
    return f"{whole * bottom + top}/{bottom}"


def _as_one_if_proper(match: re.Match[str]) -> str:
    """A whole number and a fraction as one; "5 10/2" is two numbers."""
    is_mixed = int(match[2]) < int(match[3]) and len(match[1]) <= _LONGEST_NUMBER
    return _as_one_fraction(match) if is_mixed else match[0]


def _last_boxed(text: str) -> str | None:
    """What is between the braces; they may hold others."""
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    depth = 1
    begin = start + len(_BOXED)
    for place, char in enumerate(text[begin:], begin):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return _TEXT.sub(r"\1", text[begin:place]).strip()
    return None


def _last_match(expression: str) -> Callable[[str], str | None]:
    _check_expression(expression)

    def extract(text: str) -> str | None:
        answer = _matcher.ask({"expression": expression, "text": text})
        if answer is None:
            raise UsageError(
                f"the regular expression takes longer than a second: {expression}",
                hint="repetitions in repetitions, as (a+)+, try all ways to part a text",
            )
        found = answer["found"]
        return found.strip() if found else None

    return extract


def _check_expression(expression: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # [[:alpha:]] is letters to grep, not to Python
        try:
            re.compile(expression)
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(
                f"not a regular expression: {expression}", hint=f"Python's re says: {error}"
            ) from error
        except Warning as warning:
            raise UsageError(
                f"a regular expression that can be read in two ways: {expression}",
                hint=rf"{warning}; in [ ], signs are escaped: \[ \-- \&& \|| \~~",
            ) from warning


def _math() -> Reader:
    try:
        import math_verify
    except ImportError as error:
        raise UsageError(
            "reading answers as mathematics needs math-verify",
            hint="pip install 'math-verify[antlr4-13-2]', or take another --extract",
        ) from error

    # It would write what a model said to the terminal, as it is.
    logging.getLogger("math_verify").setLevel(logging.CRITICAL + 1)

    def parse(text: str) -> list[Any]:
        found: list[Any] = math_verify.parse(text)
        return found

    return Reader(
        name="math",
        extract=lambda text: text.strip() if parse(text) else None,
        same=lambda given, wanted: bool(
            math_verify.verify(parse(f"${wanted}$") or parse(wanted), parse(given))
        ),
    )
