"""The answer behind the thoughts: ordinary tokens, drawn one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.detokenizer import Detokenizer
from softchat.engine.protocol import Engine, Grammar
from softchat.errors import DecodeAbortedError
from softchat.events import Answer, AnswerToken, FinishReason
from softchat.settings import Settings
from softchat.thinking.answer_rules import AnswerText, RepeatPenalty, stop_strings
from softchat.thinking.concept import Distribution
from softchat.thinking.halting import Ending
from softchat.thinking.halting.steps import Loop
from softchat.thinking.sampling import sample
from softchat.thinking.tally import Tally
from softchat.thinking.telling import answer_token, text_of


def answer(
    engine: Engine,
    logits: Floats,
    settings: Settings,
    *,
    ending: Ending,
    tags: Sequence[str] = (),
    grammar: Grammar | None = None,
    goes_on: bool = False,
    rng: np.random.Generator,
    tally: Tally,
    cancelled: Callable[[], bool],
) -> Iterator[Answer]:
    """The answer as it comes, without the white space between it and the thoughts.

    Args:
        engine: stands behind the closed thoughts.
        logits: (V,) there.
        settings: of the run.
        ending: of the thoughts, whose last token may have begun the answer.
        tags: of the thinking, which are no part of an answer.
        grammar: what it must be; None: anything.
        goes_on: whether it is the rest of an answer that was begun.
        rng: what tokens are drawn with.
        tally: told of each token.
        cancelled: asked before each token.

    Raises:
        DecodeAbortedError: the user has stopped it.
        DecodeError: the model failed.

    """
    spelled = Detokenizer()
    # What a grammar describes is whole: a tag or a stop string in it is one of its strings.
    text = AnswerText([*tags], stop_strings(settings.stop)) if grammar is None else AnswerText(())
    loop = Loop(steps=settings.answer_loop)
    penalty = RepeatPenalty(settings.answer_repeat)

    def say(piece: str, came: AnswerToken | None = None) -> Iterator[Answer]:
        if not tally.answer and not goes_on:
            piece = piece.lstrip()
        if piece:
            tally.answer.append(piece)
        if piece or came:
            yield Answer(text=piece, token=came)

    given: deque[int] = deque()
    if grammar is None:  # else the answer's first words are not for others to say
        # Half a character of the answer that goes on; or what stood behind the tag.
        yield from say(text.feed(spelled.feed(ending.lead)))
        given.extend(engine.tokenize(ending.opening))
    for _ in range(settings.max_answer):
        if cancelled():
            yield from say(text.finish())
            raise DecodeAbortedError("stopped")
        token = given.popleft() if given else draw(penalty.apply(logits), settings, rng, grammar)
        if engine.is_end(token):
            tally.finish_reason = FinishReason.STOP
            break
        if grammar is not None:
            grammar.accept(token)
        tally.answer_tokens += 1
        penalty.add(token)
        came = answer_token(token, logits, engine) if settings.answer_entropy else None
        yield from say(text.feed(spelled.feed(engine.piece(token, special=False))), came)
        if text.stopped:
            tally.finish_reason = FinishReason.STOP
            break
        if loop.update(token):
            tally.finish_reason = FinishReason.LOOP
            break
        if engine.position == engine.info.n_ctx:
            break
        try:
            logits = engine.decode_tokens([token])
        except DecodeAbortedError:
            yield from say(text.finish())
            raise
    if tally.finish_reason is FinishReason.STOP:
        yield from say(text.feed(spelled.finish()))
    yield from say(text.finish())  # where it was cut, half a character is no part of it


def answer_text(engine: Engine, tokens: Sequence[int], *, tags: Sequence[str], stop: str) -> str:
    """What these tokens would be as an answer: without the thinking's tags, up to a stop string."""
    text = AnswerText([*tags], stop_strings(stop))
    return (text.feed(text_of(engine, tokens)) + text.finish()).strip()


def draw(
    logits: Floats, settings: Settings, rng: np.random.Generator, grammar: Grammar | None = None
) -> int:
    """The answer's next token; where the grammar allows it not, another one of those that it does.

    To ask for one token costs next to nothing, to ask for all of them as much as a decode.
    """
    kept = Distribution(logits, settings.answer_temperature).keep(
        topn=logits.size,
        top_k=settings.answer_top_k,
        top_p=settings.answer_top_p,
        min_p=settings.answer_min_p,
    )
    token = sample(kept, rng)
    if grammar is None or grammar.allows(token):
        return token
    return draw(grammar.mask(logits), settings, rng)
