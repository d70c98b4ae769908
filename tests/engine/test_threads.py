"""How many threads there are, on a machine that is busy and one that is not."""

from __future__ import annotations

import pytest

from softchat.engine import threads
from softchat.errors import UsageError


@pytest.fixture
def machine(monkeypatch):
    """A function that makes a machine of so many cores, load, and programs that run now."""

    def made(cores, load, running):
        monkeypatch.setattr(threads, "cores", lambda: cores)
        monkeypatch.setattr(threads, "load", lambda: load)
        text = f"{load} 0 0 {running + 1}/99 1"  # the reader itself runs too
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


@pytest.mark.parametrize(
    ("cores", "wanted", "taken"),
    [(2, 0, True), (2, 64, True), (2, 65, False), (2, 1024, False), (64, 256, True),
     (64, 257, False)],
)  # fmt: skip
def test_far_more_threads_than_cores_are_refused(machine, cores, wanted, taken):
    """They wait for one another at each operation: minutes for a few tokens."""
    machine(cores, 0.1, 0)
    if taken:
        threads.refuse_many(wanted)
    else:
        with pytest.raises(UsageError, match=f"{wanted} threads are too many for the {cores} co"):
            threads.refuse_many(wanted)


@pytest.mark.parametrize(("load", "in_use"), [(0.2, False), (1.0, False), (1.4, True)])
def test_one_program_more_is_seen(machine, load, in_use):
    """On two cores, one that is held makes all slower, though no thread less is better."""
    machine(2, load, 1)
    assert threads.is_in_use() == in_use
    assert threads.busy_note(threads.default_threads()) == ""


def test_what_became_busy_is_told_with_a_way_out(machine):
    """A model keeps its threads until it is loaded again."""
    machine(2, 9.0, 8)
    now = "this machine is busy now (load 9, cores 2): /set threads 1 may be faster"
    assert threads.busy_now_note(2) == now
    assert threads.busy_now_note(1) == threads.busy_note(1) != ""
    machine(2, 0.5, 8)
    assert threads.busy_now_note(2) == ""


def test_fewer_threads_are_told(machine):
    """With the reason, and with what is stronger; all of them are not worth a word."""
    machine(2, 17.2, 9)
    told = "this machine is busy (load 17, cores 2): 1 thread, unless --threads"
    assert threads.busy_note(1) == told
    assert threads.busy_note(2) == ""
