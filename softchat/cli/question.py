"""What is asked: the words of a command line, with the files and the stdin that go with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from softchat.base.text import one_line
from softchat.errors import UsageError
from softchat.models.folders import expand
from softchat.prompt.attached import MOST, Attached, join, read, read_file

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[QUESTION]…", help="What to ask. What stdin holds goes with it; '-': read it too."
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="A text to ask about; again for more, '-' for stdin."
    ),
]


def typed(text: str, what: str) -> str:
    """A text of the command line as UTF-8, whatever the locale says that it is.

    Args:
        text: an argument as Python has it.
        what: what it is called in an error.

    Raises:
        UsageError: it is no UTF-8.

    """
    if text.isascii():
        return text
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        hint = "is the terminal's encoding another one?"
        raise UsageError(f"{what} is not UTF-8 text", hint=hint) from None


def whole_question(
    words: list[str] | None,
    files: list[str] | None,
    *,
    quiet: bool,
    fill: Callable[[str], str] = str,
    hint: str = "softchat ask 'What is 17 plus 25?'",
) -> str:
    """The question behind the texts that go with it: the files, and what stdin holds.

    A single text without a question is the question itself.

    Args:
        words: of the command line.
        files: their names.
        quiet: tell nothing on stderr.
        fill: puts all of it into a prompt that has a name.
        hint: the way out where nothing is asked.

    Raises:
        UsageError: there is nothing to ask, or a text can't be read.

    """
    said = [typed(word, "the question") for word in words or [] if word != "-"]
    texts = _texts(files or [], stdin="-" in (words or []), waits=bool(said), quiet=quiet)
    if said and texts and not quiet and sys.stderr.isatty():
        names = ", ".join(f"{one.name} ({len(one.text):,} characters)" for one in texts)
        print(f"with {names}", file=sys.stderr)
    question = fill(join(" ".join(said), texts))
    if not question.strip():
        raise UsageError("no question", hint=hint)
    if len(question) > MOST:  # many files, or a prompt that says what it is given again and again
        hint = "give the parts that matter"
        raise UsageError(f"the question is longer than {MOST >> 20} MB", hint=hint)
    return question


def _texts(files: list[str], *, stdin: bool, waits: bool, quiet: bool) -> list[Attached]:
    texts = [_stdin(quiet=True) if name == "-" else _file(expand(name)) for name in files]
    if "-" not in files and (stdin or not sys.stdin.isatty()):
        texts.append(_stdin(quiet=quiet or not waits))
    return [one for one in texts if one.text.strip()]


def _file(path: Path) -> Attached:
    attached = read_file(path)
    if not attached.text.strip():
        shown = one_line(str(path))
        raise UsageError(f"{shown} is empty", hint="is it the file that you mean?")
    return attached


def _stdin(*, quiet: bool) -> Attached:
    from softchat.cli.model import told_if_slow

    try:
        # A pipe that nobody writes to, as of a script, would be waited for without a word.
        with told_if_slow("stdin (< /dev/null: nothing)", doing="reading", quiet=quiet):
            return Attached(name="stdin", text=read(sys.stdin.buffer, "stdin"))
    except OSError as error:
        raise UsageError(
            f"can't read stdin: {error.strerror or error}", hint="< /dev/null: none"
        ) from error
