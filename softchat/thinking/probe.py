"""What the model would answer now: a look ahead that leaves no trace. Knows nothing of thinking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from softchat.base.arrays import Floats
from softchat.engine.protocol import Engine
from softchat.errors import DecodeError
from softchat.thinking.concept import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A token of the answer that the model would give."""

    token: int
    """The likeliest."""
    entropy: float
    """H in nats of the distribution that it is the likeliest of, at T = 1."""
    peak: float
    """Its probability there."""
    is_end: bool
    """Whether it ends the answer."""


class Probe:
    """Looks ahead from where the thoughts are, and counts what that costs.

    Args:
        engine: stands at the end of the thoughts.
        closing: tokens that close the thinking, and whatever the answer is to begin with.
        clock: seconds, from any origin.

    """

    def __init__(
        self,
        engine: Engine,
        closing: Sequence[int],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine, self._closing, self._clock = engine, closing, clock
        self.looks = 0
        """How often it has looked ahead."""
        self.tokens = 0
        """How many tokens were decoded for that, those of the closing among them."""
        self.seconds = 0.0

    @contextmanager
    def answer(self, longest: int) -> Iterator[Iterator[Guess]]:
        """The likeliest answer, if the thinking were closed here: a token at a time, as it is read.

        Forgotten on leaving; logits that the engine gave before are not valid any more. Without
        room for all of it there is no token.

        Args:
            longest: tokens that are looked at, at the most.

        Raises:
            DecodeError: the model failed, or its memory can't be cut back.

        """
        start, began = self._engine.position, self._clock()
        if start + len(self._closing) + longest > self._engine.info.n_ctx:
            yield iter(())
            return
        try:
            self.looks += 1
            yield self._guesses(longest)
        finally:
            self._engine.rollback(start)
            self.seconds += self._clock() - began
            if self._engine.position != start:
                raise DecodeError(
                    "this model's memory can't be cut, so its answer can't be probed",
                    hint="without --lens (/lens off), and with --halt none",
                )

    def _guesses(self, longest: int) -> Iterator[Guess]:
        logits = self._decode(self._closing)
        for number in range(1, longest + 1):
            p = Distribution(logits)
            token = p.keep(topn=1).argmax
            is_end = self._engine.is_end(token)
            yield Guess(token=token, entropy=p.entropy, peak=p.peak, is_end=is_end)
            if is_end or number == longest:
                return
            logits = self._decode([token])

    def _decode(self, tokens: Sequence[int]) -> Floats:
        self.tokens += len(tokens)
        return self._engine.decode_tokens(tokens)
