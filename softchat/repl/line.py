"""The line that is typed: history, several lines, completion, and a toolbar. Runs no command."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import is_searching
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.screen import Char

from softchat.base.files import make_private, read_file
from softchat.base.interrupt import Interrupt
from softchat.base.text import CONTROLS, REPLACEMENT
from softchat.models.folders import expand
from softchat.settings import KNOBS, choices

_BLOCK = '"""'
_PASTE_ENDS, _CTRL_C = "\x1b[201~", "\x03"
# All that prompt-toolkit draws (what is typed, completions, history) goes through this table. It
# has C0 and C1, not bidi controls; the name of a file, or a question left over, may hold some.
for _control in CONTROLS - Char.display_mappings.keys():
    Char.display_mappings[_control] = REPLACEMENT
_T = TypeVar("_T")


class SlashCompleter(Completer):
    """Commands behind a slash; behind a command what it takes.

    Args:
        commands: name → what it takes: "command", "file", "setting", "settings", "strategy",
            "model", or "".
        models: the names that a model can be called by, when asked.
        settings: the names of settings that are of use, when asked.

    """

    def __init__(
        self,
        commands: Mapping[str, str],
        models: Callable[[], Iterable[str]],
        settings: Callable[[], Iterable[str]],
    ) -> None:
        self._commands = commands
        self._models = models
        self._settings = settings
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        """What could stand here."""
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        command, space, rest = text.partition(" ")
        if not space:
            yield from _matching(command, self._commands)
            return
        match self._commands.get(command):
            case "file":
                yield from self._paths.get_completions(Document(rest), event)
            case "setting":
                name, second, value = rest.partition(" ")
                known = choices(name) if name in KNOBS else []
                yield from _matching(value, known) if second else _matching(rest, self._settings())
            case "settings":
                word = rest.rpartition(" ")[2]
                name, equals, value = word.partition("=")
                if equals:
                    yield from _matching(value, choices(name) if name in KNOBS else [])
                else:
                    yield from _matching(word, [f"{knob}=" for knob in self._settings()])
            case "command":
                yield from _matching(rest, self._commands)
            case "strategy":
                yield from _matching(rest, choices("strategy"))
            case "model":
                yield from _matching(rest, self._models())
                yield from self._paths.get_completions(Document(rest), event)


def _matching(word: str, names: Iterable[str]) -> Iterable[Completion]:
    return (Completion(n, start_position=-len(word)) for n in names if n.startswith(word))


def make_prompt_session(
    *,
    history: Path | None,
    completer: Completer,
    toolbar: Callable[[], str],
    warn: Callable[[str], object],
    environ: Mapping[str, str] = os.environ,
) -> PromptSession[str]:
    """The prompt of a session, with what was typed in earlier ones.

    Enter sends, Alt-Enter begins a new line, and so does Enter after an opening three quotes.
    `warn` is told once if what is typed can't be kept; it is remembered for this session then.
    """
    return PromptSession(
        input=_input(),
        history=History(history, warn) if history else InMemoryHistory(),
        completer=completer,
        complete_while_typing=True,
        bottom_toolbar=toolbar,
        refresh_interval=0.5,  # the toolbar says when the model has been loaded
        multiline=True,
        prompt_continuation=_continuation,
        key_bindings=_keys(),
        editing_mode=editing_mode(environ),
        enable_open_in_editor=True,
        enable_suspend=True,
        reserve_space_for_menu=4,
    )


def _input() -> Input:
    """The terminal's keys, where a Ctrl-C ends a paste that nothing else would end."""
    keys = get_app_session().input
    parser = getattr(keys, "vt100_parser", None)  # Windows has none, and needs none
    if isinstance(parser, Vt100Parser):
        keys.vt100_parser = PasteParser(parser.feed_key_callback)  # type: ignore[attr-defined]
    return keys


class PasteParser(Vt100Parser):
    """One that is not deaf for good where the end mark of a paste was lost."""

    def flush(self) -> None:
        """Nothing has come for a while: a Ctrl-C that came last was typed, even into a paste."""
        if self._in_bracketed_paste and self._paste_buffer.endswith(_CTRL_C):
            self._paste_buffer = self._paste_buffer.removesuffix(_CTRL_C)
            self.feed(_PASTE_ENDS + _CTRL_C)
        super().flush()


def _continuation(width: int, _line: int, wraps: int) -> str:
    """What stands before a line that is not the first: a dot, unless the window has wrapped it."""
    return ("" if wraps else ".").rjust(max(0, width - 1)) + " "


@contextmanager
def catch_at_prompt(prompt: PromptSession[str]) -> Iterator[Interrupt]:
    """Ctrl-C ends a prompt that is run in here without its own handling of the signal.

    One that comes when the line is entered already, while the prompt gives the terminal back, is in
    the flag: by itself, the prompt leaves it to an event loop that has ended.
    """

    def end() -> None:
        if prompt.app.is_running and not prompt.app.is_done:
            prompt.app.exit(exception=KeyboardInterrupt())

    def press(number: int, frame: FrameType | None) -> None:
        interrupt.press(number, frame)
        with suppress(RuntimeError):  # that loop has ended
            if prompt.app.loop is not None:
                prompt.app.loop.call_soon_threadsafe(end)

    interrupt = Interrupt()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def type_ahead(text: str) -> None:
    """Have the next prompt begin with keys that were read before there was one."""
    presses: list[KeyPress] = []
    parser = Vt100Parser(presses.append)
    parser.feed_and_flush(text)
    store_typeahead(create_input(), presses)


def unquoted(text: str) -> str:
    """What was meant: a block is what stands between its first three quotes and its last line."""
    lines = text.strip().split("\n")
    if not _opens(text) or not _is_whole(text):
        return text
    return "\n".join([lines[0].removeprefix(_BLOCK), *lines[1:-1]]).strip("\n")


def _opens(text: str) -> bool:
    """Whether this is a block, or the beginning of one."""
    return text.lstrip().startswith(_BLOCK)


def _is_whole(text: str) -> bool:
    """Whether a block has ended: at a line of three quotes alone, for code may hold others."""
    _, newline, last = text.strip().rpartition("\n")
    return bool(newline) and last.strip() == _BLOCK


def editing_mode(environ: Mapping[str, str]) -> EditingMode:
    """vi or emacs keys, as the user's inputrc has it."""
    named = environ.get("INPUTRC") or "~/.inputrc"
    try:
        text = read_file(expand(named)).decode("utf-8", "replace")
    except OSError:
        return EditingMode.EMACS
    modes: list[str] = re.findall(r"^\s*set\s+editing-mode\s+(vi|emacs)\b", text, re.MULTILINE)
    return EditingMode.VI if modes and modes[-1] == "vi" else EditingMode.EMACS


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        state = buffer.complete_state
        if state is not None and state.current_completion is not None:
            buffer.complete_state = None
            return
        text = buffer.text
        if _opens(text) and not _is_whole(text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add(Keys.Vt100MouseEvent)
    def no_mouse(event: KeyPressEvent) -> None:
        """Nobody asked for a mouse: these are the colours of a text that was not pasted as one.

        prompt_toolkit's own binding fails of them, and with it the session.
        """

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


class History(FileHistory):
    """What was typed, in a file that nobody else can read; without one if it can't be used."""

    def __init__(self, path: Path, warn: Callable[[str], object]) -> None:
        super().__init__(str(path))
        self._path, self._warn = path, warn
        self._usable = True
        self._try(self._prepare)

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return self._try(lambda: list(super(History, self).load_history_strings())) or []

    def store_string(self, string: str) -> None:
        """Add a line."""
        self._try(self._prepare)  # again: somebody may have removed it
        self._try(lambda: super(History, self).store_string(string))

    def _prepare(self) -> None:
        make_private(self._path.parent)
        self._path.touch(mode=0o600)
        if not self._path.is_file():  # a folder, or a pipe that would wait for a reader
            raise FileExistsError(errno.EEXIST, "it is no file")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _try(self, action: Callable[[], _T]) -> _T | None:
        if not self._usable:
            return None
        try:
            return action()
        except OSError as error:
            self._usable = False
            self._warn(f"what is typed is not remembered: {self._path}: {error.strerror or error}")
            return None
