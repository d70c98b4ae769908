"""How many threads there are, on a machine that is busy and one that is not."""

from __future__ import annotations

import pytest

from softchat.engine import threads


@pytest.fixture
def machine(monkeypatch):
    """A function that makes a machine of so many cores, load, and programs that run now."""

    def made(cores, load, running):
        monkeypatch.setattr(threads, "cores", lambda: cores)
        monkeypatch.setattr(threads, "load", lambda: load)
        text = f"{load} 0 0 {running + 1}/99 1"  # the reader itself runs too
        monkeypatch.setattr(threads, "_own", lambda: 1)
        monkeypatch.setattr(threads.Path, "read_text", lambda *_: text)

    return made


@pytest.mark.parametrize(
    ("cores", "load", "running", "expected"),
    [
        (2, 0.1, 0, 2),
        (2, 1.9, 5, 2),  # a moment's crowd
        (2, 9.0, 0, 2),  # a minute ago
        (2, 9.0, 8, 1),
        (8, 9.0, 3, 5),
        (8, 40.0, 30, 1),
    ],
)
def test_cores_that_are_in_use_are_left_alone(machine, cores, load, running, expected):
    """Only where both the last minute and this moment are busy; one is always left."""
    machine(cores, load, running)
    assert threads.default_threads() == expected


@pytest.mark.parametrize(("load", "in_use"), [(0.2, False), (1.0, False), (1.4, True)])
def test_one_program_more_is_seen(machine, load, in_use):
    """On two cores, one that is held makes all slower, though no thread less is better."""
    machine(2, load, 1)
    assert threads.is_in_use() == in_use
    assert threads.busy_note(threads.default_threads()) == ""


def test_fewer_threads_are_told(machine):
    """With the reason, and with what is stronger; all of them are not worth a word."""
    machine(2, 17.2, 9)
    told = "this machine is busy (load 17, cores 2): 1 thread, unless --threads"
    assert threads.busy_note(1) == told
    assert threads.busy_note(2) == ""


@pytest.fixture
def time_():
    """What a clock says, in a list of one."""
    return [0.0]


def test_decodes_that_are_far_slower_take_threads_away(machine, time_):
    """Three in a row, where other programs run now; the load, which is late, may say nothing."""
    machine(8, 0.5, 3)
    suiting = threads.Threads(clock=lambda: time_[0])
    for elapsed_s in (0.1, 0.3, 0.5, 0.5, 0.2, 0.5, 0.5):
        suiting.after(1, elapsed_s)
        assert suiting.number == 8
    suiting.after(1, 0.5)
    assert suiting.number == 5


def test_threads_come_back_with_a_prompt(machine, time_):
    """Not in the middle of a run, and not before the load knows what is the matter."""
    machine(8, 0.5, 3)
    suiting = threads.Threads(clock=lambda: time_[0])
    for elapsed_s in (0.1, 0.5, 0.5, 0.5):
        suiting.after(1, elapsed_s)
    time_[0] = 59.0
    suiting.after(300, 1.0)
    assert suiting.number == 5
    time_[0] = 61.0
    suiting.after(1, 0.1)
    assert suiting.number == 5
    machine(8, 11.0, 2)
    suiting.after(300, 1.0)
    assert suiting.number == 6
    machine(8, 0.5, 3)
    suiting.after(300, 1.0)
    assert suiting.number == 8


@pytest.mark.parametrize(("running", "slow"), [(0, 0.9), (9, 0.19)])
def test_what_is_slow_by_itself_keeps_its_threads(machine, time_, running, slow):
    """Where nothing else runs, as when a context grows; or where nobody waits for it."""
    machine(2, 0.5, running)
    suiting = threads.Threads(clock=lambda: time_[0])
    suiting.after(1, 0.01)
    for _ in range(9):
        suiting.after(1, slow)
        suiting.after(8, slow)  # of eight runs at once: no such decode was faster
    assert suiting.number == 2


def test_what_became_busy_is_told_once_more(machine):
    """A model that was loaded before has its threads until decodes are slow."""
    machine(2, 9.0, 8)
    told = threads.busy_now_note(2)
    assert told.startswith("this machine is busy now (load 9, cores 2): ")
    assert "fewer threads than 2, unless --threads" in told
    assert threads.busy_now_note(1) == threads.busy_note(1) != ""
    machine(2, 0.5, 8)
    assert threads.busy_now_note(2) == ""


def test_threads_of_this_process_are_no_other_program(monkeypatch):
    """This one runs, as it asks."""
    monkeypatch.setattr(threads, "load", lambda: 0.0)
    if threads.Path("/proc/self/task").exists():
        assert threads._own() >= 1
    assert threads.running(4) <= 4
