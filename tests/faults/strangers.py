"""Text as a stranger would write it who wants more than to be read."""

from __future__ import annotations

import random
import re

import pyte

from tests.terminal import CONTROLS

# Each is obeyed by some terminal, or by rich, or breaks what is printed it with.
EVIL = (
    "\x1b[2J", "\x1b[3;3H", "\x1b[38;5;201m", "\x1b[5n", "\x1b[?1049h", "\x1b[4h", "\x1bc",
    "\x1b]0;owned\x07", "\x1b]2;owned\x1b\\", "\x1b]52;c;b3duZWQ=\x07",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\", "\x1b]1337;File=:b3du\x07",
    "\x1bP$qm\x1b\\", "\x1b_owned\x1b\\", "\x1b^owned\x1b\\", "\x1b(0",
    "\x9b2J", "\x9d0;owned\x9c", "\x90$qm\x9c", "\x84", "\x85", "\x8d",
    "\u202eowned", "\u2066\u2069", "\u200f", "\u061c", "\u2028", "\u2029",
    "\r", "\x08\x08\x08", "\x07", "\x0b", "\x0c", "\x0e", "\x7f", "\x00", "\x1a",
    "\udc9b2J", "\ud800",
    "[link=https://evil.example]here[/link]", "[/INST]", "[bold red]", "[/]", "[@click=x]y[/]",
    "{0.__class__}", "%n%s%(x)s", "{{ 7 * 7 }}", "\n\nerror: owned", "\t",
)  # fmt: skip
# What softchat itself sends: colours; the cursor up, down, to the line's start, kept, hidden and
# shown; erase from it on; draw at once.
OWN = re.compile(
    r"\x1b\[(?!38;5;201m)[0-9;]*m|\x1b\[[0-9]*[ABG]|\x1b\[0?J|\x1b\[2?K|\x1b[78]|\x1b\[\?(7|25|2026)[lh]"
)


def evil_text(rng: random.Random) -> str:
    """Some of it, between words."""
    parts = [
        rng.choice([*EVIL, *EVIL, "four legs", "é🙂", "漢字"]) for _ in range(rng.randint(1, 6))
    ]
    return "".join(parts)


def assert_inert(text: str) -> None:
    """A line or page in a pipe: not one character that a terminal obeys."""
    left = re.sub("[\n\t]", "", text)
    assert not CONTROLS.search(left), ascii(text)
    assert not re.search("[\u061c\u200e\u200f]", left), ascii(text)


def assert_own(text: str) -> None:
    """What goes to a terminal: nothing but softchat's own sequences, and the screen obeys."""
    assert_inert(OWN.sub("", text).replace("\r", ""))
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(text)
    assert (screen.title, screen.icon_name) == ("", "")
    assert pyte.modes.LNM not in screen.mode
