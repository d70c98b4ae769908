"""The view without a panel."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from softchat.events import HaltReason, Started
from softchat.views.plain import AnswerView
from softchat.views.quiet import QuietView
from tests.recordings import run_of, started, step


def test_a_sign_of_life_and_what_came_of_it():
    """At once, before the prompt is read; then the panel's last line, of each run its own."""
    said, answer = StringIO(), StringIO()
    console = Console(file=said, width=80, force_terminal=True)
    steps = [step(index, entropy=0.5 + index) for index in range(3)]
    with QuietView(console, AnswerView(answer)) as view:
        for event in run_of(*steps):
            view.show(event)
            if isinstance(event, Started):
                assert said.getvalue() == "thinking…\n"
        for event in run_of(reason=HaltReason.STEP_LIMIT, begin=started(max_think=0)):
            view.show(event)
        view.show(started(think=False))  # as of an answer that goes on
    assert said.getvalue() == (
        "thinking…\nthought 3 soft steps in 0.3 s (10/s) · cold stop · H 0.5 to 2.5\n"
        "thought 0 steps · step limit\n"
    )
    assert answer.getvalue() == "four legs\nfour legs\n"
