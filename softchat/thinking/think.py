"""The loop: prompt, prefill, think, halt, answer. Yields events; knows no model, file or terminal.

`think` is the whole run. `think_steps` is soft thinking itself: each step looks at the model's
next-token distribution p, makes a concept token of it, and feeds the concept token's embedding back
as the next input, until something says that the thinking is over.

    prompt   where a run begins             parts    what a run is put together of
    stepper  makes a step                   feed     decodes it
    halting  why the thinking is over       answer   what comes then
    fork     a run that leaves another      tally    what the last event tells
    lens     what the answer would be now   by_hand  thinking step by step
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.errors import (
    ContextError,
    DecodeAbortedError,
    NumericsError,
    UsageError,
    check_callable,
)
from softchat.events import Event, Halted, HaltReason, Lens, Prefill, Started, Step
from softchat.settings import Settings, check_settings
from softchat.thinking.answer import answer
from softchat.thinking.by_hand import ByHand, Hand
from softchat.thinking.feed import decode_item
from softchat.thinking.fork import Fork
from softchat.thinking.halting import Ending
from softchat.thinking.parts import Parts, make_parts
from softchat.thinking.prompt import Prompt
from softchat.thinking.tally import Tally
from softchat.thinking.telling import shown


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
        UsageError: the settings are none, or what is asked is no function.

    """
    check_settings(settings)
    check_callable("cancelled", cancelled)
    check_callable("answer_now", answer_now)
    thinks = prompt.thinks and not prompt.begun
    tally = Tally(clock, halted=not thinks)
    parts = make_parts(
        engine, prompt, settings, tally=tally, cancelled=cancelled, answer_now=answer_now
    )
    check_room(engine, prompt, reserved=parts.reserved)  # or it would begin and end at once
    if fork:
        check_pieces(engine, fork)
    yield started(engine, prompt, settings, fork)
    try:
        logits = yield from prefill(engine, prompt, tally=tally)
        ending = Ending(reason=HaltReason.STEP_LIMIT, lead=prompt.half)
        if thinks:
            thought = yield from think_on(parts, logits, settings.max_think, fork=fork, hand=hand)
            ending = closed(thought or ending, parts.closing, prompt)
            logits = yield from halt(parts, ending)
        assert logits is not None  # it is only where a fork's first step is known
        yield from answer(
            engine,
            logits,
            settings,
            ending=ending,
            tags=prompt.tags,
            grammar=prompt.grammar,
            goes_on=prompt.begun,
            rng=parts.draws.at_answer(),
            tally=tally,
            cancelled=cancelled,
        )
    except DecodeAbortedError:
        if halted := tally.interrupt():
            yield halted
    except NumericsError as error:
        raise NumericsError(f"{tally.place()}: {error.message}", hint=error.hint) from error
    yield tally.finished()


def started(engine: Engine, prompt: Prompt, settings: Settings, fork: Fork | None) -> Started:
    """The first event, told before anything is decoded."""
    before = len(fork.steps) if fork else 0
    return Started(
        model=engine.info,
        settings=settings.to_dict() | {"think": settings.think and not prompt.begun},
        prompt_tokens=engine.position + len(prompt.tokens) + len(prompt.thought) - before,
        question=prompt.question,
        prompt=prompt.whole or (() if engine.position else prompt.tokens),
        fork=fork.parting if fork else None,
    )


def check_room(engine: Engine, prompt: Prompt, *, reserved: int) -> None:
    """Raise ContextError if the prompt leaves less than `reserved` positions."""
    needed = engine.position + len(prompt.tokens) + len(prompt.thought)
    n_ctx = engine.info.n_ctx
    if needed + reserved > n_ctx:
        raise ContextError(
            f"the prompt has {needed} tokens; with room to answer, a context of "
            f"{n_ctx} holds {max(0, n_ctx - reserved)}",
            hint="shorten it, or give more with --ctx",
        )


def check_pieces(engine: Engine, fork: Fork) -> None:
    """Raise UsageError if tokens of the run that is forked are others in this model."""
    for step in (*fork.steps, *([fork.first] if fork.first else [])):
        for entry in step.concept:
            if (piece := shown(engine, entry.id)) != entry.piece:
                raise UsageError(
                    f"token {entry.id} of the run was {entry.piece!r}, and is {piece!r} here",
                    hint="was the model's file replaced? name the one that it had with -m",
                )


def prefill(
    engine: Engine, prompt: Prompt, *, tally: Tally
) -> Generator[Prefill, None, Floats | None]:
    """Decode the prompt, and what was thought behind it; the logits there, None of nothing."""
    cached, decoded = engine.position, len(prompt.tokens) + len(prompt.thought)
    began = tally.clock()
    logits = engine.decode_tokens(prompt.tokens) if prompt.tokens else None
    # One by one, as they were thought: in a batch they would meet other kernels, with other sums.
    for item in prompt.thought:
        logits = decode_item(engine, item)
    tally.begin(tally.clock())
    yield Prefill(tokens=decoded, cached=cached, elapsed_s=tally.thinking - began)
    return logits


def think_on(
    parts: Parts, logits: Floats | None, most: int, *, fork: Fork | None, hand: Hand | None
) -> Generator[Step | Lens, None, Ending | None]:
    """All steps of a run: those that a fork has before it, then its own, by hand or not.

    Why they end; None at the limit of steps.
    """
    told, first = (fork.steps, fork.first) if fork else ((), None)
    if fork:
        yield from retell(fork, parts)
    steps = ByHand(parts, hand, told).think if hand else partial(think_steps, parts)
    return (yield from steps(logits, most, first))


def retell(fork: Fork, parts: Parts) -> Iterator[Step]:
    """Tell of steps that were made before; they took their time then, as did one taken anew."""
    pieces = parts.stepper.remember(fork.steps)
    if "temperature" in fork.settings:  # stronger than what was changed by hand
        parts.stepper.temperature = fork.settings["temperature"]
    if parts.lens:
        parts.lens.remember(pieces)
    made = [*fork.steps, fork.first] if fork.first else fork.steps
    if made:
        parts.tally.thinking -= made[-1].elapsed_s
    if fork.steps:
        parts.tally.tell(fork.steps[-1])
    yield from fork.steps


def think_steps(
    parts: Parts, logits: Floats | None, most: int, first: Step | None = None
) -> Generator[Step | Lens, None, Ending | None]:
    """Soft thinking, a step an event; why it ends, None at the limit of steps.

    The step that ends it is told of, and not fed.

    Args:
        parts: what it is done with.
        logits: (V,) where the next step is to be fed; not needed if there is a first step.
        most: that limit.
        first: the first step, if it is known.

    """
    engine, stepper, lens, tally = parts.engine, parts.stepper, parts.lens, parts.tally
    for index in range(tally.steps, most):
        if parts.cancelled():
            raise DecodeAbortedError("stopped")
        if parts.answer_now():
            return Ending(reason=HaltReason.ASKED)
        if first is not None:
            made, first = stepper.take_up(first), None
        else:
            assert logits is not None
            made = stepper.make(logits, index, tally.thought_s)
        tally.tell(made.step)
        yield made.step
        if ending := stepper.ending(made.choice):
            return ending
        if lens and (seen := lens.update(index, engine.piece(made.choice.token))):
            yield seen
        logits = parts.feed(made.choice, index)
    return None


def closed(ending: Ending, closing: tuple[int, ...], prompt: Prompt) -> Ending:
    """How the thinking ends, with the closing tag, which softchat gives if the model has not."""
    if ending.reason is HaltReason.CLOSED:
        return ending
    return replace(ending, tokens=closing, injected=prompt.closing + prompt.inject)


def halt(parts: Parts, ending: Ending) -> Generator[Halted, None, Floats]:
    """Close the thoughts; the logits behind them."""
    tally, probe = parts.tally, parts.probe
    tally.halted = True
    tally.thought = tally.answering = tally.clock()
    yield Halted(
        reason=ending.reason,
        steps=tally.steps,
        injected=ending.injected,
        probes=probe.looks,
        probe_tokens=probe.tokens,
        probe_s=probe.seconds,
        closing=ending.spelled,
    )
    logits = parts.engine.decode_tokens(ending.tokens)
    tally.answering = tally.clock()
    return logits
