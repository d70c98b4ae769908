"""Which command is meant where none is named: a question is asked, and without one there is a chat.

Imports nothing, as it is asked before all else.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence

TALK = ("ask", "chat")
"""The commands that open a model at once."""
OTHERS = (
    "bench", "cache", "compare", "doctor", "eval", "fork", "log", "last", "models", "plot",
    "prompts", "replay", "rpc-server", "sessions", "show", "sweep", "tune", "help", "version",
)  # fmt: skip
_NEAR = 0.82  # of difflib's ratio; "how" and "show" have more, and other first letters
_SHORTEST = 4  # letters that a command must have, or be, to be a beginning: "comp", "evaluate"


def talks(arguments: Sequence[str]) -> bool:
    """Whether these arguments will open a model at once."""
    return not arguments or arguments[0] not in OTHERS


def meant(
    arguments: Sequence[str],
    *,
    flags: Collection[str],
    asks: Callable[[Sequence[str]], bool],
    terminal: bool,
) -> list[str]:
    """The arguments with the command that is meant in front.

    Args:
        arguments: of the command line.
        flags: that need no command, as --help.
        asks: whether arguments that begin with a flag hold a question.
        terminal: whether there is one to chat on.

    """
    first, *rest = arguments or [""]
    match first:
        case "help":
            return [*rest[:1], "--help"]
        case "version":
            return ["--version"]
        case "":
            command = "chat" if terminal and not arguments else "ask"
        case _ if first in flags or first in (*TALK, *OTHERS):
            return list(arguments)
        case _ if first.startswith("-"):
            command = "chat" if terminal and not asks(arguments) else "ask"
        case _:
            command = "ask"
    return [command, *arguments]


def mistyped(word: str) -> str | None:
    """The command that somebody may have meant who wrote this as the first word of a question."""
    commands = (*TALK, *OTHERS)
    if word in commands or not word.islower() or not word.isalpha():
        return None  # "Compare …", "what's …": no command is written like this
    for command in commands:
        shorter, longer = sorted((word, command), key=len)
        if len(shorter) >= _SHORTEST and longer.startswith(shorter):
            return command
    near = difflib.get_close_matches(word, commands, n=3, cutoff=_NEAR)
    return next((command for command in near if command[0] == word[0]), None)
