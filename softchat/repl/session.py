"""A session: a conversation, its model and settings. Knows no keyboard and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from softchat.base.interrupt import Interrupt
from softchat.base.keys import AnswerNow, StepKeys
from softchat.config.file import OPTIONS, SIZES, Config
from softchat.config.layers import Layers, Source
from softchat.errors import (
    SoftchatError,
    UsageError,
)
from softchat.events import Event, Finished, ModelInfo, Started
from softchat.models import Located
from softchat.record.session_format import SessionRecord
from softchat.repl.loading import OpenBackend, SessionModel
from softchat.settings import KNOBS, Settings
from softchat.talk.backend import Room
from softchat.talk.conversation import Conversation, Turn
from softchat.thinking.fork import Fork

_UNSET = {
    **dict.fromkeys(SIZES, 0), "gpu_layers": "auto", "cache_type": "f16", "flash_attn": "auto",
    "keep_thoughts": False, "log": True, "prompt_cache": True,
}  # fmt: skip
"""Options that nobody has set; the others have no value then."""


class Session:
    """One session.

    Args:
        found: the model to begin with.
        open_backend: loads a model.
        config: what the user's config.toml says.
        chosen: what flags and variables give.
        restored: the session to go on with, if it is not a new one.
        flags: names of what the command line itself gives: stronger than what that session had.
        loaded_with: what `/set` has changed of how a model is loaded; `open_backend` looks there.

    """

    def __init__(
        self,
        found: Located,
        open_backend: OpenBackend,
        *,
        config: Config,
        chosen: Source,
        restored: SessionRecord | None = None,
        flags: Collection[str] = (),
        loaded_with: dict[str, Any] | None = None,
    ) -> None:
        self.interrupt = Interrupt()
        self.answer_now = AnswerNow()
        self.keys = StepKeys()
        self.by_hand = False
        """Whether each step of a thought waits for one of the keys."""
        self.layers = Layers(suits=config.suits(found), chosen=[chosen])
        self._config = config
        self._changed: dict[str, tuple[Any, str]] = {}  # options, and what has changed them
        self._turns: list[Turn] = []
        self._flags = flags
        self._conversation: Conversation | None = None
        self._used_at: dict[int, int] = {}  # positions, by the turn that came last
        if restored:
            self._take_up(restored)
        self._loaded_with = {} if loaded_with is None else loaded_with
        self._model = SessionModel(found, open_backend, self.interrupt)

    def _take_up(self, record: SessionRecord) -> None:
        kept = {"model": record.model, "system": record.system}
        self._changed |= {
            name: (kept[name], "the session") for name in kept if name not in self._flags
        }
        self.layers.take_up(record.chosen, stronger=self._flags)
        self._turns[:] = record.turns
        self._used_at.clear()
        if self._conversation is not None:
            self._conversation.system = self.system

    def resume(self, record: SessionRecord, find: Callable[[str], Located]) -> None:
        """Go on with another session: what was said, its model, its settings.

        Raises:
            ModelError: its model can't be had; all is as before.

        """
        if record.model != self.model_name and "model" not in self._flags:
            self.change_model(find(record.model))
        self._take_up(record)

    # -- the model -------------------------------------------------------------------------------

    @property
    def found(self) -> Located:
        """The model's file, and what is known of it."""
        return self._model.found

    @property
    def loading(self) -> bool:
        """Whether the model is still being loaded."""
        return self._model.loading

    @property
    def model_name(self) -> str:
        """What `-m` would call the model: its name, or its file."""
        return self.found.spec

    @property
    def system(self) -> str:
        """The system prompt that holds now."""
        changed = self._changed.get("system")
        return str(self.layers.value("system", "")) if changed is None else changed[0]

    @system.setter
    def system(self, text: str) -> None:
        self._changed["system"] = text, "/system"
        self._used_at.clear()
        if self._conversation is not None:
            self._conversation.system = text

    def conversation(self) -> Conversation:
        """The conversation, when the model is there.

        Raises:
            ModelError: it can't be loaded.
            DecodeAbortedError: the user did not want to wait; the loading goes on.

        """
        self._model.try_servers_again()
        return self._begun()

    def _begun(self) -> Conversation:
        """The conversation, with the model that is loaded, or is being loaded."""
        backend = self._model.take()
        if self._conversation is None or self._conversation.backend is not backend:
            self._conversation = Conversation(
                backend,
                system=self.system,
                keep_thoughts=bool(self.layers.value("keep_thoughts", False)),
            )
            self._conversation.turns = self._turns
        return self._conversation

    def check(self) -> None:
        """Raise WorkerDiedError if the model has died since it was last used; it is replaced."""
        if self._model.backend is None:
            self._model.try_servers_again()
            return
        with self._outliving():
            self._model.backend.check()

    def reload(self, name: str, value: object) -> None:
        """Load the model again with another value of one of `LOADING`; as before if that fails.

        None takes back what was set.

        Raises:
            ModelError: it can't be loaded so.
            ServerError: a server does not answer.

        """
        before, changed = dict(self._loaded_with), dict(self._changed)
        self._model.drop()
        self._used_at.clear()
        if value is None:
            self._loaded_with.pop(name, None)
            self._changed.pop(name, None)
        else:
            self._loaded_with[name], self._changed[name] = value, (value, "/set")
        self._model.load()
        try:
            self._model.take()
        except BaseException:  # a Ctrl-C too
            self._loaded_with.clear()
            self._loaded_with.update(before)
            self._changed = changed
            self._model.load()
            raise

    def change_model(self, found: Located) -> None:
        """Go on with another model; if it can't be loaded, with this one as before.

        Raises:
            ModelError: it can't be loaded.

        """
        try:
            self._used_at.clear()  # another model has other tokens
            self._model.change(found)
        finally:
            self.layers.suits = self._config.suits(self.found)
        self._changed["model"] = found.name, "/model"

    def _outliving(self) -> AbstractContextManager[None]:
        """See `SessionModel.outliving`."""
        return self._model.outliving(self._lost)

    def _lost(self) -> str:
        """What is gone with a model that has died, in words."""
        thoughts = self.layers.value("keep_thoughts", False) and self._turns
        return " (what it thought until now is gone)" if thoughts else ""

    # -- turns -----------------------------------------------------------------------------------

    @property
    def chosen(self) -> dict[str, object]:
        """The settings that `/set` has changed."""
        return self.layers.session

    @property
    def turns(self) -> list[Turn]:
        """What has been said, the oldest first."""
        return self._turns

    def turn(self, number: int) -> Turn:
        """The turn of this number, from 1. Raises UsageError if there is none."""
        if not 0 < number <= len(self._turns):
            there = f"from 1 to {len(self._turns)}" if self._turns else "nothing has been asked yet"
            raise UsageError(f"no turn {number}", hint=there)
        return self._turns[number - 1]

    def last(self) -> Turn:
        """The turn said last.

        Raises:
            UsageError: nothing has been said.

        """
        if not self._turns:
            raise UsageError("nothing has been asked yet", hint="ask something first")
        return self._turns[-1]

    def undo(self) -> Turn:
        """Take the last turn back. Raises UsageError as `last`."""
        self.last()
        return self._turns.pop()

    def clear(self) -> int:
        """Forget all turns; how many there were."""
        count = len(self._turns)
        self._turns.clear()
        return count

    def drop(self, count: int) -> None:
        """Forget so many of the oldest turns."""
        del self._turns[:count]
        self._used_at.clear()

    def ask(self, question: str, **once: object) -> Iterator[Event]:
        """A turn, with these settings for this once. Raises as `Conversation.ask`."""
        yield from self._turn(question, self.layers.resolve(**once))

    def _turn(self, question: str, settings: Settings, fork: Fork | None = None) -> Iterator[Event]:
        with self._outliving():
            for event in self.conversation().ask(
                question,
                settings,
                cancelled=self.interrupt,
                answer_now=self.answer_now,
                fork=fork,
                keys=self.keys if self.by_hand else None,
            ):
                if isinstance(event, Finished):
                    self._model.completed()
                yield event
            self._count()

    def fork(self, fork: Fork, settings: Settings) -> Iterator[Event]:
        """The last turn once more from one of its steps on, in place of it; `back` undoes that.

        Raises:
            UsageError: nothing has been asked; or it was of another model, which only one that is
                loaded can tell.

        """
        turn = self.last()
        with self._outliving():
            now = self.conversation().backend.info
        for event in turn.events[:1]:
            if isinstance(event, Started) and not _are_alike(event.model, now):
                raise UsageError(
                    f"the last turn was thought by {event.model.name}",
                    hint="/again asks the model of now",
                )
        yield from self._in_place(self._turn(turn.question, settings, fork))
        if self._turns[-1] is not turn:
            self._turns[-1] = replace(self._turns[-1], forked=turn)

    def back(self) -> Turn:
        """Put the turn back that the last one is a fork of. Raises UsageError if it is none."""
        turn = self.last()
        if turn.forked is None:
            raise UsageError("the last turn is no fork", hint="/fork STEP TOKEN makes one")
        self._turns[-1] = turn.forked
        return turn.forked

    def _in_place(self, events: Iterator[Event]) -> Iterator[Event]:
        """A turn in place of the last one, which comes back if that fails."""
        turn = self._turns.pop()
        count = len(self._turns)
        try:
            yield from events
        finally:
            if len(self._turns) == count or self._turns[-1].failed:
                self._turns[count:] = [turn]

    def again(self, **once: object) -> Iterator[Event]:
        """The last question once more, in place of its turn.

        The turn comes back if that fails, or is stopped before it answers anything.

        Raises:
            UsageError: nothing has been asked.

        """
        turn = self.last()
        try:
            yield from self._in_place(self.ask(turn.question, **once))
        finally:
            now = self._turns[-1]
            if turn.answer and now.interrupted and not now.answer:
                self._turns[-1] = turn

    def continue_(self) -> Iterator[Event]:
        """The last answer, which was cut, and more of it. Raises UsageError as `last`."""
        self.last()
        with self._outliving():
            yield from self.conversation().continue_(
                self.layers.resolve(), cancelled=self.interrupt
            )
            self._count()

    def _count(self) -> None:
        """Take down how many positions the model's memory holds, now that a turn has ended."""
        if self._turns and self._turns[-1].answer:  # else it is no part of what is said next
            self._used_at[self._turns[-1].number] = self.conversation().used

    def try_out(self, question: str | None, **once: object) -> Iterator[Event]:
        """A turn that leaves no trace; of the last question, as if it were asked now, if None."""
        turn = None if question else self.last()
        if turn is not None:
            self._turns.pop()
        try:
            with self._outliving():
                yield from self.conversation().ask(
                    question or (turn.question if turn else ""),
                    self.layers.resolve(**once),
                    cancelled=self.interrupt,
                    keep=False,
                )
        finally:
            if turn is not None:
                self._turns.append(turn)

    def room(self, question: str) -> Room:
        """What the next turn would need of the context."""
        with self._outliving():
            return self.conversation().room(question, self.layers.resolve())

    def droppable(self, question: str) -> int:
        """How many of the oldest turns must go for this question to fit; more than there are: 0."""
        kept = list(self._turns)
        try:
            for count in range(1, len(kept) + 1):
                del self._turns[:1]
                if not self.room(question).missing:
                    return count
            return 0
        finally:
            self._turns[:] = kept

    @property
    def note(self) -> str:
        """What is to be said of how the model was loaded; or nothing."""
        return self._model.backend.note if self._model.backend else ""

    @property
    def info(self) -> ModelInfo | None:
        """The model, once it is there."""
        return self._model.backend.info if self._model.backend else None

    @property
    def used(self) -> tuple[int, int]:
        """Positions of context in use, and all there are; (0, 0) while there is no model.

        What was taken back is still in the model's memory, but not in the way of a turn. Where a
        turn was last that did not end in this session, or something before it has changed since,
        it is what the next prompt begins with.
        """
        n_ctx = self._model.backend.info.n_ctx if self._model.backend else self._model.n_ctx
        if not (n_ctx and self._turns):
            return 0, n_ctx
        last = self._turns[-1].number
        conversation = self._begun()
        if last not in self._used_at:
            try:
                self._used_at[last] = conversation.room("", self.layers.resolve()).prompt
            except SoftchatError:  # the next turn says what is wrong
                self._used_at[last] = conversation.used
        return self._used_at[last], n_ctx

    @property
    def settings(self) -> Settings:
        """The settings of the next turn."""
        return self.layers.resolve()

    def used_settings(self) -> list[str]:
        """The names of the settings that the next turn looks at, or that /set has set."""
        settings = self.settings
        return [name for name in KNOBS if settings.uses(name) or name in self.layers.session]

    def origins(self) -> dict[str, tuple[Any, str]]:
        """Every setting's and option's value, and where it comes from."""
        values = self.settings.to_dict()
        shown = {name: (values[name], self.layers.origin(name)) for name in KNOBS}
        for name in OPTIONS:
            value = self.layers.value(name, _UNSET.get(name))
            shown[name] = self._changed.get(name, (value, self.layers.origin(name)))
        _, origin = shown["model"]
        default = "models.toml" if origin == "built in" else origin  # which model that is, it says
        shown["model"] = self.found.name, default
        return shown

    def close(self) -> None:
        """Free the model."""
        self._model.close()


def _are_alike(one: ModelInfo, other: ModelInfo) -> bool:
    """Whether a token of the one is the same to the other."""
    return (one.name, one.n_vocab, one.loras) == (other.name, other.n_vocab, other.loras)
