"""A conversation: turns, and what of them the model sees. Knows nothing of terminals or files.

Each turn is one run of `think`. The engine's memory is reused: of a new prompt only what the cache
does not hold already is decoded, and the result is that of a run from an empty cache. Thoughts are
dropped from the history, as chat templates do, unless `keep_thoughts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from softchat.engine.protocol import Engine
from softchat.events import Event, Finished, FinishReason
from softchat.sequence import Item, Sequence
from softchat.settings import Settings
from softchat.tags import ThinkTags
from softchat.template import Message, make_prompt, make_text, tags_of
from softchat.think import Prompt, reserved, think

_MARK = "\N{WHITE SQUARE CONTAINING BLACK SMALL SQUARE}answer\N{WHITE SQUARE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question, and what became of it."""

    question: str
    answer: str
    settings: dict[str, Any]
    """As the `started` event carries them: the seed too, so the turn can be had again."""
    events: tuple[Event, ...] = ()
    """All of the run; none for a turn that was loaded from a file without them."""
    positions: tuple[Item, ...] = field(default=(), repr=False)
    """What the cache held when it ended, if thoughts are kept; else nothing."""

    @property
    def finished(self) -> Finished | None:
        """How the run ended."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Finished) else None

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped it."""
        finished = self.finished
        return finished is not None and finished.finish_reason is FinishReason.INTERRUPTED


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


@dataclass(frozen=True, slots=True)
class _Made:
    """A prompt, and what it was made of."""

    messages: list[Message]
    thoughts: tuple[Item, ...]
    prompt: Prompt
    items: tuple[Item, ...]


class Conversation:
    """Turns with one model.

    Args:
        engine: emptied, and used by nobody else.
        tags: how the model's thinking is opened and closed; None: as its template says.
        system: the system prompt; empty for none.
        keep_thoughts: leave thoughts in the history, as the soft positions that they were.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        tags: ThinkTags | None = None,
        system: str = "",
        keep_thoughts: bool = False,
    ) -> None:
        self._sequence = Sequence(engine)
        self._tags = tags or tags_of(engine)
        self._made: _Made | None = None
        self._system = system
        self.keep_thoughts = keep_thoughts
        self.turns: list[Turn] = []

    @property
    def system(self) -> str:
        """The system prompt; empty for none."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        self._system = text
        self._lose_thoughts()

    @property
    def n_ctx(self) -> int:
        """Positions of context that there are."""
        return self._sequence.info.n_ctx

    @property
    def used(self) -> int:
        """Positions that the model's memory holds now."""
        return self._sequence.position

    def ask(
        self,
        question: str,
        settings: Settings,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        keep: bool = True,
    ) -> Iterator[Event]:
        """Run a turn, and keep it when it has ended; also one that was interrupted.

        Args:
            question: what the user says.
            settings: of this turn.
            cancelled: asked before each step; True ends the turn as interrupted.
            keep: False tries something out and leaves the conversation as it is.

        Raises:
            ContextError: the turn does not fit; `room` tells before.
            ModelRefusedError: the chat template fails.
            DecodeError: the model failed.

        """
        prompt, items = self._prompt(question)
        kept = self._sequence.rewind(items)
        # What is missing of earlier thoughts is put back; the loop itself decodes tokens only.
        start = max([kept, *(i + 1 for i, item in enumerate(items) if not isinstance(item, int))])
        self._sequence.replay(items[kept:start])
        rest = tuple(item for item in items[start:] if isinstance(item, int))
        events: list[Event] = []
        for event in think(
            self._sequence, replace(prompt, tokens=rest), settings, cancelled=cancelled
        ):
            events.append(event)
            if keep and isinstance(event, Finished):
                self._commit(question, event, settings, events)
            yield event

    def room(self, question: str, settings: Settings) -> Room:
        """What the context would have to hold for this turn. Raises ModelRefusedError as `ask`."""
        prompt, items = self._prompt(question)
        return Room(
            prompt=len(items),
            reserved=reserved(self._sequence, prompt, settings),
            n_ctx=self.n_ctx,
        )

    def undo(self) -> Turn:
        """Take the last turn back.

        Raises:
            IndexError: there is none.

        """
        return self.turns.pop()

    def clear(self) -> None:
        """Begin anew."""
        self.turns.clear()

    def drop(self, count: int) -> None:
        """Forget the oldest turns, and with them what was thought since: it built on them."""
        del self.turns[:count]
        self._lose_thoughts()

    def _lose_thoughts(self) -> None:
        self.turns[:] = [replace(turn, positions=()) for turn in self.turns]

    def _commit(
        self, question: str, finished: Finished, settings: Settings, events: list[Event]
    ) -> None:
        self.turns.append(
            Turn(
                question=question,
                answer=finished.answer,
                settings=settings.to_dict(),
                events=tuple(events),
                positions=self._sequence.items if self.keep_thoughts else (),
            )
        )

    def _prompt(self, question: str) -> tuple[Prompt, tuple[Item, ...]]:
        """The prompt of the next turn, and all that the positions up to its end must hold."""
        said = self._said()
        messages = self._messages(question)
        thoughts = said[-1].positions if self.keep_thoughts and said else ()
        made = self._made
        # `room` asks for the same one just before `ask` does.
        if made is None or made.messages != messages or made.thoughts is not thoughts:
            prompt = make_prompt(self._sequence, messages, tags=self._tags)
            items = self._items(question, thoughts) or prompt.tokens
            made = self._made = _Made(messages, thoughts, prompt, items)
        return made.prompt, made.items

    def _items(self, question: str, thoughts: tuple[Item, ...]) -> tuple[Item, ...]:
        """The positions of a prompt that goes on from kept thoughts; none without them."""
        if not thoughts:
            return ()
        # What the template writes between an answer and the next one's beginning.
        text = make_text(self._sequence, self._messages(question, answer=_MARK), self._tags)
        _, mark, between = text.rpartition(_MARK)
        return (*thoughts, *self._sequence.tokenize(between, special=True)) if mark else ()

    def _said(self) -> list[Turn]:
        # A turn that was stopped before it said anything is no part of what was said.
        return [turn for turn in self.turns if turn.answer]

    def _messages(self, question: str, answer: str | None = None) -> list[Message]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        said = self._said()
        for turn in said:
            shown = turn.answer if answer is None or turn is not said[-1] else answer
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": shown})
        return [*messages, {"role": "user", "content": question}]
