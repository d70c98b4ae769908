"""The backend: a loaded model that generates answers, in this process or in another.

Whoever asks sends along all that was said, so a backend owns nothing that can't be made again: it
may be replaced by a new one at any time. Knows nothing of engines, processes or terminals.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from softchat.base.closeable import Closeable
from softchat.events import Event, ModelInfo
from softchat.settings import Settings
from softchat.thinking.fork import Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTurn:
    """A turn that is over, as the model is shown it."""

    number: int
    """Of this turn alone, in all of this process."""
    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A question, and all that its answer depends on but the model and the settings."""

    text: str
    system: str = ""
    """The system prompt; empty for none."""
    said: tuple[PastTurn, ...] = ()
    """The turns before, the oldest first."""
    keep_thoughts: bool = False
    """Leave thoughts in the history, as the soft positions that they were."""
    begun: str | None = None
    """How the answer begins already, if it was cut and is to go on; nothing is thought then."""
    number: int | None = None
    """The turn that this becomes, and whose thoughts are kept then; None: of none."""
    fresh: bool = False
    """Decode all of the prompt again, as for a model's first question."""
    grammar: str = ""
    """What the answer must be, in GBNF; empty: anything."""
    fork: Fork | None = None
    """The run of this question from which this one parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a turn would need of the context."""

    prompt: int
    """Positions of its prompt, the history included."""
    reserved: int
    """Positions kept free for the answer."""
    n_ctx: int

    @property
    def missing(self) -> int:
        """Positions that are lacking; 0 if the turn fits."""
        return max(0, self.prompt + self.reserved - self.n_ctx)


class Backend(Closeable):
    """A model that answers. A context that frees it."""

    @property
    @abstractmethod
    def info(self) -> ModelInfo:
        """Name, architecture and sizes."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """What an embedding row is multiplied by to be the same input as its token."""

    @property
    @abstractmethod
    def used(self) -> int:
        """Positions that the model's memory holds now."""

    @property
    def note(self) -> str:
        """What its user should be told of how it was loaded; or nothing."""
        return ""

    def check(self) -> None:  # most have nothing to check
        """Raise WorkerDiedError if it is in another process, and that has ended."""

    @abstractmethod
    def ask(
        self,
        question: ChatRequest,
        settings: Settings,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        answer_now: Callable[[], bool] = lambda: False,
        keys: Callable[[], str] | None = None,
    ) -> Iterator[Event]:
        """Run a turn.

        Args:
            question: what the user says, and what was said before.
            settings: of this turn.
            cancelled: asked before each step; True ends the turn as interrupted.
            answer_now: asked before each step; True ends the thinking, and the answer comes.
            keys: gives the next key that was pressed, or nothing; each step waits for one, see
                `thinking.by_hand`. None: no step waits.

        Raises:
            ContextError: the turn does not fit; `room` tells before.
            ModelRefusedError: the chat template fails.
            DecodeError: the model failed.
            WorkerDiedError: the process that it was in has ended.

        """

    @abstractmethod
    def room(self, question: ChatRequest, settings: Settings) -> Room:
        """What the context would have to hold for this turn. Raises as `ask`."""

    @abstractmethod
    def close(self) -> None:
        """Free the model. The backend is of no use afterwards."""
