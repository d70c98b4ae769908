"""softchat as a library, on the fake engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import softchat
from softchat import Answer, Finished, Halted, Model, Started, Step
from softchat.errors import UsageError
from softchat.events import HaltReason
from softchat.prompt.tags import ThinkTags
from softchat.testing import FakeEngine
from softchat.thinking.think import think

PIECES = [*"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *" \n:<>/?.", "<end>"]
TAGS = ThinkTags(open="<t>\n", close="</t>", before_close="\n", after_close="\n")
SCRIPT = [{"a": 0.5, "b": 0.5}, {"a": 1.0}, {"a": 1.0}, {"y": 1.0}, {"<end>": 1.0}]


class Engine(FakeEngine):
    """A fake that knows when it is closed, and whose script begins anew when it is emptied."""

    closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def rollback(self, position):
        super().rollback(position)
        self._decodes = 0


def model_of(**more):
    return Model(
        engine=Engine(PIECES, SCRIPT), tags=TAGS, system="Be brief.",
        defaults={"tau": 0.1, "patience": 2, "topn": 2, "max_think": 9, "seed": 4}, **more,
    )  # fmt: skip


def test_a_question_is_thought_about_and_answered():
    """With the model's own settings, tags and system prompt."""
    model = model_of()
    events = list(model.ask("Why?"))
    started, finished = events[0], events[-1]
    assert isinstance(started, Started)
    assert (started.settings["tau"], started.settings["patience"]) == (0.1, 2)
    assert isinstance(finished, Finished)
    assert finished.answer == "y"
    assert [event.text for event in events if isinstance(event, Answer)] == ["y"]
    halted = next(event for event in events if isinstance(event, Halted))
    assert (halted.reason, halted.injected) == (HaltReason.COLD_STOP, "\n</t>\n")
    said = b"".join(model.engine.piece(token) for token in model.prompt("Why?").tokens).decode()
    assert said == "System: Be brief.\n\nUser: Why?\n\nAssistant:<t>\n"


def test_what_is_given_is_stronger():
    """A setting, a system prompt; a name that is none is refused as it is."""
    model = model_of()
    events = list(model.ask("Why?", system="", tau=0.0, max_think=1))
    assert len([event for event in events if isinstance(event, Step)]) == 1
    assert events[0].settings["tau"] == 0.0
    assert events[0].prompt_tokens == len(model.prompt("Why?", "").tokens)
    with pytest.raises(UsageError, match="no setting 'tua'"):
        list(model.ask("Why?", tua=1))


def test_each_question_begins_anew():
    """Nothing of the one before is in the engine's memory."""
    model = model_of()
    first, second = ([e for e in model.ask("Why?") if isinstance(e, Step)] for _ in range(2))
    assert [step.concept for step in first] == [step.concept for step in second]
    assert len(first) == 3


def test_asking_is_thinking_about_the_prompt():
    """`ask` is what `think` does with the model's own prompt and settings."""

    def timeless(events):
        return [type(e) if isinstance(e, Step) else getattr(e, "answer", None) for e in events]

    asked, model = list(model_of().ask("Why?")), model_of()
    thought = list(think(model.engine, model.prompt("Why?"), model.settings()))
    assert timeless(asked) == timeless(thought)


def test_it_can_be_stopped():
    """`cancelled` is asked before each step."""
    answers = iter([False, True])
    events = list(model_of().ask("Why?", cancelled=lambda: next(answers)))
    assert len([event for event in events if isinstance(event, Step)]) == 1
    assert events[-1].finish_reason == "interrupted"


def test_a_seed_that_nobody_gives_is_drawn():
    """Anew each time; the events tell it."""
    model = Model(engine=Engine(PIECES, SCRIPT))
    assert len({model.settings().seed for _ in range(20)}) > 1
    assert model.settings(seed=7).seed == 7


def test_the_engine_is_freed_at_the_end():
    """Whatever happens; an engine that has nothing to free is left alone."""
    model = model_of()
    with pytest.raises(ZeroDivisionError), model:
        _ = 1 / 0
    assert model.engine.closed
    with Model(engine=FakeEngine(PIECES, SCRIPT)):
        pass


def test_importing_softchat_imports_nothing_else():
    """Neither numpy nor llama.cpp, until something is asked for."""
    code = "import sys, softchat; print([m for m in sys.modules if m.startswith('softchat')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "['softchat']\n"


def test_what_type_checkers_see_is_what_there_is():
    """The names of the package for them, and those that can be had."""
    tree = ast.parse(Path(softchat.__file__).read_text(encoding="utf-8"))
    seen = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("softchat."):
            seen |= {alias.asname: node.module for alias in node.names}
    given = {name: f"softchat.{home}" for home, names in softchat._HOMES.items() for name in names}
    assert seen == given
    assert set(given) <= set(dir(softchat))
    for name in given:
        assert getattr(softchat, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        _ = softchat.frobnicate
