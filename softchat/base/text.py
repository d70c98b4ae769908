"""The guard between text that others wrote and a terminal that obeys what it reads.

Model output, file names, headers and messages can carry escape sequences: they move the cursor, set
titles, write the clipboard (OSC 52), hide links (OSC 8) or turn lines around (bidi). All of it goes
through here before it is shown. Knows nothing of events, views or rich.
"""

from __future__ import annotations

import codecs
import unicodedata
from functools import lru_cache

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# What has a picture of its own shows as that picture (␛), so that nothing is hidden.
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_CONTROLS = [
    *range(0x80, 0xA0),  # C1: one character does what two after an escape do
    *(0x061C, 0x200E, 0x200F),  # bidi marks
    *range(0x2028, 0x202F),  # line and paragraph separator, bidi embeddings and overrides
    *range(0x2066, 0x2070),  # bidi isolates, and the deprecated ones behind them
]
CONTROLS = frozenset(map(chr, _CONTROLS))
"""What a terminal obeys, beside C0 and DEL; each is replaced, as it has no picture."""
_SURROGATES = range(0xD800, 0xE000)  # alone, they are no text: no encoding can write them

_ONE_LINE = _PICTURES | dict.fromkeys([*_CONTROLS, *_SURROGATES], REPLACEMENT)
# A carriage return goes for good: CRLF becomes a line break, a bare one can't overprint its line.
_FLOWING = _ONE_LINE | {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): None}
_PIECE = (
    _ONE_LINE
    | {ord(" "): "·", ord("\n"): "⏎", ord("\t"): "⇥"}
    | dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], "␣")
)
_JSON = {code: f"\\u{code:04x}" for code in [0x7F, *_CONTROLS]} | dict.fromkeys(
    _SURROGATES, REPLACEMENT
)
_LONGEST_COUNT = 30  # digits
_LONGEST_MESSAGE = 1000  # characters of one, whatever it quotes
_SIMPLER = {"…": "...", "·": "-", "τ": "tau", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-"}
_WITHOUT_INK = "".join(
    map(chr, (0xAD, 0x200B, 0x200C, 0x200D, 0x2060, *range(0xFE00, 0xFE10), 0xFEFF))
)


def printable(text: str, *, newlines: bool = True) -> str:
    """The text with everything taken out that a terminal would obey instead of show.

    Line breaks and tabs stay, unless `newlines` is false: then they show as pictures too, for text
    that must not leave its line. Joiners inside emoji stay. Text in pieces gives the same pieces.
    """
    if text.isprintable():  # in C, and true of most text; never true of a control or a bidi mark
        return text
    return text.translate(_FLOWING if newlines else _ONE_LINE)


def one_line(text: str) -> str:
    """The text for a line of a message: as `printable` has it, and no line break ends the line."""
    return printable(text, newlines=False)


def message_line(text: str) -> str:
    """An error, a warning or a hint as `one_line`, its middle left out if it quotes too much."""
    return one_line(clipped(text, _LONGEST_MESSAGE))


@lru_cache(maxsize=4096)
def visible(piece: str) -> str:
    """A token's piece with its white space drawn: ` ` is `·`, a line break `⏎`, nothing `∅`."""
    shown = piece.translate(_PIECE)
    if not shown.strip(_WITHOUT_INK):
        return "∅"
    # An accent without its letter would land on whatever stands before it.
    return f"◌{shown}" if unicodedata.category(shown[0]).startswith("M") else shown


def storable(text: str) -> str:
    """The text with `?` for each lone surrogate: alone they are no text, and no file takes them.

    Arguments and names that are not UTF-8 hold some, and JSON can.
    """
    return text if text.isascii() else text.encode(errors="replace").decode()


def natural(text: str) -> int | None:
    """The whole number that these digits are; None if they are none, or more than counts have.

    Python itself raises where it is asked for a number of thousands of digits.
    """
    is_count = text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT
    return int(text) if is_count else None


def clipped(text: str, most: int) -> str:
    """The text, or its beginning and its end if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most * 3 // 4]} … {text[-(most // 4) :]}"


def legible(name: object) -> str:
    """The name of a file, in which what is no UTF-8 is written as escapes (`\\udcff`)."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def encodable(text: str, encoding: str | None) -> str:
    """The text as far as the encoding can carry it, `LEGIBLE` for the rest; None is UTF-8."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return text.encode(encoding or "utf-8", LEGIBLE).decode(encoding or "utf-8")
    return text


def _legible(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIMPLER.get(sign, "?") for sign in lacking), error.end


LEGIBLE = "softchat.legible"
"""What `errors` of a stream can be: a sign that it can't carry becomes a simpler one, or `?`."""
codecs.register_error(LEGIBLE, _legible)


def is_unicode(encoding: str | None) -> bool:
    """Whether the encoding can carry every character; None is UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name.startswith("utf")
    except LookupError:
        return False


def inert_json(line: str) -> str:
    """A line of JSON that means the same and that a terminal can show: JSON escapes only C0."""
    return line if line.isprintable() else line.translate(_JSON)
