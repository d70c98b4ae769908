"""The model of a session, without a session."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from softchat.base.interrupt import Interrupt
from softchat.errors import DecodeAbortedError
from softchat.models import Located
from softchat.repl.loading import SessionModel


class Answers:
    """As much of a backend as is asked for here."""

    def __init__(self, name):
        self.name = name
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


@pytest.fixture
def model():
    """A session's model whose loads wait to be let through; and what was opened and given up."""
    opened, given_up, through, told = [], [], {"a": threading.Event()}, threading.Event()

    def open_backend(found, cancelled):
        while not through[found.name].wait(0.005):
            if cancelled():
                given_up.append(found.name)
                told.set()
                raise DecodeAbortedError("stopped while loading the model")
        opened.append(Answers(found.name))
        return opened[-1]

    through["a"].set()
    model = SessionModel(named("a"), open_backend, Interrupt())
    model.take()
    model.opened, model.given_up, model.through, model.told = opened, given_up, through, told
    yield model
    for event in through.values():
        event.set()
    model.close()


def named(name):
    return Located(name=name, path=Path(f"{name}.gguf"), entry=None)


def press(model, monkeypatch, error):
    """A Ctrl-C while a model is waited for, as a flag or as an exception."""

    def waited():
        raise error

    monkeypatch.setattr(model, "_waited", waited)


@pytest.mark.parametrize("error", [DecodeAbortedError("stopped"), KeyboardInterrupt()])
def test_a_change_that_is_stopped_changes_nothing(model, monkeypatch, error):
    """The model before is loaded again, and the load of the other one given up."""
    model.through["b"] = threading.Event()
    press(model, monkeypatch, error)
    with pytest.raises(type(error)):
        model.change(named("b"))
    monkeypatch.undo()
    assert model.found.name == "a"
    assert model.take().name == "a"
    assert model.told.wait(60)
    assert model.given_up == ["b"]


def test_a_load_that_is_given_up_too_late_is_let_go(model, monkeypatch):
    """Its model is there when nobody wants it any more: it is closed."""
    model.through["b"] = threading.Event()
    model.through["b"].set()
    press(model, monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        model.change(named("b"))
    monkeypatch.undo()
    assert model.take().name == "a"
    others = [one for one in model.opened if one is not model.backend]
    assert all(one.closed.wait(60) for one in others)
    assert not model.backend.closed.is_set()
