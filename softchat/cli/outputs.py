"""Where the events of a run go: one view on the terminal, and a trace file if one is wanted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softchat.base.keys import can_listen
from softchat.base.text import is_unicode, one_line
from softchat.base.written import refuse_inside, refuse_stdout
from softchat.cli.options import flag, option
from softchat.errors import UsageError
from softchat.events import Event, Finished, Started

if TYPE_CHECKING:
    from rich.console import Console

    from softchat.config.file import Config
    from softchat.record.trace import TraceWriter
    from softchat.views import View


_KEYS = (
    "space: go on, 1-9: that token alone, x: without the heaviest, t T: temperature, b: back, "
    "a: answer, r: run on"
)

Trace = Annotated[
    Path | None, flag("--trace", metavar="FILE", help="Write the events to a file too.")
]
Force = Annotated[
    bool, typer.Option("--force", help="--trace may write over a file that is no trace.")
]
Markdown = Annotated[bool | None, option("markdown")]
Panel = Annotated[bool | None, option("panel")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The flags that decide it."""

    json: Annotated[bool, flag("--json", help="Events as JSON lines on stdout.")] = False
    trace: Trace = None
    force: Force = False
    panel: Panel = None
    markdown: Markdown = None
    quiet: Annotated[bool, flag("--quiet", "-q", help="The answer only.")] = False
    verbose: Annotated[bool, flag("--verbose", "-v", help="Plain lines instead of the panel.")] = (
        False
    )

    def __post_init__(self) -> None:
        chosen = {"--json": self.json, "--quiet": self.quiet, "--verbose": self.verbose}
        names = [name for name, given in chosen.items() if given]
        names += ["--panel"] * bool(self.panel)
        if len(names) > 1:
            raise UsageError(f"{names[0]} and {names[1]} exclude each other", hint="choose one")

    def after(self, config: Config) -> Outputs:
        """With what config.toml says, where no flag does; neither a pipe gets a panel by it."""
        panel, markdown = self.panel, self.markdown
        if panel is None and config.values.get("panel") is False:
            panel = False
        if markdown is None and "markdown" in config.values:
            markdown = bool(config.values["markdown"])
        return replace(self, panel=panel, markdown=markdown)

    @property
    def reads_keys(self) -> bool:
        """Whether keys mean something to a run: not where a pager, or nobody, looks at it."""
        return sys.stdout.isatty() and sys.stderr.isatty() and not self.json

    @contextmanager
    def open(
        self,
        *,
        every_step: bool = False,
        more: str = "",
        keys: bool = False,
        waits: Callable[[], bool] | None = None,
    ) -> Iterator[Callable[[Event], None]]:
        """A function that shows an event everywhere it should be seen.

        Args:
            every_step: see `view`.
            more: see `view`.
            keys: see `view`.
            waits: see `view`.

        """
        with ExitStack() as stack:
            shows = []
            if self.trace is not None:
                trace = stack.enter_context(open_trace(self.trace, force=self.force))
                shows.append(trace.write)
            if not (self.json or self.quiet):
                note = _CutNote()
                stack.callback(note.say)  # below the answer, so when its view is done
                shows.append(note.show)
            view = self.view(every_step=every_step, more=more, keys=keys, waits=waits)
            shows.append(stack.enter_context(view).show)

            def show(event: Event) -> None:
                for one in shows:
                    one(event)

            yield show

    def refuse_steps(self) -> None:
        """Raise UsageError if a thought can't go step by step: nobody sees it, or has the keys."""
        if self.json or self.quiet:
            raise UsageError(
                f"--step and {'--json' if self.json else '--quiet'} exclude each other",
                hint="choose one",
            )
        if not (can_listen() and sys.stderr.isatty()):
            raise UsageError(
                "--step needs a terminal whose keys can be read",
                hint="not a pipe, nor Windows; softchat fork goes back to a step",
            )

    def view(
        self,
        *,
        every_step: bool = False,
        more: str = "",
        keys: bool = False,
        waits: Callable[[], bool] | None = None,
    ) -> View:
        """What shows a run on the terminal, or in a pipe.

        Args:
            every_step: all are shown; the panel must not skip one to save time.
            more: what people can type afterwards to see all of the thoughts.
            keys: whether keys that are pressed meanwhile are read, see `listening`.
            waits: whether each step waits for a key now; None: none does.

        """
        if self.json:
            from softchat.views.jsonl import JsonView

            return JsonView(sys.stdout)
        panel = self.wants_panel
        if self.verbose or ((waits or every_step) and not panel):
            from softchat.views.plain import StepView

            if waits:
                print(_KEYS, file=sys.stderr)  # the panel says it itself
            return StepView(sys.stderr, self._answer())
        if self.quiet or not (panel or sys.stderr.isatty()):
            return self._answer()
        from rich.console import Console

        from softchat.views.panel import REFRESH_S, PanelView
        from softchat.views.quiet import QuietView

        if not panel:
            return QuietView(terminal_console(stderr=True), self._answer())
        console = Console(stderr=True, force_terminal=self.panel)
        refresh_s = 0 if every_step else REFRESH_S
        keys = keys and self.reads_keys and sys.stdin.isatty()
        return PanelView(
            console, self._answer(), refresh_s=refresh_s, more=more, keys=keys, waits=waits
        )

    @property
    def wants_panel(self) -> bool:
        """Whether the thinking is shown in a panel, where it is shown at all."""
        if self.panel is not None:
            return self.panel
        return sys.stderr.isatty() and not _is_dumb()

    def _answer(self) -> View:
        if self._wants_markdown():
            from rich.console import Console

            from softchat.views.markdown import MarkdownView

            return MarkdownView(Console())
        from softchat.views.plain import AnswerView

        return AnswerView(sys.stdout)

    def _wants_markdown(self) -> bool:
        if not sys.stdout.isatty() or _is_dumb() or not is_unicode(sys.stdout.encoding):
            return False  # it is drawn again as it comes, with signs of Unicode
        return True if self.markdown is None else self.markdown  # NO_COLOR leaves bold and boxes


def open_trace(path: Path, *, force: bool) -> TraceWriter:
    """A trace in this file.

    Raises:
        UsageError: it can't be written, or holds something else than a trace, and not `force`; or
            stdout goes there; or it is among the files of sessions.

    """
    from softchat.cli.resume import sessions_folder
    from softchat.record.trace import TraceWriter, is_free

    refuse_stdout(path, by="--trace", hint="--json writes the events to stdout")
    refuse_inside(path, sessions_folder())
    if not force and not is_free(path):
        shown = one_line(str(path))
        raise UsageError(f"{shown} exists, and is no trace", hint="--force writes over it")
    return TraceWriter(path, force=True)


class _CutNote:
    """Says on stderr that an answer was cut, as a session does."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._note = ""

    def show(self, event: Event) -> None:
        match event:
            case Started(settings=settings):
                self._settings = settings
            case Finished():
                from softchat.views.wording import cut_note

                self._note = cut_note(event, self._settings.get("max_answer"))

    def say(self) -> None:
        if self._note:
            print(self._note, file=sys.stderr)


def terminal_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, also where that is dumb: rich takes it to be 80 then."""
    from rich.console import Console

    if not _is_dumb():
        return Console(stderr=stderr)
    columns, lines = shutil.get_terminal_size()
    # One less: such a terminal may wrap where its last column is written.
    return Console(stderr=stderr, width=columns - 1, height=lines)


def _is_dumb() -> bool:
    return os.environ.get("TERM", "dumb") == "dumb"
