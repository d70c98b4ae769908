"""Slash commands without a terminal."""

from __future__ import annotations

from pathlib import Path

from softchat.repl.commands import _path


def test_the_home_of_nobody_is_a_file_name():
    """A `~name` that is no user's home does not end the session."""
    assert _path("~nosuchuser/x.json", "") == Path("~nosuchuser/x.json")
    assert _path("~/x.json", "") == Path.home() / "x.json"
