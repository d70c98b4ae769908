"""The command line: flags in, exit status out. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import errno
import gc
import io
import itertools
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TextIO

from softchat.cli import signals, watch
from softchat.cli.default import flags_in, talks
from softchat.errors import SoftchatError, UsageError

if TYPE_CHECKING:
    from softchat.talk.worker.process import Worker

EMPTY = "is a variable of the shell empty?"
"""The hint of a name that is empty."""
_INTERRUPTED = 130
_WIDEST = 10_000  # columns, or lines
_LONGEST_NAME = 200  # characters of one that is told
_LONG = 9  # digits of a place in a line
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_GONE = {errno.EIO, errno.EBADF}  # a terminal that was closed, or that can only be read
_RARELY = 100_000  # allocations between two looks for garbage; imports make many and leave none
_OF_FILES = {"--trace", "--out", "-o", "--csv", "--file", "-f", "--models-file"}
_NAMES = dict.fromkeys(_OF_FILES, "file") | {
    "--rpc": "server", "--device": "device", "--host": "address", "--lora": "adapter",
    "--resume": "session", "--schema": "schema",
}  # fmt: skip
"""What is named by a flag that names something: an empty name is none."""
_OF_COMPLETION = {"--install-completion", "--show-completion"}
_COMPLETE = "_SOFTCHAT_COMPLETE"
_YES = {"1", "true", "t", "yes", "y", "on"}  # what typer takes for it in a variable


def main() -> NoReturn:
    """Run softchat with the arguments of this process, and exit as the contract says.

    Expected failures end in one line and a hint on stderr. Whatever else is raised is a bug, and
    keeps its traceback.
    """
    gc.set_threshold(_RARELY)
    try:
        status = _status()
    except KeyboardInterrupt:  # one more, while the first is answered
        os._exit(_INTERRUPTED)
    # All is closed and written: to tear the interpreter down would take 30 ms more, in which Python
    # would tell of any Ctrl-C.
    os._exit(status)


def _status() -> int:
    try:
        _open_what_is_closed()
        with signals.in_order():
            return _main()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except SystemExit as exit_:
        return int(exit_.code or 0)
    except Exception as error:  # noqa: BLE001  # as Python itself would have it
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    finally:
        signals.flush()


def _main() -> int:
    _forget_odd_sizes(os.environ)
    sys.stdout, sys.stderr = _legible(_whole(sys.stdout)), _legible(_beside(sys.stderr))
    try:
        if watch.is_wanted(sys.argv[1:], os.environ) and (other := watch.fork()):
            return other.wait()
        with watch.last_words():
            status = _run()
        sys.stdout.flush()
        sys.stderr.flush()
        return status
    except SoftchatError as error:
        _report(error)
        sys.exit(error.exit_status)
    except MemoryError:
        complain("out of memory", "close other programs")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the answer has gone (`| head -1`): nothing is left to say.
        _leave_stdout()
    except OSError as error:
        if error.errno in _NO_ROOM:
            complain(f"can't write any more: {error.strerror}", "make room on the disk")
            _leave_stdout()
        if error.filename is None and error.errno in _GONE:
            complain(f"can't write any more: {error.strerror}", "is the terminal still there?")
            _leave_stdout()
        if error.filename is not None:  # its rights, its length, what it is: no bug
            complain(
                f"can't use {_shown(error.filename)}: {error.strerror}",
                "softchat doctor looks at it",
            )
            sys.exit(1)
        if _is_nowhere():
            complain("the current folder is gone", "cd to one that is there")
            sys.exit(1)
        raise


def _forget_odd_sizes(environ: MutableMapping[str, str]) -> None:
    """Take no size from COLUMNS and LINES that no terminal has: nothing is seen in 0 columns."""
    from softchat.base.text import natural

    for name in ("COLUMNS", "LINES"):
        if name in environ and not 0 < (natural(environ[name]) or 0) <= _WIDEST:
            del environ[name]


def _shown(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _is_nowhere() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _open_what_is_closed() -> None:
    """A stream may be closed from the start (`2>&-`); the next file would be taken for it."""
    if sys.stdin is None:
        sys.stdin = _nothing("r")
    if sys.stderr is None:
        sys.stderr = _nothing("w")
    if sys.stdout is None:
        complain("stdout is closed", "for no output at all: > /dev/null")
        sys.exit(1)


def _nothing(mode: Literal["r", "w"]) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")


def _leave_stdout() -> NoReturn:
    _give_up(sys.stdout)
    sys.exit(1)


def _give_up(stream: TextIO) -> None:
    # Python must not try to flush into it once more when it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _whole(stream: TextIO) -> TextIO:
    """The stream, written to as a whole.

    With PYTHONUNBUFFERED, Python loses what is left of a write that a signal has cut short: half a
    panel, or half a line of JSON.
    """
    raw = getattr(stream, "buffer", None)
    return _written_to(raw, stream) if isinstance(raw, io.RawIOBase) else stream


def _written_to(raw: io.RawIOBase, like: TextIO) -> TextIO:
    """A stream that writes whole lines into this, in the encoding of another."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=like.encoding, errors=like.errors, line_buffering=True
    )


class _Beside(io.FileIO):
    """A file for what is told beside a result: it costs no result that there is no room for it."""

    stream: TextIO
    """Whose file it is, which would be closed if nobody held it."""

    def write(self, data: Any) -> int:  # noqa: ANN401  # whatever bytes are in
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return len(memoryview(data).cast("B"))


def _beside(stream: TextIO) -> TextIO:
    """Stderr, written to as a whole, be its disk full or not."""
    if not isinstance(stream, io.TextIOWrapper) or stream.isatty():
        return _whole(stream)
    stream.flush()
    raw = _Beside(stream.fileno(), "wb", closefd=False)
    raw.stream = stream
    return _written_to(raw, stream)


def _legible(stream: TextIO) -> TextIO:
    """The stream, on which nothing fails for a sign that an old terminal lacks."""
    from softchat.base.text import LEGIBLE

    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=LEGIBLE)
        try:
            "a\n".encode(stream.encoding, LEGIBLE)
        except UnicodeError:  # it is none for a stream (PYTHONIOENCODING=idna)
            stream.reconfigure(encoding="utf-8", errors=LEGIBLE)
    return stream


def _run() -> int:
    with ExitStack() as stack:
        early = _early_worker(sys.argv[1:], os.environ)
        if early is not None:
            stack.enter_context(closing(early))
        return _command(early)


def _early_worker(arguments: Sequence[str], environ: Mapping[str, str]) -> Worker | None:
    """A worker for commands that talk to a model; it imports as long as the command line does."""
    told = {"-h", "--help", "-V", "--version"} & set(flags_in(arguments))
    if told or _COMPLETE in environ or not talks(arguments):
        return None
    from softchat.talk.worker.process import Worker, is_isolated

    return Worker() if is_isolated(environ) else None


def _command(early: Worker | None) -> int:
    import typer

    from softchat.cli.app import app

    stdout = sys.stdout
    flags = flags_in(sys.argv[1:])
    _refuse_nameless(flags)
    _refuse_shell(flags)
    _refuse_no_tab(os.environ)
    try:
        return app(standalone_mode=False, obj=early, prog_name="softchat") or 0
    except UnicodeDecodeError:
        if "--install-completion" not in flags:
            raise
        raise UsageError(
            "the file that the shell begins with is no UTF-8",
            hint="--show-completion prints what to put there",
        ) from None
    except SystemExit:
        stdout.flush()  # typer exits when its reader has gone: with what is left, main has to deal
        raise
    except typer.Abort as aborted:
        print(file=sys.stderr)  # Ctrl-C or Ctrl-D in place of an answer: its line is still open
        if isinstance(aborted.__context__, EOFError) and not sys.stdin.isatty():
            raise UsageError("nobody answers on stdin", hint="--yes goes ahead") from None
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        if not error.format_message():
            return error.exit_code  # help was shown instead
        from softchat.cli.mistakes import usage_error

        raise usage_error(error) from error


def _refuse_nameless(arguments: Sequence[str]) -> None:
    """Raise UsageError if a flag names something with an empty name.

    Path would take it for `.`, and other flags for as good as not given.
    """
    for flag, value in itertools.pairwise([*arguments, "."]):
        name, equals, rest = flag.partition("=")
        if name in _NAMES and not (rest if equals else value):
            raise UsageError(f"{name} names no {_NAMES[name]}", hint=EMPTY)


def _refuse_shell(arguments: Sequence[str]) -> None:
    """Raise UsageError if a shell is named for the completion: it is for the one that runs."""
    for flag, word in itertools.pairwise(arguments):
        if flag in _OF_COMPLETION and not word.startswith("-"):
            hint = f"type it without a name in {word[:_LONGEST_NAME]}"
            raise UsageError(f"{flag} is for the shell that runs, and takes no name", hint=hint)


def _refuse_no_tab(environ: Mapping[str, str]) -> None:
    """Raise UsageError if a completion is wanted as in bash, and nothing says of which line."""
    if environ.get(_COMPLETE) != "complete_bash":  # others take an absent line for an empty one
        return
    at = environ.get("COMP_CWORD", "")
    if "COMP_WORDS" not in environ or not (at.isascii() and at.isdigit() and len(at) < _LONG):
        raise UsageError("nothing says which line is completed", hint="unset _SOFTCHAT_COMPLETE")


def _report(error: SoftchatError) -> None:
    if (
        "--json" in flags_in(sys.argv)
        or os.environ.get("SOFTCHAT_JSON", "").strip().lower() in _YES
    ):
        from softchat.events import Error
        from softchat.views.jsonl import JsonView

        try:
            # The message may quote an argument, and an argument can be anything.
            JsonView(sys.stdout).show(Error.of(error))
        except OSError:  # nobody reads it, or the disk is full: stderr tells it all the same
            _give_up(sys.stdout)
    complain(error.message, error.hint)


def print_json(data: Mapping[str, Any]) -> None:
    """One line of JSON on stdout, in which a terminal finds nothing to obey."""
    import json

    from softchat.base.text import inert_json, is_unicode

    plain = not is_unicode(sys.stdout.encoding)
    print(inert_json(json.dumps(data, ensure_ascii=plain, allow_nan=False)), flush=True)


def complain(message: str, hint: str) -> None:
    """Tell of a failure on stderr."""
    from softchat.base.text import message_line

    try:
        print(f"error: {message_line(message)}", file=sys.stderr)
        if hint:
            print(f"hint: {message_line(hint)}", file=sys.stderr)
    except OSError:  # a full disk, or nobody who reads: there is no other place to say it
        _give_up(sys.stderr)


def warn(message: str) -> None:
    """Tell on stderr of something that goes on all the same."""
    from softchat.base.text import message_line

    print(f"warning: {message_line(message)}", file=sys.stderr)
