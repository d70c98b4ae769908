"""The loop: prompt, prefill, think, halt, answer. Yields events; knows no model, file or terminal.

`think` is the whole run. `think_steps` is soft thinking itself: each step looks at the model's
next-token distribution p, makes a concept token of it, and feeds the concept token's embedding back
as the next input, until something says that the thinking is over.

    mind     what makes a step          feed     what is decoded in it
    ending   why the thinking is over   answer   what comes then
    fork     where a run parts          tally    what the last event tells
    lens     what the answer would be now   by_hand  thinking step by step
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.errors import ContextError, DecodeAbortedError, NumericsError
from softchat.events import Event, Halted, HaltReason, Lens, Prefill, Started, Step
from softchat.settings import Settings
from softchat.thinking.answer import answer, answer_text
from softchat.thinking.by_hand import ByHand, Hand
from softchat.thinking.ending import Ending, Halting
from softchat.thinking.feed import Feed, decode_item
from softchat.thinking.fork import Fork
from softchat.thinking.lens import LookAhead
from softchat.thinking.means import Means
from softchat.thinking.mind import Mind
from softchat.thinking.probe import Probe
from softchat.thinking.rules import make_rule
from softchat.thinking.sampling import Draws
from softchat.thinking.strategies import TagTokens, make_strategy
from softchat.thinking.tally import Tally
from softchat.thinking.telling import text_of

_ANSWER_SHARE = 4  # a fourth of the context is kept for the answer, if it may be that long


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Where a run begins: tokens up to the open thinking tag, and how that tag is closed."""

    tokens: tuple[int, ...]
    open: str = ""
    """The opening tag alone; strategies may mix it in."""
    close: str
    """The closing tag, by which the model's own closing is seen."""
    inject: str
    """What is put behind the thoughts if the model has not closed them: the tag, and space."""
    closing: str = ""
    """Words that are put before that, as ordinary text."""
    thinks: bool = True
    """Whether the tokens end in the open tag; if not, the answer comes at once."""
    question: str = ""
    """What the tokens ask, for people to read."""
    begun: bool = False
    """Whether the tokens end in an answer that is to go on: nothing is thought then."""
    whole: tuple[int, ...] = ()
    """All of its tokens, if the engine has some of them already; none if it isn't of tokens."""
    thought: tuple[int | Floats, ...] = ()
    """Of a fork, what the steps before it have fed, but for what the engine has already."""
    half: bytes = b""
    """The beginning of a character that this answer was cut in; the tokens hold it already."""


def think(
    engine: Engine,
    prompt: Prompt,
    settings: Settings,
    *,
    fork: Fork | None = None,
    hand: Hand | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    answer_now: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Event]:
    """Think about the prompt in concept tokens, then answer it.

    Args:
        engine: appended to from where it is; what it holds stays.
        prompt: where it begins.
        settings: of the run.
        fork: an earlier run that this one parts from.
        hand: has each step wait for a key.
        cancelled: asked before each step; True ends the run as interrupted.
        answer_now: asked before each step; True ends the thinking, and the answer comes.
        clock: seconds, from any origin.

    Raises:
        ContextError: the prompt leaves no room to think and answer.
        DecodeError: the model failed.
        NumericsError: its numbers are none; the message says behind which step or token.

    """
    draws = Draws(settings.seed)
    inject = closing_tokens(engine, prompt)
    cue = engine.tokenize(settings.halt_cue) if settings.halt_cue else []
    free = reserved(engine, prompt, settings)
    probe = Probe(engine, [*inject, *cue], clock=clock)
    tags = _tags(engine, prompt)
    mind = Mind(
        engine,
        settings,
        draws=draws,
        close=tags.close,
        make_strategy=lambda: make_strategy(settings, draws.generator, tags),
        make_halting=lambda: Halting(
            engine,
            settings,
            close=prompt.close,
            rule=make_rule(settings, probe, partial(text_of, engine)),
            reserved=free,
        ),
    )
    thinks = prompt.thinks and not prompt.begun
    before = len(fork.steps) if fork else 0
    tally = Tally(clock, halted=not thinks)
    lens = LookAhead(
        settings,
        probe,
        text_of=partial(answer_text, engine, tags=_bare_tags(prompt), stop=settings.stop),
        elapsed=tally.thought_s,
    )
    yield Started(
        model=engine.info,
        settings=settings.to_dict() | {"think": settings.think and not prompt.begun},
        prompt_tokens=engine.position + len(prompt.tokens) + len(prompt.thought) - before,
        question=prompt.question,
        prompt=prompt.whole or (() if engine.position else prompt.tokens),
        fork=fork.parting if fork else None,
    )
    try:
        logits = yield from prefill(engine, prompt, reserved=free, tally=tally)
        ending = Ending(reason=HaltReason.STEP_LIMIT, lead=prompt.half)
        if thinks:
            told, first = (fork.steps, fork.first) if fork else ((), None)
            yield from retell(told, mind=mind, lens=lens, tally=tally)
            means = Means(
                engine=engine,
                mind=mind,
                lens=lens if settings.lens else None,
                feed=Feed(engine, draws),
                tally=tally,
                cancelled=cancelled,
                answer_now=answer_now,
            )
            steps = ByHand(means, hand, told).think if hand else partial(think_steps, means)
            ended = yield from steps(logits, settings.max_think, first)
            ending = ended or ending
            if ending.reason is not HaltReason.CLOSED:
                ending = replace(
                    ending, tokens=tuple(inject), injected=prompt.closing + prompt.inject
                )
            logits = yield from halt(engine, ending, tally=tally, probe=probe)
        assert logits is not None  # it is only where a fork's first step is known
        yield from answer(
            engine,
            logits,
            settings,
            ending=ending,
            tags=_bare_tags(prompt),
            goes_on=prompt.begun,
            rng=draws.at_answer(),
            tally=tally,
            cancelled=cancelled,
        )
    except DecodeAbortedError:
        if halted := tally.interrupt():
            yield halted
    except NumericsError as error:
        raise NumericsError(f"{tally.place()}: {error.message}", hint=error.hint) from error
    yield tally.finished()


def reserved(engine: Engine, prompt: Prompt, settings: Settings) -> int:
    """Positions of the context that a run keeps free: for the closing tag and the answer."""
    # One position more: the token that closes the thinking may come at the last moment.
    closing = len(closing_tokens(engine, prompt)) + 1
    return closing + min(settings.max_answer, engine.info.n_ctx // _ANSWER_SHARE)


def closing_tokens(engine: Engine, prompt: Prompt) -> list[int]:
    """What softchat puts behind thoughts that the model has not closed."""
    return [*engine.tokenize(prompt.closing), *engine.tokenize(prompt.inject, special=True)]


def prefill(
    engine: Engine, prompt: Prompt, *, reserved: int, tally: Tally
) -> Generator[Prefill, None, Floats | None]:
    """Decode the prompt, and what was thought behind it; the logits there, None of nothing.

    Raises:
        ContextError: it leaves less than `reserved` positions.

    """
    cached, n_ctx = engine.position, engine.info.n_ctx
    decoded = len(prompt.tokens) + len(prompt.thought)
    if cached + decoded + reserved > n_ctx:
        raise ContextError(
            f"the prompt has {cached + decoded} tokens; with room to answer, a context of "
            f"{n_ctx} holds {max(0, n_ctx - reserved)}",
            hint="shorten it, or give more with --ctx",
        )
    began = tally.clock()
    logits = engine.decode_tokens(prompt.tokens) if prompt.tokens else None
    # One by one, as they were thought: in a batch they would meet other kernels, with other sums.
    for item in prompt.thought:
        logits = decode_item(engine, item)
    tally.thinking = tally.answering = tally.clock()
    yield Prefill(tokens=decoded, cached=cached, elapsed_s=tally.thinking - began)
    return logits


def retell(steps: Sequence[Step], *, mind: Mind, lens: LookAhead, tally: Tally) -> Iterator[Step]:
    """Tell of steps that were made before; they took their time then."""
    for piece in mind.remember(steps):
        lens.follow(piece)
    if steps:
        tally.tell(steps[-1])
        tally.thinking -= steps[-1].elapsed_s
    yield from steps


def think_steps(
    means: Means, logits: Floats | None, most: int, first: Step | None = None
) -> Generator[Step | Lens, None, Ending | None]:
    """Soft thinking, a step an event; why it ends, None at the limit of steps.

    The step that ends it is told of, and not fed.

    Args:
        means: what it is done with.
        logits: (V,) where the next step is to be fed; not needed if there is a first step.
        most: that limit.
        first: the first step, if it is known.

    """
    engine, mind, lens, tally = means.engine, means.mind, means.lens, means.tally
    for index in range(tally.steps, most):
        if means.cancelled():
            raise DecodeAbortedError("stopped")
        if means.answer_now():
            return Ending(reason=HaltReason.ASKED)
        if first is not None:
            made, first = mind.take_up(first), None
        else:
            assert logits is not None
            made = mind.make(logits, index, tally.thought_s)
        tally.tell(made.step)
        yield made.step
        if ending := mind.ending(made.choice):
            return ending
        if lens and (seen := lens.update(index, engine.piece(made.choice.token))):
            yield seen
        logits = means.feed(made.choice, index)
    return None


def halt(
    engine: Engine, ending: Ending, *, tally: Tally, probe: Probe
) -> Generator[Halted, None, Floats]:
    """Close the thoughts; the logits behind them."""
    tally.halted = True
    yield Halted(
        reason=ending.reason,
        steps=tally.steps,
        injected=ending.injected,
        probes=probe.looks,
        probe_tokens=probe.tokens,
        probe_s=probe.seconds,
    )
    logits = engine.decode_tokens(ending.tokens)
    tally.answering = tally.clock()
    return logits


def _bare_tags(prompt: Prompt) -> tuple[str, str]:
    """The tags of the thinking, which are no part of an answer."""
    return prompt.close.strip(), prompt.open.strip()


def _tags(engine: Engine, prompt: Prompt) -> TagTokens:
    first, last = (tuple(engine.tokenize(tag, special=True)) for tag in (prompt.open, prompt.close))
    return TagTokens(open=first, close=last)
