"""The parts of a run, put together: stepper, feed, probe, lens, tally. Knows no order of things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from softchat.engine.protocol import Engine
from softchat.settings import Settings
from softchat.thinking.answer import answer_text
from softchat.thinking.feed import Feed
from softchat.thinking.halting import Halting
from softchat.thinking.halting.ahead import make_rule
from softchat.thinking.lens import LookAhead
from softchat.thinking.probe import Probe
from softchat.thinking.prompt import Prompt, closing_tokens, reserved
from softchat.thinking.sampling import Draws
from softchat.thinking.stepper import Stepper
from softchat.thinking.strategies import TagTokens, make_strategy
from softchat.thinking.tally import Tally
from softchat.thinking.telling import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What thinking takes, whoever says how it goes on."""

    engine: Engine
    """Stands where the next step is to be fed."""
    draws: Draws
    """Where randomness comes from."""
    stepper: Stepper
    """Makes the steps."""
    closing: tuple[int, ...]
    """Tokens that softchat puts behind thoughts that the model has not closed."""
    reserved: int
    """Positions that are kept free, see `prompt.reserved`."""
    probe: Probe
    """Looks ahead, and counts what that costs."""
    lens: LookAhead | None
    """Tells what it sees there; None: nobody wants to know."""
    feed: Feed
    """Feeds the steps."""
    tally: Tally
    """Told of each."""
    cancelled: Callable[[], bool]
    """Asked before each step; True stops the run."""
    answer_now: Callable[[], bool]
    """Asked before each step; True ends the thinking."""


def make_parts(
    engine: Engine,
    prompt: Prompt,
    settings: Settings,
    *,
    tally: Tally,
    cancelled: Callable[[], bool],
    answer_now: Callable[[], bool],
) -> Parts:
    """The parts of a run with these settings, which begins with this prompt."""
    draws = Draws(settings.seed)
    cue = engine.tokenize(settings.halt_cue) if settings.halt_cue else []
    closing = tuple(closing_tokens(engine, prompt))
    probe = Probe(engine, [*closing, *cue], clock=tally.clock)
    free = reserved(engine, prompt, settings)
    tags = _tags(engine, prompt)
    stepper = Stepper(
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
    lens = None
    if settings.lens:
        lens = LookAhead(
            settings,
            probe,
            text_of=partial(answer_text, engine, tags=prompt.tags, stop=settings.stop),
            elapsed=tally.thought_s,
        )
    return Parts(
        engine=engine,
        draws=draws,
        stepper=stepper,
        closing=closing,
        reserved=free,
        probe=probe,
        lens=lens,
        feed=Feed(engine, draws),
        tally=tally,
        cancelled=cancelled,
        answer_now=answer_now,
    )


def _tags(engine: Engine, prompt: Prompt) -> TagTokens:
    first, last = (tuple(engine.tokenize(tag, special=True)) for tag in (prompt.open, prompt.close))
    return TagTokens(open=first, close=last)
