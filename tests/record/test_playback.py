"""When the events of a recording come, by a clock that is moved by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softchat.events import Answer, Halted, Lens, Started, Step
from softchat.record.playback import LONGEST_S, Move, play, play_by_hand, schedule
from softchat.record.runs import Run
from tests.recordings import run_of, step

EVENTS = run_of(step(0), step(1), answer=("one", " two", " three", " four"))
RUN = Run.of(EVENTS)


class Clock:
    """Time passes when somebody sleeps, and when `late` says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def times(run, **more):
    clock = Clock()
    shown = [(clock.now - 100, e) for e in play(run, clock=clock, sleep=clock.sleep, **more)]
    return pytest.approx([time for time, _ in shown]), [event for _, event in shown]


def test_a_look_ahead_comes_when_it_came():
    """Behind its step, by its own time; going back shows the step, then what was seen there."""
    seen = Lens(index=0, text="one", entropy=0.1, whole=True, elapsed_s=0.15)
    run = Run.of(run_of(step(0), seen, step(1), answer=("one",)))
    assert run.lenses == (seen,)
    comes = [(pytest.approx(due), event) for due, event in schedule(run)]
    assert comes[2:5] == [(0.6, run.steps[0]), (0.65, seen), (0.7, run.steps[1])]
    moves = iter([Move.FORWARD, Move.BACK, Move.FORWARD, Move.LEAVE])
    shown = list(play_by_hand(run.events, lambda: next(moves)))
    assert [e.index for e in shown if isinstance(e, Step | Lens)] == [0, 0, 1, 0, 0, 1]


def test_events_come_when_they_came():
    """The prompt's time, then each step's, then the answer spread over the time it took."""
    due = [0.0, 0.5, 0.6, 0.7, 0.7, 0.7, 0.95, 1.2, 1.45, 1.7]
    assert [time for time, _ in schedule(RUN)] == pytest.approx(due)
    assert times(RUN) == (due, EVENTS)


def test_faster_is_sooner():
    """Four times as fast takes a fourth of the time; at speed 0 nobody sleeps."""
    assert times(RUN, speed=4)[0] == [time / 4 for time, _ in schedule(RUN)]
    assert times(RUN, speed=0)[0] == [0.0] * len(EVENTS)


def test_a_run_that_was_cut_off_goes_at_the_pace_of_its_steps():
    """What is not told is not waited for longer than a step."""
    assert times(Run.of(EVENTS[:-1]))[0] == [0.0, 0.5, 0.6, 0.7, 0.7, 0.7, 0.8, 0.9, 1.0]
    assert times(Run.of([EVENTS[0], Answer(text="x")]))[0] == [0.0, 0.0]


def test_a_clock_that_went_back_delays_nothing():
    """The order is the recording's."""
    steps = [replace(step(0), elapsed_s=5.0), replace(step(1), elapsed_s=-7.0)]
    due, events = times(Run.of([EVENTS[0], *steps]))
    assert (due, events) == ([0.0, 5.0, 5.0], [EVENTS[0], *steps])


@pytest.mark.parametrize("speed", [1.0, 1e-300, 1e300])
def test_no_recording_makes_us_wait_for_ever(speed):
    """An absurd time, or an absurd speed, is some seconds' pause at the most."""
    clock = Clock()
    slow = Run.of([EVENTS[0], replace(step(0), elapsed_s=2.0**62)])
    assert len(list(play(slow, speed=speed, clock=clock, sleep=clock.sleep))) == 2
    assert clock.now <= 100 + LONGEST_S + 0.1


def test_a_long_recording_is_as_long():
    """An hour of short pauses is an hour."""
    clock = Clock()
    steps = [replace(step(i), elapsed_s=8.0 * i) for i in range(451)]
    list(play(Run.of(steps), clock=clock, sleep=clock.sleep))
    assert clock.now - 100 == pytest.approx(3600)


@pytest.mark.parametrize(("speed", "lasts"), [(1, 10), (4, 2.5), (0.5, 10)])
def test_a_long_pause_is_cut_before_the_speed_counts(speed, lasts):
    """A minute is ten seconds, four times as fast a fourth of that; and never more than ten."""
    slow = Run.of([EVENTS[0], replace(step(0), elapsed_s=60.0), replace(step(1), elapsed_s=60.0)])
    assert times(slow, speed=speed)[0] == [0.0, lasts, lasts]


def test_nothing_is_caught_up_after_a_stop():
    """Who was suspended for a minute sees the rest at its own pace, not in a burst."""
    clock = Clock()
    shown = []
    for event in play(RUN, clock=clock, sleep=clock.sleep):
        shown.append(clock.now)
        if event == step(0):
            clock.now += 60
    assert shown[-1] - 100 == pytest.approx(1.6 + 60)


def test_a_wish_to_stop_is_seen_while_waiting():
    """Long before the event that is waited for."""
    clock = Clock()
    slow = Run.of([EVENTS[0], replace(step(0), elapsed_s=1000.0)])
    played = play(slow, clock=clock, sleep=clock.sleep, cancelled=lambda: clock.now >= 103)
    assert list(played) == [EVENTS[0]]
    assert clock.now < 103.1


def test_by_hand_each_step_waits_for_a_key():
    """The first step is there at once; a key for each further one, and for what follows."""
    keys = 0

    def forward():
        nonlocal keys
        keys += 1
        return Move.FORWARD

    seen = [(keys, event) for event in play_by_hand(EVENTS * 2, forward)]
    assert [event for _, event in seen] == EVENTS * 2
    marks = [count for count, event in seen if isinstance(event, Started | Step | Halted)]
    assert marks == [0, 0, 1, 2, 2, 2, 3, 4]


def test_by_hand_one_can_leave():
    """At once: nothing more is shown, of later runs neither."""
    answers = iter([Move.FORWARD, Move.LEAVE])
    left = list(play_by_hand(run_of(*map(step, range(9))) * 2, lambda: next(answers)))
    assert [event.index for event in left if isinstance(event, Step)] == [0, 1]


@pytest.mark.parametrize(
    ("anew", "shown"), [(False, [0, 1, 2, 1, 0, 1, 2]), (True, [0, 1, 2, 0, 1, 0, 1, 2])]
)
def test_by_hand_one_can_go_back(anew, shown):
    """As far as the run's first step; its halt comes but once."""
    f, b = Move.FORWARD, Move.BACK
    moves = iter([f, f, b, b, b, f, f, f])
    run = run_of(step(0), step(1), step(2))
    seen = list(play_by_hand(run, lambda: next(moves), anew=anew))
    assert [event.index for event in seen if isinstance(event, Step)] == shown
    assert sum(isinstance(event, Halted) for event in seen) == 1
    assert seen[-1] == run[-1]
    assert next(moves, None) is None
