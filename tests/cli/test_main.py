"""What surrounds every command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from softchat.cli import _whole


class Cut(io.RawIOBase):
    """A device that takes three bytes at a time, as a terminal may when a signal comes."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        self.taken += bytes(data[:3])
        return len(data[:3])


def test_a_write_that_is_cut_short_is_finished():
    """An unbuffered stream gets a buffer, so that all of a line arrives."""
    device = Cut()
    unbuffered = io.TextIOWrapper(device, encoding="utf-8", write_through=True)
    stream = _whole(unbuffered)
    stream.write("all of this line\n")
    stream.flush()
    assert device.taken == b"all of this line\n"


def test_a_buffered_stream_stays_as_it_is():
    """There is nothing to mend."""
    stream = io.TextIOWrapper(io.BufferedWriter(Cut()), encoding="utf-8")
    assert _whole(stream) is stream


def test_an_error_that_quotes_what_no_terminal_should_see(softchat):
    """As JSON too it is one line of plain characters; what no encoding can write ends nothing."""
    done = softchat("ask", "--json", os.fsdecode(b"--x\x9b2J"), "\u202eq")
    assert done.status == 2
    assert json.loads(done.out)["kind"] == "usage"
    assert "Traceback" not in done.err
    assert not {"\x9b", "\u202e", "\x1b"} & set(done.out + done.err)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mod", ["models"]),
        ("--vers", ["--version"]),
        ("--to", ["--topn", "--top-k", "--top-p"]),
        ("--topn 3 --ta", ["--tau"]),
        ("models in", ["info"]),
        ("ask --strategy mix", ["mixed-input"]),
    ],
)
def test_tab_completes_commands_flags_and_values(environ, typed, offered):
    """As bash asks for it; without a command, the flags are those of a session too."""
    words = f"softchat {typed}"
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [Path(sys.executable).with_name("softchat")],
        env=environ | asked | {"_SOFTCHAT_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == offered, done.stderr
