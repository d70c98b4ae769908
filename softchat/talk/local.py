"""The backend in this process: an engine, its KV cache reused from turn to turn.

The engine's memory is reused: of a new prompt only what the cache does not hold already is decoded,
and the result is that of a run from an empty cache. Thoughts are dropped from the history, as chat
templates do, unless they are to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from softchat.base.text import storable
from softchat.engine.detokenizer import Detokenizer
from softchat.engine.hold import hold_of, run_alone
from softchat.engine.kv_cache import CachedSequence, Item
from softchat.engine.protocol import Engine, close_engine
from softchat.errors import UsageError
from softchat.events import Event, Finished, ModelInfo
from softchat.prompt.attached import in_short
from softchat.prompt.contents import MARK
from softchat.prompt.tags import ThinkTags
from softchat.prompt.template import Message, make_prompt, make_text, tags_of
from softchat.settings import Settings
from softchat.talk.backend import Backend, ChatRequest, Room
from softchat.talk.prompt_cache import PromptCache
from softchat.thinking.by_hand import Hand
from softchat.thinking.feed import fed_by
from softchat.thinking.fork import Fork
from softchat.thinking.prompt import Prompt, closing_tokens, reserved
from softchat.thinking.think import think

_UNKNOWN = -1  # a token that no position holds
_CHARACTER = 4  # tokens, a byte each, that a character may be split over


@dataclass(frozen=True, slots=True)
class _Made:
    """A prompt, and what it was made of."""

    messages: list[Message]
    thoughts: tuple[Item, ...]
    asked: tuple[object, ...]
    """The settings that the prompt depends on."""
    prompt: Prompt
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Ended:
    """What the cache held when a turn's answer ended, to go on with it."""

    number: int
    answer: str
    asked: tuple[object, ...]
    """What was said before, and to whom."""
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Thought:
    """What the cache held when a turn ended, and what it was built on."""

    system: str
    before: tuple[int, ...]
    """The turns before."""
    items: tuple[Item, ...]


class LocalBackend(Backend):
    """A model in this process.

    Args:
        engine: emptied. Others may use it between turns; then all of a prompt is read again.
        tags: how the model's thinking is opened and closed; None: as its template says.
        prompt_cache: long prompts that were read in earlier processes; None: none are kept.
        note: what its user should be told of how it was loaded.

    """

    def __init__(
        self,
        engine: Engine,
        *,
        tags: ThinkTags | None = None,
        prompt_cache: PromptCache | None = None,
        note: str = "",
    ) -> None:
        self._engine = engine
        self._prompt_cache = prompt_cache
        self._note = note
        self._hold = hold_of(engine)
        with self._hold.step():
            self._last = self._hold.begin()  # the run of which the sequence knows what is in memory
            self._hold.check(self._last)
            self._sequence = CachedSequence(engine)
        self._tags = tags or tags_of(engine)
        self._made: _Made | None = None
        self._thoughts: dict[int, _Thought] = {}  # by turn
        self._ended: _Ended | None = None

    @property
    def info(self) -> ModelInfo:
        """As the engine's."""
        return self._sequence.info

    @property
    def scale(self) -> float:
        """As the engine's."""
        return self._engine.scale

    @property
    def note(self) -> str:
        """What its user should be told of how it was loaded; or nothing."""
        return self._note

    @property
    def used(self) -> int:
        """Positions that the model's memory holds now."""
        return self._sequence.position

    def ask(
        self,
        question: ChatRequest,
        settings: Settings,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        answer_now: Callable[[], bool] = lambda: False,
        keys: Callable[[], str] | None = None,
    ) -> Iterator[Event]:
        """Run a turn. See `Backend`. What can be raised beside: see `run_alone`."""
        turn = self._turn(question, settings, cancelled, answer_now, keys)
        return run_alone(self._engine, turn)

    def _turn(
        self,
        question: ChatRequest,
        settings: Settings,
        cancelled: Callable[[], bool],
        answer_now: Callable[[], bool],
        keys: Callable[[], str] | None,
    ) -> Generator[Event, None, None]:
        """Run a turn, which has the engine to itself."""
        others = self._hold.begun - self._last - 1
        self._last = self._hold.begun
        if question.fresh or others:
            self._sequence.rollback(0)
        prompt, items = self._prompt(question, settings)
        # A fork goes on from its run's prompt, which may have had another system prompt, or turns.
        recorded = question.fork.prompt if question.fork else ()
        of_now = not recorded or recorded == prompt.tokens
        if question.grammar:
            prompt = replace(prompt, grammar=self._sequence.grammar(question.grammar))
        if self._prompt_cache and not question.fresh:
            self._prompt_cache.restore(
                self._sequence, items, model=self.info.name, exact=not question.said
            )
        for event in think(
            self._sequence,
            replace(
                self._rest(prompt, items, question.fork),
                question=storable(in_short(question.text)),
            ),
            settings,
            fork=question.fork,
            hand=Hand(keys=keys, logits_at=self._sequence.logits_at) if keys else None,
            cancelled=cancelled,
            answer_now=answer_now,
        ):
            if isinstance(event, Finished) and of_now:
                self._keep(question, (question.begun or "") + event.answer)
            yield event
        if self._prompt_cache:
            self._prompt_cache.keep(self._sequence, model=self.info.name)

    def _rest(self, prompt: Prompt, items: tuple[Item, ...], fork: Fork | None) -> Prompt:
        """The prompt, without what the sequence holds already; what it must not hold is cut off."""
        whole = tuple(item for item in items if isinstance(item, int))
        told = [*fed_by(self._sequence, fork.steps)] if fork else []
        # A first step that is known needs no logits, so nothing need be decoded before it.
        known = [_UNKNOWN] if fork and fork.first else []
        kept = self._sequence.rewind([*items, *told, *known])
        # What is missing of earlier thoughts is put back; the loop itself reads tokens only.
        start = max([kept, *(i + 1 for i, item in enumerate(items) if not isinstance(item, int))])
        self._sequence.replay(items[kept:start])
        return replace(
            prompt,
            tokens=tuple(item for item in items[start:] if isinstance(item, int)),
            whole=whole if len(whole) == len(items) else (),
            thought=tuple(told[max(0, kept - len(items)) :]),
        )

    def _refuse_unknown(self, fork: Fork) -> None:
        """Raise UsageError if the fork is of a run of another model, or of none."""
        told = [*fork.steps, fork.first] if fork.first else fork.steps
        used = [entry.id for step in told for entry in step.concept]
        used += [step.token for step in told if step.token is not None]
        known = self.info.n_vocab
        if any(token >= known for token in [*used, *fork.prompt]) or not all(
            step.concept for step in told
        ):
            raise UsageError(
                f"that run holds tokens that {self.info.name} does not have",
                hint="it is damaged, or of another model, which -m NAME or /model NAME loads",
            )

    def room(self, question: ChatRequest, settings: Settings) -> Room:
        """What the context would have to hold for this turn. See `Backend`."""
        prompt, items = self._prompt(question, settings)
        return Room(
            prompt=len(items),
            reserved=reserved(self._sequence, prompt, settings),
            n_ctx=self.info.n_ctx,
        )

    def close(self) -> None:
        """Free the engine."""
        close_engine(self._engine)

    def _keep(self, question: ChatRequest, answer: str) -> None:
        if not answer:  # it is no part of what is said next, and the turn before may come back
            return
        if question.number is not None:
            items = (*self._sequence.items, *self._sequence.undecoded)
            self._ended = _Ended(question.number, answer, _before(question), items)
        if question.number is None or not question.keep_thoughts:
            return
        before = tuple(turn.number for turn in question.said)
        kept = {number: self._thoughts[number] for number in before if number in self._thoughts}
        now = _Thought(question.system, before, self._sequence.items)
        self._thoughts = {**kept, question.number: now}

    def _prompt(self, question: ChatRequest, settings: Settings) -> tuple[Prompt, tuple[Item, ...]]:
        """The prompt of this turn, and all that the positions up to its end must hold."""
        prompt, items = self._prompt_to_think(question, settings)
        if question.fork is not None:
            self._refuse_unknown(question.fork)
            if not prompt.thinks:
                raise UsageError("this model does not think now", hint="ask once more, or --think")
            return prompt, question.fork.prompt or items
        if question.begun is None:
            return prompt, items
        ended, half = self._ended, b""
        now = (question.number, question.begun, _before(question))
        if ended is not None and (ended.number, ended.answer, ended.asked) == now:
            items = ended.items  # with the thoughts that it came from
            half = self._half(items)
        else:
            begun = self._sequence.tokenize(question.begun)
            closing = closing_tokens(self._sequence, prompt) if prompt.thinks else []
            items = (*items, *closing, *begun)
        return replace(prompt, begun=True, half=half), items

    def _half(self, items: tuple[Item, ...]) -> bytes:
        """The beginning of a character with which these positions end; mostly nothing."""
        last = [item for item in items[-_CHARACTER:] if isinstance(item, int)]
        spelled = Detokenizer()
        spelled.feed(b"".join(self._sequence.piece(item, special=False) for item in last))
        return spelled.held

    def _prompt_to_think(
        self, question: ChatRequest, settings: Settings
    ) -> tuple[Prompt, tuple[Item, ...]]:
        messages = _messages(question)
        thoughts = self._thoughts_before(question)
        asked = (settings.think, settings.effort, settings.closing, settings.raw_special)
        made = self._made
        # `room` asks for the same one just before `ask` does.
        if (
            made is None
            or (made.messages, made.asked) != (messages, asked)
            or made.thoughts is not thoughts
        ):
            prompt = make_prompt(self._sequence, messages, tags=self._tags, settings=settings)
            items = self._items(question, thoughts, settings) or prompt.tokens
            made = self._made = _Made(messages, thoughts, asked, prompt, items)
        return made.prompt, made.items

    def _thoughts_before(self, question: ChatRequest) -> tuple[Item, ...]:
        """What the last turn left, if nothing that it was built on has changed since."""
        if not question.keep_thoughts or not question.said:
            return ()
        *before, last = (turn.number for turn in question.said)
        found = self._thoughts.get(last)
        if found is None or (found.system, found.before) != (question.system, tuple(before)):
            return ()
        return found.items

    def _items(
        self, question: ChatRequest, thoughts: tuple[Item, ...], settings: Settings
    ) -> tuple[Item, ...]:
        """The positions of a prompt that goes on from kept thoughts; none without them."""
        if not thoughts:
            return ()
        # What the template writes between an answer and the next one's beginning.
        messages = _messages(question, answer=MARK)
        whole = make_text(self._sequence, messages, self._tags, settings)
        _, mark, between = whole.text.rpartition(MARK)
        return (*thoughts, *replace(whole, text=between).tokens()) if mark else ()


def _before(question: ChatRequest) -> tuple[object, ...]:
    """All that this question's answer builds on, but the model and the settings."""
    return (question.system, question.text, tuple(turn.number for turn in question.said))


def _messages(question: ChatRequest, answer: str | None = None) -> list[Message]:
    """All that was said, and the question; `answer` in place of the last answer."""
    messages = [{"role": "system", "content": question.system}] if question.system else []
    for turn in question.said:
        shown = turn.answer if answer is None or turn is not question.said[-1] else answer
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": shown})
    return [*messages, {"role": "user", "content": question.text}]
