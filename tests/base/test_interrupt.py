"""Ctrl-C as a flag."""

from __future__ import annotations

import signal

import pytest

from softchat.base.interrupt import Interrupt, catch_interrupt


@pytest.fixture
def sigint():
    """What was there is there again behind the test."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_is_caught_while_it_lasts(sigint):
    """Also in one within another; afterwards all is as before."""
    before = signal.getsignal(signal.SIGINT)
    with catch_interrupt() as interrupt:
        with catch_interrupt(interrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt()
        assert signal.getsignal(signal.SIGINT) == interrupt.press
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_ignored_stays_so(sigint):
    """As of a command that a shell's script runs in the background: the key is for another one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with catch_interrupt(Interrupt()) as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert not interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
