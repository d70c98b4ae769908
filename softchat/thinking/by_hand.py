"""Thinking step by step: each step waits for a key, which can change it, or go back.

space  goes on            1 to 9  that token of it alone      x  without the heaviest
b      a step back        t, T    colder, warmer from here on
a      answer now         r       run on; space waits again
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from softchat.base.arrays import Floats
from softchat.errors import DecodeAbortedError
from softchat.events import HaltReason, Lens, Step
from softchat.thinking.fork import take_alone, without_heaviest
from softchat.thinking.halting import Ending
from softchat.thinking.halting.ahead import Verdict
from softchat.thinking.parts import Parts
from softchat.thinking.stepper import Made

_NAP_S = 0.01
_DEGREE = 0.1  # of temperature, a key
_HOTTEST = 5.0


class Key(StrEnum):
    """What a key does; a digit takes the token of that place."""

    ON = " "
    WITHOUT = "x"
    COLDER = "t"
    WARMER = "T"
    BACK = "b"
    ANSWER = "a"
    RUN = "r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What thinking by hand needs beside what all thinking does."""

    keys: Callable[[], str]
    """The next key that was pressed; empty: none."""
    logits_at: Callable[[int], Floats]
    """Forgets all from this position on; the logits behind what is left, (V,)."""


@dataclass(frozen=True, slots=True)
class _Offered:
    """A step as it was at first, and what looks ahead had come to before it."""

    made: Made
    seen: Verdict | None


class ByHand:
    """A thought, step by step.

    Args:
        parts: what it is done with.
        hand: gives the keys.
        told: the steps before, of a fork.

    """

    def __init__(self, parts: Parts, hand: Hand, told: Sequence[Step] = ()) -> None:
        self._parts, self._hand = parts, hand
        self._stepper, self._tally = parts.stepper, parts.tally
        self._start = parts.engine.position - len(told)  # where step 0 is fed
        self._steps = [*told]  # that were fed
        self._offered: list[_Offered] = []  # steps of this run, and the next one
        self._logits: Floats | None = None  # where the next one is fed
        self._running = False

    def think(
        self, logits: Floats | None, most: int, first: Step | None = None
    ) -> Generator[Step | Lens, None, Ending | None]:
        """As `think_steps`; a step is told when it is offered, and again when it was changed."""
        self._logits = None if logits is None else logits.copy()
        while (index := len(self._steps)) < most:
            seen = self._stepper.seen
            made = self._stepper.take_up(first) if first is not None else self._made(index)
            first = None
            self._offered.append(_Offered(made, seen))
            chosen = yield from self._choose(made)
            if chosen is None:
                return Ending(reason=HaltReason.ASKED)
            if ending := self._stepper.ending(chosen.choice):
                return ending
            index, lens = chosen.step.index, self._parts.lens
            piece = self._parts.engine.piece(chosen.choice.token)
            if lens and (ahead := lens.update(index, piece)):
                yield ahead
            self._logits = self._parts.feed(chosen.choice, index).copy()
            self._steps.append(chosen.step)
        return None

    def _choose(self, made: Made) -> Generator[Step, None, Made | None]:
        """Have the user choose what is fed, of this step or one before; None: the answer, now."""
        while True:
            self._tally.tell(made.step)
            yield made.step
            other: Made | None = None
            while other is None:
                key = self._key()
                if key == Key.ANSWER:
                    return None
                self._running = self._running or key == Key.RUN
                if key in (Key.ON, Key.RUN):
                    return made
                other = self._other(made, key)
            made = other
            if key.isdecimal():
                self._tally.tell(made.step)
                yield made.step
                return made

    def _other(self, made: Made, key: str) -> Made | None:
        """What a key makes of the step that is offered; None: nothing."""
        index = made.step.index
        if key.isdecimal():
            entries = made.step.own
            wanted = int(key)
            taken = 0 < wanted <= len(entries)
            return self._changed(take_alone(made.step, entries[wanted - 1])) if taken else None
        match key:
            case Key.WITHOUT:
                less = without_heaviest(made.step)
                return self._changed(less) if less else None
            case Key.COLDER | Key.WARMER:
                change = _DEGREE if key == Key.WARMER else -_DEGREE
                temperature = min(_HOTTEST, max(0.0, round(self._stepper.temperature + change, 3)))
                self._undo()
                self._stepper.temperature = temperature
                return self._made(index)
            case Key.BACK if len(self._offered) > 1:
                self._offered.pop()
                self._steps.pop()
                self._logits = self._hand.logits_at(self._start + len(self._steps)).copy()
                pieces = self._undo()
                if self._parts.lens:
                    self._parts.lens.remember(pieces)
                return self._stepper.adopt(self._offered[-1].made)
        return None

    def _made(self, index: int) -> Made:
        """The step that the model would make."""
        if self._logits is None:
            self._logits = self._hand.logits_at(self._start + index).copy()
        return self._stepper.make(self._logits, index, self._tally.thought_s)

    def _changed(self, step: Step) -> Made:
        self._undo()
        return self._stepper.take_up(step)

    def _undo(self) -> list[bytes]:
        """Forget the step that is offered; what those before it spell."""
        return self._stepper.remember(self._steps, self._offered[-1].seen)

    def _key(self) -> str:
        """The key that counts next; while it runs on, none is waited for."""
        began = self._tally.clock()
        try:
            while True:
                if self._parts.cancelled():
                    raise DecodeAbortedError("stopped")
                if self._parts.answer_now():
                    return Key.ANSWER
                key = self._hand.keys()
                if self._running and key == Key.ON:
                    self._running = False
                elif key or self._running:
                    return key or Key.ON
                else:
                    time.sleep(_NAP_S)
        finally:
            self._tally.thinking += self._tally.clock() - began  # nobody thought meanwhile
