"""One run at a time on an engine: whose its sequence is, and whether it was closed."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from softchat.engine.protocol import Engine
from softchat.errors import SoftchatError, UsageError
from softchat.events import Event


class Hold:
    """Whose an engine's sequence is: that of the run that began last."""

    def __init__(self) -> None:
        self._lock, self._busy = threading.RLock(), False
        self.begun = 0
        """How many runs have begun."""
        self.closed = False
        """Whether the engine has been freed."""

    def begin(self) -> int:
        """Take the sequence from whoever had it; the number of the run that has it now."""
        self.begun += 1
        return self.begun

    def check(self, number: int) -> None:
        """Raise SoftchatError unless the sequence is this run's, and the engine there."""
        if self.closed:
            raise was_closed()
        if number != self.begun:
            raise SoftchatError(
                "a later run has begun on the same model, which this one can't go on with",
                hint="finish a run before the next, or load a second model for it",
            )

    @contextmanager
    def step(self) -> Iterator[None]:
        """Have the engine alone; another thread waits until it is over.

        Raises:
            UsageError: this very thread is in the middle of a step.

        """
        with self._lock:
            if self._busy:
                raise UsageError(
                    "the model is in the middle of a step",
                    hint="wait until the run gives its event",
                )
            self._busy = True
            try:
                yield
            finally:
                self._busy = False


_holds: WeakKeyDictionary[Engine, Hold] = WeakKeyDictionary()


def hold_of(engine: Engine) -> Hold:
    """The one hold of this engine: here, so that an engine need not know of runs."""
    return _holds.get(engine) or _holds.setdefault(engine, Hold())


def run_alone(engine: Engine, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """The events of a run that has the engine's sequence to itself, from the first one on.

    Raises:
        SoftchatError: a later run has begun on the engine, or it was closed.
        UsageError: this run is asked for in the middle of a step of another one.

    """
    hold, number = hold_of(engine), 0
    try:
        while True:
            with hold.step():
                number = number or hold.begin()
                hold.check(number)
                event = next(events, None)
            if event is None:
                return
            yield event
    finally:
        events.close()


def was_closed() -> SoftchatError:
    """The error of whoever uses an engine that has been freed."""
    return SoftchatError("the model was closed", hint="use it inside its `with` block")
