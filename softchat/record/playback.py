"""A recorded run at the pace at which it happened, or step by step. Knows events and a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from softchat.events import Answer, Error, Event, Finished, Halted, Lens, Prefill, Started, Step
from softchat.record.runs import Run

_NAP_S = 0.05  # how long it may take until a wish to stop is seen
LONGEST_S = 10.0
"""No pause is longer, as it was recorded nor as it is shown: nobody looks at a still screen for so
long, and a recording may lie about time."""
SLOWEST, FASTEST = 0.01, 1000.0
"""Speeds between which one can tell what happens."""
_LATE_S = 1.0  # who is later than this was stopped (Ctrl-Z): nothing is caught up


def schedule(run: Run) -> Iterator[tuple[float, Event]]:
    """Each event of the run with the time at which it happened, in seconds since the run began.

    Pieces of the answer carry no time, so they are spread over the time that the answer took; in a
    run that was cut off before it told, they come at the pace of the steps.
    """
    pieces = sum(isinstance(event, Answer) for event in run.events)
    pace_s = run.steps[-1].elapsed_s / len(run.steps) if run.steps else 0.0
    answer_s = run.finished.answer_s if run.finished else pieces * pace_s
    now = thinking = answering = 0.0  # when the thinking, and the answer, began
    said = 0
    for event in run.events:
        match event:
            case Prefill():
                due = thinking = answering = event.elapsed_s
            case Step() | Lens():
                due = answering = thinking + event.elapsed_s
            case Halted() if run.finished:
                due = answering = thinking + run.finished.think_s
            case Answer():
                due = answering + answer_s * said / pieces
                said += 1
            case Finished():
                due = answering + answer_s
            case Started() | Halted() | Error():
                due = now
        now = max(now, due)  # a clock that went back does not turn the order round
        yield now, event


def play(
    run: Run,
    *,
    speed: float = 1.0,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """The run's events, each when it is due; the end comes early if it is cancelled.

    A pause of more than `LONGEST_S` is cut to that, then the speed counts; slowed down, it is not
    longer either.

    Args:
        run: what is shown.
        speed: 2 is twice as fast as it was; 0 is all at once.
        cancelled: asked while waiting.
        clock: seconds, from any origin.
        sleep: waits for so many seconds.

    """
    before, at = 0.0, clock()
    for due, event in schedule(run):
        if speed > 0:
            at += min(min(due - before, LONGEST_S) / speed, LONGEST_S)
            before = due
            if clock() - at > _LATE_S:
                at = clock()
            while (left := at - clock()) > 0 and not cancelled():
                sleep(min(left, _NAP_S))
        if cancelled():
            return
        yield event


class Move(Enum):
    """Where to go from a step."""

    FORWARD = 1
    BACK = -1
    LEAVE = 0


def play_by_hand(
    events: Iterable[Event], move: Callable[[], Move], *, anew: bool = False
) -> Iterator[Event]:
    """Events of runs, a step for each time that `move` returns FORWARD, or the one before.

    A run's first step comes by itself, and with its halt all that follows it: from there nothing
    goes back.

    Args:
        events: of runs, one after the other.
        move: asked at each step.
        anew: to go back is to show the run again up to that step, for views that show several.

    """
    held = list(events)
    at = start = 0
    shown: list[int] = []  # where the steps are that this run has shown
    while at < len(held):
        event = held[at]
        if isinstance(event, Step | Halted) and shown:
            where = move()
            if where is Move.LEAVE:
                return
            if where is Move.BACK:
                if len(shown) > 1:
                    shown.pop()
                    at = shown[-1] + 1
                    yield from held[start:at] if anew else held[at - 1 : at]
                continue
        if isinstance(event, Step):
            shown.append(at)
        elif isinstance(event, Started):
            start, shown = at, []
        elif isinstance(event, Halted):
            shown = []
        yield event
        at += 1
