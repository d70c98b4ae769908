"""A conversation: its turns, and what of them is said to the model. Knows no terminals or files.

Each turn is one run of `think`, by a `Backend`. The turns are here and nowhere else, so that they
outlive the model that is loaded.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from softchat.base.local_time import local
from softchat.errors import (
    NumericsError,
    UsageError,
    WorkerDiedError,
    check_callable,
    check_type,
)
from softchat.events import Answer, Error, Event, Finished, was_interrupted
from softchat.prompt.tags import ThinkTags
from softchat.settings import Settings, check_settings
from softchat.talk.backend import Backend, ChatRequest, PastTurn, Room
from softchat.thinking.fork import Fork

if TYPE_CHECKING:
    from softchat.engine.protocol import Engine

_numbers = itertools.count()


def now() -> str:
    """The time, as turns and session files have it."""
    return local(datetime.datetime.now(datetime.UTC)).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question, and what became of it."""

    question: str
    answer: str
    settings: dict[str, Any]
    """As the `started` event carries them: the seed too, so the turn can be had again."""
    events: tuple[Event, ...] = ()
    """All of the run; none for a turn that was loaded from a file without them."""
    asked: str = field(default_factory=now, compare=False)
    """When: ISO 8601, with the offset; empty if nobody knows."""
    number: int = field(default_factory=lambda: next(_numbers), repr=False, compare=False)
    """Of this turn alone, in all of this process."""
    forked: Turn | None = None
    """The turn that this one is a fork of."""

    @property
    def lineage(self) -> tuple[Turn, ...]:
        """This turn, and those that it is a fork of, the oldest first."""
        return (*(self.forked.lineage if self.forked else ()), self)

    @property
    def finished(self) -> Finished | None:
        """How the run ended."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Finished) else None

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it."""
        return was_interrupted(self.events)

    @property
    def failed(self) -> bool:
        """Whether it ended in the middle, as the model died."""
        return bool(self.events) and isinstance(self.events[-1], Error)


class Conversation:
    """Turns with one model.

    Args:
        backend: who answers; or an engine, emptied. Several conversations may take turns on one.
        tags: how an engine's thinking is opened and closed; None: as its template says.
        system: the system prompt; empty for none.
        keep_thoughts: leave thoughts in the history, as the soft positions that they were.

    Raises:
        UsageError: the system prompt is no text, or the tags are none.
        SoftchatError: the engine was closed.

    """

    def __init__(
        self,
        backend: Backend | Engine,
        *,
        tags: ThinkTags | None = None,
        system: str = "",
        keep_thoughts: bool = False,
    ) -> None:
        check_type("the system prompt", system, str, "text")
        check_type("tags", tags, ThinkTags | None, "a ThinkTags, or None")
        if not isinstance(backend, Backend):
            from softchat.talk.local import (
                LocalBackend,  # the maths: not needed to ask another process
            )

            backend = LocalBackend(backend, tags=tags)
        self.backend = backend
        self.system = system
        self.keep_thoughts = keep_thoughts
        self.turns: list[Turn] = []
        """What was said, the oldest first; of what is taken out the next turn knows no more.

        Kept thoughts that built on it are not kept then.
        """

    @property
    def n_ctx(self) -> int:
        """Positions of context that there are."""
        return self.backend.info.n_ctx

    @property
    def used(self) -> int:
        """Positions that the model's memory holds now."""
        return self.backend.used

    def ask(
        self,
        question: str,
        settings: Settings,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        answer_now: Callable[[], bool] = lambda: False,
        keep: bool = True,
        fork: Fork | None = None,
        grammar: str = "",
        keys: Callable[[], str] | None = None,
    ) -> Iterator[Event]:
        """Run a turn, and keep it when it has ended; also one that was stopped, or failed half way.

        Args:
            question: what the user says.
            settings: of this turn.
            cancelled: asked before each step; True ends the turn as interrupted.
            answer_now: asked before each step; True ends the thinking, and the answer comes.
            keep: False tries something out and leaves the conversation as it is.
            fork: the run of this question from which this one parts.
            grammar: what the answer must be, in GBNF; empty: anything. One of which llama.cpp may
                come to no end is refused (UsageError), see `softchat.engine.grammar.Grammar`.
            keys: of thinking by hand, as `Backend.ask`.

        Raises:
            UsageError: an argument is of another type.
            SoftchatError: as `Backend.ask`; or a later run has begun on the same engine.

        """
        check_settings(settings)
        check_type("the grammar", grammar, str, "text")
        check_type("fork", fork, Fork | None, "a Fork, or None")
        check_callable("cancelled", cancelled)
        check_callable("answer_now", answer_now)
        if keys is not None:
            check_callable("keys", keys)
        number = next(_numbers) if keep else None
        asked = replace(self.question(question, number=number), fork=fork, grammar=grammar)
        events: list[Event] = []
        try:
            run = self.backend.ask(
                asked, settings, cancelled=cancelled, answer_now=answer_now, keys=keys
            )
            for event in run:
                events.append(event)
                if number is not None and isinstance(event, Finished):
                    self._commit(number, question, settings, events)
                yield event
        except (NumericsError, WorkerDiedError) as error:
            if number is not None:
                self._commit(number, question, settings, [*events, Error.of(error)])
            raise

    def continue_(
        self, settings: Settings, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Event]:
        """Go on with the last answer, which was cut; the turn becomes one with the longer answer.

        Args:
            settings: of what comes; `max_answer` tokens more.
            cancelled: as `ask`.

        Raises:
            UsageError: nothing has been asked, or the settings are none.
            SoftchatError: as `Backend.ask`; the turn is as it was.

        """
        check_settings(settings)
        check_callable("cancelled", cancelled)
        if not self.turns:
            raise UsageError("nothing has been asked yet", hint="ask something first")
        turn = self.turns[-1]
        asked = replace(
            self.question(turn.question, number=turn.number),
            said=self._said(self.turns[:-1]),
            begun=turn.answer,
        )
        events: list[Event] = []
        for event in self.backend.ask(asked, settings, cancelled=cancelled):
            events.append(event)
            if isinstance(event, Finished):
                self.turns[-1] = _longer(turn, events, event)
            yield event

    def room(self, question: str, settings: Settings) -> Room:
        """What the context would have to hold for this turn. Raises as `ask`."""
        check_settings(settings)
        return self.backend.room(self.question(question), settings)

    def question(self, text: str, *, number: int | None = None) -> ChatRequest:
        """The question with all that was said before, as the turn of this number.

        Raises:
            UsageError: it is no text, or the system prompt is none.

        """
        check_type("the question", text, str, "text")
        check_type("the system prompt", self.system, str, "text")
        return ChatRequest(
            text=text,
            system=self.system,
            said=self._said(self.turns),
            keep_thoughts=self.keep_thoughts,
            number=number,
        )

    @staticmethod
    def _said(turns: Iterable[Turn]) -> tuple[PastTurn, ...]:
        # A turn that was stopped before it said anything is no part of what was said.
        return tuple(
            PastTurn(number=turn.number, question=turn.question, answer=turn.answer)
            for turn in turns
            if turn.answer
        )

    def _commit(self, number: int, question: str, settings: Settings, events: list[Event]) -> None:
        self.turns.append(
            Turn(
                question=question,
                answer="".join(event.text for event in events if isinstance(event, Answer)),
                settings=settings.to_dict(),
                events=tuple(events),
                number=number,
            )
        )


def _longer(turn: Turn, events: Sequence[Event], end: Finished) -> Turn:
    """The turn with an answer that has gone on: still one run, of the same thoughts."""
    more = [event for event in events if isinstance(event, Answer)]
    answer = turn.answer + end.answer
    before = turn.finished
    if before is not None:
        end = replace(
            end,
            answer=answer,
            steps=before.steps,
            answer_tokens=before.answer_tokens + end.answer_tokens,
            think_s=before.think_s,
            answer_s=before.answer_s + end.answer_s,
            total_s=before.total_s + end.total_s,
        )
        events = [*turn.events[:-1], *more, end]
    return replace(turn, answer=answer, events=tuple(events) if before is not None else ())
