"""Which command is meant where none is named: a question is asked, and without one there is a chat.

Imports nothing, as it is asked before all else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

TALK = ("ask", "chat")
"""The commands that open a model at once."""
OTHERS = (
    "bench", "cache", "compare", "doctor", "eval", "fork", "log", "last", "models", "plot",
    "prompts", "replay", "rpc-server", "sessions", "show", "sweep", "tune", "help", "version",
)  # fmt: skip
GROUPS = ("cache", "log", "models", "sessions")
"""The commands that have commands of their own."""
HOLDERS = ("bench", "eval", "sweep", "tune")
"""The commands that have a model in softchat's own process; `ask --samples` has, too."""
_ELSEWHERE = {
    "run": "-m MODEL QUESTION", "pull": "models pull MODEL", "rm": "models rm MODEL",
    "ls": "models", "list": "models", "ps": "models", "templates": "prompts",
    "logs": "log", "history": "log",
}  # fmt: skip
"""What llm, ollama and shells call it, and what it is here."""
_OF_COMMANDS = ("last", "list", "search", "info", "pull", "add", "use", "export", "rm", "clear")
"""What follows commands, and is no question."""
_OF_A_MODEL = ("run", "pull", "rm")
_SHORTEST = 4  # letters that a command must have, or be, to be a beginning: "comp", "evaluate"
_LONG = 6  # letters from which a command with one wrong is hardly the first word of a question


def flags_in(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments before a `--`, behind which none is a flag."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def talks(arguments: Sequence[str]) -> bool:
    """Whether these arguments will open a model at once."""
    return not arguments or arguments[0] not in OTHERS


def holds_model(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether these arguments will open a model in softchat's own process."""
    flags = flags_in(arguments)
    if {"-h", "--help", "-V", "--version"} & set(flags) or "_SOFTCHAT_COMPLETE" in environ:
        return False
    if talks(arguments):
        often = any(one.startswith("--samples") for one in flags)
        return often or (bool(arguments) and "SOFTCHAT_SAMPLES" in environ)  # else it is a chat
    return arguments[0] in HOLDERS


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
        case "help" if _is_command(rest):
            return [*rest, "--help"]
        case "version":
            return ["--version"]
        case "":
            command = "chat" if terminal and not arguments else "ask"
        case _ if first in flags or (first in (*TALK, *OTHERS) and first != "help"):
            return list(arguments)
        case _ if first.startswith("-"):
            command = "chat" if terminal and not asks(arguments) else "ask"
        case _:
            command = "ask"
    return [command, *arguments]


def elsewhere(arguments: Sequence[str]) -> str | None:
    """What a command of another program is here, if these arguments are hardly a question.

    "run" alone, "logs -q sky" and "pull qwen3" are none; "run a marathon", "list 5 primes" may be.
    """
    word, *rest = arguments
    if not rest or rest[0].startswith("-") or (word in _OF_A_MODEL and _is_model(rest[0])):
        return _ELSEWHERE.get(word)
    return None


def _is_model(word: str) -> bool:
    """Whether it is rather a model's name than a word of a question, or a number."""
    signs = any(sign.isdigit() or sign in ":/" for sign in word)
    return signs and " " not in word and not word[0].isdigit()


def _is_command(words: Sequence[str]) -> bool:
    """Whether somebody who says `help` and these words means softchat's own."""
    if len(words) == 2:
        return words[0] in GROUPS
    return not words or (len(words) == 1 and words[0] in (*TALK, *OTHERS))


def is_alone(arguments: Sequence[str]) -> bool:
    """Whether behind the first word there is what follows a command, and nothing of a question."""
    return all(word.startswith("-") or word in _OF_COMMANDS for word in arguments[1:])


def mistyped(word: str, *, alone: bool) -> str | None:
    """The command that somebody may have meant who wrote this as the first word of a question.

    Args:
        word: with which the arguments begin.
        alone: whether no words of a question follow (`is_alone`): few questions have one word, but
            many begin with "slow".

    """
    commands = (*TALK, *OTHERS)
    if word in commands or not word.islower() or not word.isalpha():
        return None  # "Compare …", "what's …": no command is written like this
    for command in commands:
        begins = command.startswith(word) and len(word) >= _SHORTEST - alone
        if begins or (len(command) >= _SHORTEST and word.startswith(command)):
            return command
    for command in commands:
        if _swapped(word, command):
            return command
    for command in commands:
        long_enough = min(len(word), len(command)) >= _SHORTEST and (alone or len(command) >= _LONG)
        if long_enough and word[0] == command[0] and _one_wrong(word, command):
            return command
    return None


def _swapped(word: str, command: str) -> bool:
    """Whether two neighbours have changed places: "hepl"."""
    swaps = (
        command[:i] + command[i + 1] + command[i] + command[i + 2 :]
        for i in range(len(command) - 1)
    )
    return word in swaps


def _one_wrong(word: str, command: str) -> bool:
    """Whether one letter is missing, too many, or another: "plott"."""
    shorter, longer = sorted((word, command), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same = next((i for i, sign in enumerate(shorter) if sign != longer[i]), len(shorter))
    return shorter[same + (len(shorter) == len(longer)) :] == longer[same + 1 :]
