"""The loop of a session: read a line, run a command or a turn, show it, keep it."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from softchat.base import files
from softchat.base.interrupt import TWICE_S, catch_interrupt
from softchat.base.keys import listening, stepping
from softchat.base.text import message_line, one_line, printable
from softchat.base.version import __version__
from softchat.base.written import refuse_inside, refuse_same
from softchat.errors import DecodeAbortedError, SoftchatError, UsageError, WorkerDiedError
from softchat.events import Answer, Event, Finished, Halted, Started, was_interrupted
from softchat.models import Located
from softchat.prompt.attached import Attached, in_short, join, split
from softchat.record.recall import trace_of
from softchat.record.session_file import SessionFile, Unkept, what_is_lost
from softchat.record.session_format import SessionRecord, read_file, write_file
from softchat.record.sessions import find_killed, leave_killed, load_session, newest_session
from softchat.record.trace import TraceWriter
from softchat.repl.commands import COMMANDS, Leave, explain_signs, run_command
from softchat.repl.line import (
    SlashCompleter,
    catch_at_prompt,
    make_prompt_session,
    type_ahead,
    unquoted,
)
from softchat.repl.session import Session
from softchat.talk.backend import Room
from softchat.views import View
from softchat.views.wording import cut_note, glyphs_for, in_a_line, plural

_NEARLY_FULL = 0.8
_LEAVING = ("exit", "quit")  # behind a space they are said to the model


class Repl:
    """A session on a terminal: reads, runs, shows.

    Args:
        session: the conversation, its model and settings.
        console: where all goes but the answers' text.
        make_view: a view for one turn.
        find: a model by its name, fetched if need be.
        saved: where the session is kept as it happens.
        busy: what is to be said once of other programs on this machine; or nothing.
        uses: the files that a session with this model comes from, which nothing writes over.

    """

    def __init__(
        self,
        session: Session,
        console: Console,
        *,
        make_view: Callable[[], View],
        find: Callable[[str], Located],
        saved: SessionFile,
        busy: Callable[[], str] = lambda: "",
        uses: Callable[[Located], Iterable[Path]] = lambda _: (),
    ) -> None:
        self.session = session
        self.console = console
        self.glyphs = glyphs_for(console.encoding)
        self.find = find
        self.trace: TraceWriter | None = None
        self.trace_path: Path | None = None
        self._trace_error: SoftchatError | None = None
        self._make_view = make_view
        self._saved = saved
        self._busy, self._busy_told = busy, False
        self._uses = uses
        self._noted: object = None  # the model whose note was told
        self._unsaved: set[str] = set()
        self._notes: list[str] = []
        self._stopped_at = float("-inf")  # by a Ctrl-C, on the clock of `time.monotonic`
        self._pending = ""  # what stands on the next line already
        self._offered = ""  # the id of a session that was killed
        self.attached: list[Attached] = []  # texts that go with the next question
        self._own: dict[str, str] = {}  # files that hold this session, with a digest of each

    def greet(self) -> None:
        """The first line."""
        name = one_line(self.session.found.name)
        self.say(f"softchat {__version__}{self.glyphs.dot}{name}{self.glyphs.dot}/help", "dim")
        entry = self.session.found.entry
        if entry is not None and entry.caution:
            self.say(f"{entry.caution}; 'softchat models' lists real ones", "dim")

    def greet_again(self, record: SessionRecord) -> None:
        """What a session that goes on has come to; a question without an answer is on the line."""
        said = plural(len(record.turns), "turn")
        self.say(f"going on after {said}; /save FILE.md writes all of it", "dim")
        if record.turns:
            self.say(f"> {printable(in_short(record.turns[-1].question))}", "dim")
            with self._make_view() as view:
                view.show(Answer(text=record.turns[-1].answer))
        self.edit(record.pending)
        if record.pending:
            self.say("the question that was not answered is on the line: Enter asks it", "dim")

    def offer_killed(self) -> None:
        """Tell once of a session that something has killed; `/resume` takes it up."""
        killed = find_killed(self._saved.folder)
        if killed is not None:
            leave_killed(self._saved.folder, killed)
            self._offered = killed.id
            said = plural(len(killed.turns), "turn")
            what = in_a_line(in_short(killed.title), 50)
            self.say(f"/resume takes up what was killed ({said}): {what}", "dim")

    def resume(self, name: str) -> None:
        """Go on with another session: this one, or the one that was offered, or the newest.

        Raises:
            SoftchatError: it can't be had; the session that there is goes on.

        """
        folder, wanted = self._saved.folder, name or self._offered
        try:
            record = (
                load_session(folder, wanted)
                if wanted
                else newest_session(folder, idle=True, own=self._saved.id)
            )
        except UsageError as error:
            error.hint = "softchat sessions, and softchat log, have those that there are"
            raise
        if record.id == self._saved.id:
            raise UsageError("this is that session", hint="softchat sessions lists others")
        file = type(self._saved)(folder, record)
        self._saved.close(self.session)
        try:
            self.session.resume(record, self.find)
        except BaseException:
            file.release()
            self.keep()
            raise
        self._saved, self._offered = file, ""
        self._own.clear()
        self.greet_again(record)

    def edit(self, text: str) -> None:
        """Have this on the line that is typed next; its texts go with it, and those of `/file`."""
        texts, self._pending = split(text)
        self.attached += [one for one in texts if one not in self.attached]

    def run(self, *, history: Path | None, models: Callable[[], list[str]]) -> None:
        """Until the user leaves."""
        takes = {name: command.takes for name, command in COMMANDS.items()}
        prompt = make_prompt_session(
            history=history,
            completer=SlashCompleter(takes, models, self.session.used_settings),
            toolbar=self.toolbar,
            warn=self.note,
        )
        with suppress(KeyboardInterrupt):  # a second one, while the first is answered
            while not self._left(prompt):
                self._pending = ""
                self.say("Ctrl-D or /quit leaves", "dim")

    def _left(self, prompt: PromptSession[str]) -> bool:
        """Run until the user leaves, or until a Ctrl-C that leaves nothing: False."""
        try:
            self._run(prompt)
        except KeyboardInterrupt:  # wherever it comes
            return self._is_second_press()
        return True

    def _run(self, prompt: PromptSession[str]) -> None:
        while True:
            self._say_notes()
            try:
                text = self._read_line(prompt)
                self._pending = ""
            except KeyboardInterrupt:
                if self._pending:  # a question that was taken back, and its texts with it
                    self.attached.clear()
                raise
            except EOFError:
                return
            try:
                self.handle(text)
            except Leave:
                return
            except KeyboardInterrupt:
                if self._is_second_press():  # while a turn ran
                    self.say("left", "dim")
                    return
                self.say("stopped", "yellow")  # in a command that runs no turn

    def _read_line(self, prompt: PromptSession[str]) -> str:
        with catch_at_prompt(prompt) as interrupt:
            text = prompt.prompt("> ", default=self._pending, handle_sigint=False)
        # What was pressed before it was entered is another matter.
        self._stopped_at = float("-inf")
        self.session.interrupt.clear()
        if interrupt():
            raise KeyboardInterrupt
        return text

    def _is_second_press(self) -> bool:
        """Whether Ctrl-C was pressed just before too, and no line was entered between.

        The first may have stopped a turn.
        """
        before = max(self._stopped_at, self.session.interrupt.pressed_at)
        self._stopped_at = time.monotonic()
        return self._stopped_at - before < TWICE_S

    def handle(self, text: str) -> None:
        """One line, or block, that was typed."""
        try:
            if text.startswith("/"):
                run_command(self, text)
            elif text.rstrip().lower() in _LEAVING:
                raise Leave
            elif text.strip() == "?":
                explain_signs(self)
            elif question := unquoted(text).strip():
                # Around all of it: between loading and thinking a press must not get lost.
                with catch_interrupt(self.session.interrupt):
                    self._ask(question)
        except DecodeAbortedError as error:
            self.say(message_line(error.message), "yellow")  # as the user wanted
        except SoftchatError as error:
            self.say(f"error: {message_line(error.message)}", "red")
            if error.hint:
                self.say(f"hint: {message_line(error.hint)}", "dim")

    def _ask(self, question: str) -> None:
        question = join(question, self.attached)
        self.keep(pending=question)  # first: a model can end the process where it reads the prompt
        self._wait_for_model()
        room = self.session.room(question)
        if room.missing:
            self.keep()
            self._offer_room(question, room)
            return
        self.attached = []
        self.run_turn(self.session.ask(question))

    def _wait_for_model(self) -> None:
        try:
            self.session.check()
        except WorkerDiedError as error:  # no turn is lost by it: this one waits for the next model
            self.say(f"warning: {message_line(error.message)}", "yellow")
        if self.session.loading:
            self.say(f"loading {one_line(self.session.found.name)}…", "dim")
        if not self._busy_told and (note := self._busy()):
            self.say(note, "dim")
            self._busy_told = True
        self.session.conversation()
        if self.session.note and self.session.info is not self._noted:
            self._noted = self.session.info
            self.say(f"note: {message_line(self.session.note)}", "yellow")

    def _offer_room(self, question: str, room: Room) -> None:
        count = self.session.droppable(question)
        most = max(0, room.n_ctx - room.reserved)
        self.say(
            f"this does not fit: it lacks {plural(room.missing, 'position')} of context: with all "
            f"that was said it has {plural(room.prompt, 'token')}, and {most} are the most",
            "red",
        )
        if not count:
            back = "; /file none takes it back" if self.attached else ""
            self.say(f"hint: shorten it, or start with more: softchat --ctx N{back}", "dim")
            return
        self.say(f"hint: /drop {count} forgets the oldest {plural(count, 'turn')}, then ask", "dim")

    def run_turn(self, events: Iterator[Event]) -> None:
        """Show a turn, write it down, and keep the session."""
        session = self.session
        max_answer: object = None
        finished: Finished | None = None
        try:
            with (
                catch_interrupt(session.interrupt),
                (
                    stepping(session.keys)
                    if session.by_hand
                    else listening(session.answer_now, type_ahead)
                ) as stop_listening,
                self._make_view() as view,
            ):
                for event in events:
                    self._write_down(event)
                    view.show(event)
                    match event:
                        case Started():
                            max_answer = event.settings.get("max_answer")
                        case Halted() | Answer():  # keys are the next question's now
                            stop_listening()
                        case Finished():
                            finished = event
        finally:
            self.keep()
            self._tell_of_the_trace()
        sys.stdout.flush()
        self._tell_of_limits(finished, max_answer)

    def _tell_of_limits(self, finished: Finished | None, max_answer: object) -> None:
        """Nothing is cut in silence, and a context that fills up is told before it is full.

        Args:
            finished: how what was said just now has ended: a turn, or what goes on with one.
            max_answer: the setting that held for it.

        """
        used, n_ctx = self.session.used
        note = cut_note(finished, max_answer) if finished else ""
        if note:
            begun = any(turn.answer for turn in self.session.turns[-1:])
            more = "; /continue goes on" if begun and "max_answer" in note else ""
            self.say(f"{note}{more}", "yellow")
        if used > _NEARLY_FULL * n_ctx:
            self.say(
                f"context {used} of {n_ctx}: nearly full; /drop N forgets the oldest turns",
                "yellow",
            )

    def _write_down(self, event: Event) -> None:
        """Write an event down if that is wanted; if it fails, the trace ends, not the turn."""
        if self.trace is None:
            return
        try:
            self.trace.write(event)
        except SoftchatError as error:
            self.end_trace()
            self._trace_error = error

    def end_trace(self) -> None:
        """Close the trace, if there is one."""
        if self.trace is not None:
            self.trace.__exit__(None, None, None)
            self.trace = None

    def _tell_of_the_trace(self) -> None:
        # Not sooner: a line of ours in the middle of a live panel would tear it.
        if self._trace_error is not None:
            message = message_line(self._trace_error.message)
            self.say(f"warning: {message}; /trace is off", "yellow")
            self._trace_error = None

    def run_quietly(self, events: Iterator[Event]) -> list[Event] | None:
        """Run a turn without showing it; None if it was stopped."""
        with catch_interrupt(self.session.interrupt):
            seen = list(events)
        return None if was_interrupted(seen) else seen

    def keep(self, *, pending: str = "") -> None:
        """Write the session down as it is now; say it once if that can't be done."""
        if not (self.session.turns or pending or self._saved.begun):
            return  # there is nothing to lose
        try:
            self._saved.write(self.session, pending=pending)
        except OSError as error:
            if (what := what_is_lost(error, "this session")) not in self._unsaved:
                self._unsaved.add(what)
                reason = one_line(str(error.strerror or error))
                self.say(f"warning: {what} can't be saved: {reason}", "yellow")

    def note(self, message: str) -> None:
        """Warn of this once no prompt is on the terminal."""
        self._notes.append(message)

    def _say_notes(self) -> None:
        for message in self._notes:
            self.say(f"warning: {message_line(message)}", "yellow")
        self._notes.clear()

    def save_as(self, path: Path) -> None:
        """Write the session to a file of the user's. Raises UsageError."""
        self.refuse_used(path, by="/save")
        self._refuse_trace(path)
        write_file(path, self.session)
        self._own[os.path.realpath(path)] = _digest(path)
        self.say(f"written to {one_line(str(path))}", "dim")

    def is_own(self, path: Path) -> bool:
        """Whether this file holds what this session has written there, or comes from."""
        written = self._own.get(os.path.realpath(path))
        return bool(written) and written == _digest(path)

    def refuse_used(self, path: Path, *, by: str) -> None:
        """Raise UsageError if the session comes from this file, or sessions are kept there."""
        folder, id_ = self._saved.folder, self._saved.id
        refuse_same(path, folder / f"{id_}.json", trace_of(folder, id_), by=by)
        refuse_inside(path, folder)
        refuse_same(path, *self._uses(self.session.found), by=by)

    def _refuse_trace(self, path: Path) -> None:
        """Raise UsageError if turns are written to this file: those that follow would be lost."""
        try:
            refuse_same(path, self.trace_path if self.trace else None, by="/save")
        except UsageError as error:
            error.hint = "/trace writes there: /trace off ends that; or name another file"
            raise

    def load_from(self, path: Path) -> None:
        """Take up a session from a file; the one so far stays as it is. Raises UsageError."""
        restored = read_file(path)
        self._set_aside()
        self._own = {os.path.realpath(path): _digest(path)}
        self.session.turns[:] = restored.turns
        self.session.system = restored.system
        self.keep()

    def _set_aside(self) -> None:
        """Have what was said so far be a session of its own; what comes is kept in another file.

        Raises:
            UsageError: it can't be kept.

        """
        before = self._saved
        if not self.session.turns:
            return
        try:
            before.write(self.session)
        except OSError as error:
            what = what_is_lost(error, "what was said so far")
            raise UsageError(
                f"{what} can't be kept: {error.strerror or error}",
                hint="/save FILE keeps it elsewhere; /clear forgets it",
            ) from error
        self._saved = type(before)(before.folder)
        before.close(self.session)
        where = "not kept" if isinstance(before, Unkept) else f"session {before.id}"
        self.say(f"what was said before is {where}", "dim")

    def say(self, text: str, style: str = "") -> None:
        """A line of softchat's own, wrapped at words, unless that would break one, as a path."""
        text = self.glyphs.text(text)
        broken = any(cell_len(word) > self.console.width for word in text.split())
        self.console.print(Text(text, style), soft_wrap=broken)

    def toolbar(self) -> str:
        """What holds now, in a line; in a narrow window the least of it goes first."""
        values = self.session.settings
        used, n_ctx = self.session.used
        parts = {
            "model": one_line(self.session.found.name),
            "strategy": str(values.strategy),
            "tau": f"{self.glyphs.tau} {values.tau:g}",
            "patience": f"patience {values.patience}",
            "topn": f"n {values.topn}",
            "with": self.glyphs.text("with " + ", ".join(one.name for one in self.attached)),
            "context": f"context {used}/{n_ctx}" if n_ctx else self._absence(),
        }
        if not self.attached:
            del parts["with"]
        for least in ("", "patience", "model", "strategy", "topn", "tau"):
            parts.pop(least, None)
            text = self.glyphs.text(" " + self.glyphs.dot.join(parts.values()))
            if cell_len(text) < self.console.width:
                break
        return text

    def _absence(self) -> str:
        return "loading…" if self.session.loading else "not loaded"

    def close(self) -> None:
        """Write the last word, say how to go on, and free everything."""
        if self.session.turns and self._saved.begun:
            self.say(f"softchat --resume {self._saved.id} goes on with this", "dim")
        with ExitStack() as stack:
            stack.callback(self.session.close)
            stack.callback(self.end_trace)
            stack.callback(self._saved.close, self.session)


def _digest(path: Path) -> str:
    """Of what this file holds; nothing if it can't be read."""
    try:
        return hashlib.sha256(files.read_file(path)).hexdigest()
    except OSError:
        return ""
