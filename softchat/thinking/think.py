"""The loop: prompt, prefill, think, halt, answer. Yields events; knows no model, file or terminal.

`think` is the whole run. `think_steps` is soft thinking itself: each step looks at the model's
next-token distribution p, makes a concept token of it, and feeds the concept token's embedding back
as the next input, until something says that the thinking is over.

    ending   why that is        feed    what is decoded in a step
    answer   what comes then    tally   what the last event tells
    lens     what it would be now
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from softchat.engine.protocol import Engine
from softchat.errors import ContextError, DecodeAbortedError, NumericsError
from softchat.events import Event, Halted, HaltReason, Lens, Prefill, Started, Step
from softchat.settings import Settings
from softchat.thinking.answer import answer
from softchat.thinking.concept import Distribution, Floats
from softchat.thinking.ending import Ending, Halting
from softchat.thinking.feed import Feed
from softchat.thinking.lens import LookAhead
from softchat.thinking.probe import Probe
from softchat.thinking.rules import make_rule
from softchat.thinking.strategies import Strategy, TagTokens, make_strategy
from softchat.thinking.tally import Tally
from softchat.thinking.telling import concept_entries, text_of

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


def think(
    engine: Engine,
    prompt: Prompt,
    settings: Settings,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    answer_now: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Event]:
    """Think about the prompt in concept tokens, then answer it.

    Args:
        engine: appended to from where it is; what it holds stays.
        cancelled: asked before each step; True ends the run as interrupted.
        answer_now: asked before each step; True ends the thinking, and the answer comes.
        clock: seconds, from any origin.

    Raises:
        ContextError: the prompt leaves no room to think and answer.
        DecodeError: the model failed.
        NumericsError: its numbers are none; the message says behind which step or token.

    """
    rng = np.random.default_rng(settings.seed)
    inject = closing_tokens(engine, prompt)
    cue = engine.tokenize(settings.halt_cue) if settings.halt_cue else []
    free = reserved(engine, prompt, settings)
    probe = Probe(engine, [*inject, *cue], clock=clock)
    spell = partial(text_of, engine)
    rule = make_rule(settings, probe, spell)
    halting = Halting(engine, settings, close=prompt.close, rule=rule, reserved=free)
    thinks = prompt.thinks and not prompt.begun
    tally = Tally(clock, halted=not thinks)
    lens = LookAhead(settings, probe, text_of=spell, elapsed=tally.thought_s)
    yield Started(
        model=engine.info,
        settings=settings.to_dict(),
        prompt_tokens=engine.position + len(prompt.tokens),
        question=prompt.question,
    )
    try:
        logits = yield from prefill(engine, prompt.tokens, reserved=free, tally=tally)
        ending = Ending(reason=HaltReason.STEP_LIMIT)
        if thinks:
            ended = yield from think_steps(
                engine,
                logits,
                settings,
                strategy=make_strategy(settings, rng, _tags(engine, prompt)),
                halting=halting,
                lens=lens if settings.lens else None,
                feed=Feed(engine, rng),
                tally=tally,
                cancelled=cancelled,
                answer_now=answer_now,
            )
            ending = ended or ending
            if ending.reason is not HaltReason.CLOSED:
                ending = replace(
                    ending, tokens=tuple(inject), injected=prompt.closing + prompt.inject
                )
            logits = yield from halt(engine, ending, tally=tally, probe=probe)
        yield from answer(
            engine,
            logits,
            settings,
            ending=ending,
            tags=(prompt.close.strip(), prompt.open.strip()),
            goes_on=prompt.begun,
            rng=rng,
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
    engine: Engine, tokens: Sequence[int], *, reserved: int, tally: Tally
) -> Generator[Prefill, None, Floats]:
    """Decode the prompt; the logits behind it.

    Raises:
        ContextError: it leaves less than `reserved` positions.

    """
    cached, n_ctx = engine.position, engine.info.n_ctx
    if cached + len(tokens) + reserved > n_ctx:
        raise ContextError(
            f"the prompt has {cached + len(tokens)} tokens; with room to answer, a context of "
            f"{n_ctx} holds {max(0, n_ctx - reserved)}",
            hint="shorten it, or give more with --ctx",
        )
    began = tally.clock()
    logits = engine.decode_tokens(tokens)
    tally.thinking = tally.answering = tally.clock()
    yield Prefill(tokens=len(tokens), cached=cached, elapsed_s=tally.thinking - began)
    return logits


def think_steps(
    engine: Engine,
    logits: Floats,
    settings: Settings,
    *,
    strategy: Strategy,
    halting: Halting,
    lens: LookAhead | None,
    feed: Feed,
    tally: Tally,
    cancelled: Callable[[], bool],
    answer_now: Callable[[], bool],
) -> Generator[Step | Lens, None, Ending | None]:
    """Soft thinking, a step an event; why it ends, None at the limit of steps.

    The step that ends it is told of, and not fed.
    """
    pieces: dict[int, str] = {}
    for index in range(settings.max_think):
        if cancelled():
            raise DecodeAbortedError("stopped")
        if answer_now():
            return Ending(reason=HaltReason.ASKED)
        p = Distribution(logits, settings.temperature)
        entropy = p.entropy
        choice = strategy.choose(p, entropy)
        halting.count(choice, entropy)
        tally.steps = index + 1
        tally.concept = concept_entries(choice.concept, engine, pieces)
        yield Step(
            index=index,
            entropy=entropy,
            concept=tally.concept,
            below=halting.below,
            mode=choice.mode,
            elapsed_s=tally.thought_s(),
            why=choice.why,
        )
        if ending := halting.ending(choice):
            return ending
        if lens and (seen := lens.update(index, engine.piece(choice.token))):
            yield seen
        logits = feed(choice)
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


def _tags(engine: Engine, prompt: Prompt) -> TagTokens:
    first, last = (tuple(engine.tokenize(tag, special=True)) for tag in (prompt.open, prompt.close))
    return TagTokens(open=first, close=last)
