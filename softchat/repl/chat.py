"""A conversation with all that a user can change about it. Knows no keyboard and prints nothing.

The model is loaded in the background, so that the prompt is there at once; whatever needs the model
waits for it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from softchat.conversation import Conversation, Room, Turn
from softchat.engine.llama import LlamaEngine
from softchat.errors import SoftchatError, UsageError
from softchat.events import Event
from softchat.interrupt import Interrupt
from softchat.models import Located
from softchat.settings import KNOBS, Settings, resolve

OpenEngine = Callable[[Located, Callable[[], bool]], LlamaEngine]


@dataclass(slots=True, kw_only=True)
class Layers:
    """Where each setting's value comes from, the weakest first."""

    model: Mapping[str, object]
    command_line: Mapping[str, object]
    session: dict[str, object] = field(default_factory=dict)

    def resolve(self, **once: object) -> Settings:
        """The settings of the next turn; a seed that nobody has set is drawn."""
        drawn = {"seed": secrets.randbits(32)}
        return resolve(self.model, drawn, self.command_line, self.session, once)

    def origin(self, name: str) -> str:
        """Where the value of this setting comes from."""
        if name in self.session:
            return "/set"
        if name in self.command_line:
            return "command line"
        if name == "seed":
            return "drawn for each turn"
        return "models.toml" if name in self.model else "built in"


class Chat:
    """One session.

    Args:
        found: the model to begin with.
        open_engine: loads a model.
        command_line: the settings that flags and variables give.
        system: the system prompt; None is the model's own.
        keep_thoughts: see `Conversation`.

    """

    def __init__(
        self,
        found: Located,
        open_engine: OpenEngine,
        *,
        command_line: Mapping[str, object],
        system: str | None = None,
        keep_thoughts: bool = False,
    ) -> None:
        self.interrupt = Interrupt()
        self.found = found
        self.layers = Layers(model=found.defaults, command_line=command_line)
        self.keep_thoughts = keep_thoughts
        self._given_system = system
        self._open_engine = open_engine
        self._turns: list[Turn] = []
        self._talk: Conversation | None = None
        self._engine: LlamaEngine | None = None
        self._loading: Future[LlamaEngine] = self._load(found)

    def _load(self, found: Located) -> Future[LlamaEngine]:
        # A thread that ends, no pool: the OpenMP workers of a second thread that stays halve the
        # speed of the first one's.
        future: Future[LlamaEngine] = Future()

        def load() -> None:
            try:
                future.set_result(self._open_engine(found, self.interrupt))
            except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
                future.set_exception(error)

        threading.Thread(target=load, name="load", daemon=True).start()
        return future

    # -- the model -------------------------------------------------------------------------------

    @property
    def loading(self) -> bool:
        """Whether the model is still being loaded."""
        return not self._loading.done()

    @property
    def model_name(self) -> str:
        """What `-m` would call the model: its name, or its file."""
        return self.found.name if self.found.entry else str(self.found.path.absolute())

    @property
    def system(self) -> str:
        """The system prompt that holds now."""
        return self.found.system if self._given_system is None else self._given_system

    @system.setter
    def system(self, text: str) -> None:
        self._given_system = text
        if self._talk is not None:
            self._talk.system = text

    def talk(self) -> Conversation:
        """The conversation, when the model is there.

        Raises:
            ModelError: it can't be loaded.

        """
        if self._talk is None:
            self._engine = self._loading.result()
            self._talk = Conversation(
                self._engine,
                tags=self.found.tags,
                system=self.system,
                keep_thoughts=self.keep_thoughts,
            )
            self._talk.turns = self._turns
        return self._talk

    def change_model(self, found: Located) -> None:
        """Go on with another model; if it can't be loaded, with this one as before.

        Raises:
            ModelError: it can't be loaded.

        """
        before = self.found
        self._close_engine()
        try:
            self._use(found)
            self.talk()
        except SoftchatError:
            self._use(before)
            raise

    def _use(self, found: Located) -> None:
        self.found = found
        self.layers.model = found.defaults
        self._loading = self._load(found)

    def _close_engine(self) -> None:
        with suppress(SoftchatError):
            self._loading.result().close()
        if self._talk is not None:
            self._talk.drop(0)  # thoughts of another model
        self._talk = self._engine = None

    # -- turns -----------------------------------------------------------------------------------

    @property
    def turns(self) -> list[Turn]:
        """What has been said, the oldest first."""
        return self._turns

    def last(self) -> Turn:
        """The turn said last.

        Raises:
            UsageError: nothing has been said.

        """
        if not self._turns:
            raise UsageError("nothing has been asked yet", hint="ask something first")
        return self._turns[-1]

    def ask(self, question: str, **once: object) -> Iterator[Event]:
        """A turn, with these settings for this once. Raises as `Conversation.ask`."""
        yield from self.talk().ask(question, self.layers.resolve(**once), cancelled=self.interrupt)

    def again(self, **once: object) -> Iterator[Event]:
        """The last question once more, in place of its turn; the turn comes back if that fails.

        Raises:
            UsageError: nothing has been asked.

        """
        turn = self.last()
        self._turns.pop()
        count = len(self._turns)
        try:
            yield from self.ask(turn.question, **once)
        finally:
            if len(self._turns) == count:
                self._turns.append(turn)

    def try_out(self, question: str | None, **once: object) -> Iterator[Event]:
        """A turn that leaves no trace; of the last question, as if it were asked now, if None."""
        turn = None if question else self.last()
        if turn is not None:
            self._turns.pop()
        try:
            yield from self.talk().ask(
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
        return self.talk().room(question, self.layers.resolve())

    def droppable(self, question: str) -> int:
        """How many of the oldest turns must go for this question to fit; more than there are: 0."""
        talk = self.talk()
        kept = list(self._turns)
        try:
            for count in range(1, len(kept) + 1):
                talk.drop(1)
                if not self.room(question).missing:
                    return count
            return 0
        finally:
            self._turns[:] = kept

    @property
    def used(self) -> tuple[int, int]:
        """Positions of context in use, and all there are; (0, 0) while there is no model."""
        if self._talk is not None:
            return self._talk.used, self._talk.n_ctx
        if self.loading or self._loading.exception() is not None:
            return 0, 0
        return 0, self._loading.result().info.n_ctx

    def settings(self) -> dict[str, tuple[Any, str]]:
        """Every setting's value and where it comes from."""
        values = self.layers.resolve().to_dict()
        return {name: (values[name], self.layers.origin(name)) for name in KNOBS}

    def close(self) -> None:
        """Free the model."""
        self.interrupt.pressed = True  # a model that is still loading stops
        with suppress(SoftchatError):
            self._loading.result().close()
