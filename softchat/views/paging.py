"""Long output on a terminal goes through the user's pager; in a pipe it goes straight on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments

_NO_COMMAND = (126, 127)  # a shell's status
_PLAIN = re.compile(r"[\w./+-]+( +[\w./+=:,%-]+)*")  # a command with flags: no shell's syntax
_PATIENCE_S = 2.0  # for a pager to end
_LOT = 4000  # segments that are written at once: some hundred lines


def print_paged(console: Console, renderable: RenderableType, *, lines: int) -> None:
    """Print; through the pager if it has more lines than the terminal, and there is one.

    In lots, as they are made: what is long begins at once, and is never all in memory.
    """
    command = _command(os.environ) if console.is_terminal and lines >= console.height - 2 else ""
    if command and _page(command, console, renderable):
        return
    for lot in _lots(console, renderable):
        console.print(lot)


def _command(environ: Mapping[str, str]) -> str:
    """What PAGER names, or less; empty for no pager."""
    if environ.get("TERM") in ("dumb", "emacs"):
        return ""
    return environ.get("PAGER", "less" if shutil.which("less") else "")


def _page(command: str, console: Console, renderable: RenderableType) -> bool:
    """Hand what is printed to the pager until it ends; False: the shell knows no such command."""
    # As git does: or less would spell the colours out, and stay for what fits the terminal.
    environ = {"LESS": "FRX", **os.environ}
    encoding = console.encoding
    if _PLAIN.fullmatch(command):
        command = f"exec {command}"  # else a signal to it ends the shell, and not the pager
    pager = subprocess.Popen(  # a command line, as PAGER is everywhere
        command, shell=True, env=environ, stdin=subprocess.PIPE, encoding=encoding, errors="replace"
    )
    assert pager.stdin is not None
    try:
        with suppress(BrokenPipeError), pager.stdin as to, _ended_with(pager):
            for lot in _lots(console, renderable):
                with console.capture() as captured:
                    console.print(lot)
                to.write(captured.get())
    finally:
        with _ended_with(pager):
            while pager.returncode is None:
                with suppress(KeyboardInterrupt):  # it is the pager's, too
                    pager.wait()
    return pager.returncode not in _NO_COMMAND


@contextmanager
def _ended_with(pager: subprocess.Popen[str]) -> Iterator[None]:
    """What ends this process in here ends the pager: left behind, it would take keys of a shell."""
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except BaseException:
        pager.terminate()
        try:
            pager.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            pager.kill()
        raise


def _lots(console: Console, renderable: RenderableType) -> Iterator[Segments]:
    """What is printed, in parts of whole lines."""
    held: list[Segment] = []
    for segment in console.render(renderable):
        held.append(segment)
        if len(held) >= _LOT and segment.text.endswith("\n"):
            yield Segments(held)
            held = []
    yield Segments(held)
