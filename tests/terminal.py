"""A softchat on a pseudo-terminal, and pyte as the screen of it."""

from __future__ import annotations

import re
import sys
import time

import pexpect
import pyte

# Flags of a run that thinks until it is stopped.
LONG = (
    "--tau", "0", "--max-think", "3000", "--temperature", "1", "--seed", "1", "--topn", "10",
    "--loop-steps", "0", "--drift-steps", "0",
)  # fmt: skip
# What a terminal obeys, or what no encoding can write.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


LOADING = (
    r"(note: smollm2-135m is [\s\S]*?real ones\n+)?"
    r"(loading \S+\n+)?( *this machine is busy .*\n+)?"
)
"""What may stand above a panel: what a new user's model is, that a busy machine loads slowly."""
_PANEL = re.compile(r"[^╭╰]*╭ [^╭╰]* (\d+) steps[^╭╰]*╰ [^╭╰]* stops")


class Screen(pyte.Screen):
    """A screen that answers when it is asked where its cursor is."""

    def write_process_input(self, data):
        self.answer(data)


class Terminal:
    """A softchat on a terminal of this size, and its screen."""

    def __init__(
        self, arguments, environ, *, columns=80, lines=24, program=None, term="xterm-256color"
    ):
        self.screen = Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        name, *rest = program or [sys.executable, "-m", "softchat", *arguments]
        self.child = pexpect.spawn(
            name,
            rest,
            env=environ | {"TERM": term},
            dimensions=(lines, columns),
            timeout=60,
        )
        self.child.delaybeforesend = None  # pexpect's own would be the most of what is measured
        self.screen.answer = self.child.send

    def read(self, seconds=0.05, most=65536):
        """Take in what was written within this time, so many bytes; False at its end."""
        try:
            data = self.child.read_nonblocking(most, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    def until(self, pattern, seconds=120):
        """Read until the screen shows this."""
        self.wait(lambda: re.search(pattern, self.text), repr(pattern), seconds)

    def until_one_panel(self):
        """Read until the screen shows one whole panel, with steps that it did not show before.

        What another frame has left behind would stay there, and this never come.
        """
        before = max(map(int, re.findall(r"(\d+) steps", self.text)), default=0)

        def is_there():
            found = _PANEL.fullmatch(self.text)
            return found and int(found[1]) > before + 1  # one step may have been drawn already

        self.wait(is_there, "one panel")

    def wait(self, condition, what, seconds=120):
        """Read until this is so. Told as `what` if it never is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            running = self.read()
            if condition():
                return
            assert running, f"ended without {what}:\n{self.text}"
        raise AssertionError(f"no {what} in:\n{self.text}")

    def finish(self, seconds=120):
        """Read to the end; the exit status."""
        deadline = time.monotonic() + seconds
        while self.read(0.2):
            assert time.monotonic() < deadline, f"does not end:\n{self.text}"
        self.child.close()
        return self.child.exitstatus

    def resize(self, columns, lines):
        """As a window manager does it: a lower window loses what is below the cursor first."""
        self.child.setwinsize(lines, columns)
        if self.screen.cursor.y < lines < self.screen.lines:  # pyte would cut the top
            for row in range(lines, self.screen.lines):
                self.screen.buffer.pop(row, None)
            self.screen.lines = lines
        self.screen.resize(lines, columns)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()


def assert_settled(terminal):
    """The panel is gone without a trace, and the cursor is back."""
    assert not re.search("[╭│╰]", terminal.text), terminal.text
    assert not terminal.screen.cursor.hidden
    # It may be given back twice: by who hid it, and by the process where that stops.
    assert terminal.raw.count(b"\x1b[?25l") <= terminal.raw.count(b"\x1b[?25h")
