"""The view without a panel."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from softchat.events import (
    Answer,
    ConceptEntry,
    Finished,
    FinishReason,
    Halted,
    HaltReason,
    Mode,
    ModelInfo,
    Prefill,
    Started,
    Step,
)
from softchat.views.plain import AnswerView
from softchat.views.quiet import QuietView

MODEL = ModelInfo(name="m", path="m", architecture="fake", n_vocab=9, n_embd=4, n_ctx=99)


def run(steps, **settings):
    """The events of a run of so many steps."""
    concept = (ConceptEntry(id=0, piece="a\x1b[2J", weight=1.0),)
    yield Started(model=MODEL, settings=settings, prompt_tokens=3)
    yield Prefill(tokens=3, cached=0, elapsed_s=0.1)
    for i in range(steps):
        yield Step(
            index=i, entropy=0.5 + i, concept=concept, below=0, mode=Mode.SOFT, elapsed_s=i / 2
        )
    yield Halted(reason=HaltReason.CLOSED, steps=steps, injected="")
    yield Answer(text=" yes")
    yield Finished(
        finish_reason=FinishReason.STOP, answer=" yes", steps=steps, answer_tokens=1, think_s=1.0,
        answer_s=0.1, total_s=1.1,
    )  # fmt: skip


def test_a_sign_of_life_and_what_came_of_it():
    """At once, before the prompt is read; then the panel's last line, of each run its own."""
    said, answer = StringIO(), StringIO()
    console = Console(file=said, width=80, force_terminal=True)
    with QuietView(console, AnswerView(answer)) as view:
        for event in run(3, max_think=9):
            view.show(event)
            if isinstance(event, Started):
                assert said.getvalue() == "thinking…\n"
        for event in run(0, max_think=0):
            view.show(event)
    assert said.getvalue() == (
        "thinking…\nthought 3 soft steps in 1.0 s (3.0/s) · closed by the model · H 0.5 to 2.5\n"
        "thought 0 steps · closed by the model\n"
    )
    assert answer.getvalue() == "yes\nyes\n"
