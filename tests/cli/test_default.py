"""Which command is meant where none is named."""

from __future__ import annotations

import pytest
import typer.main

from softchat.cli.app import app
from softchat.cli.default import (
    GROUPS,
    OTHERS,
    TALK,
    elsewhere,
    holds_model,
    is_alone,
    meant,
    mistyped,
    talks,
)


def test_all_commands_are_known():
    """Else a new one would be taken for a question."""
    commands = typer.main.get_command(app).commands
    assert {*TALK, *OTHERS} - {"help", "version"} == set(commands)
    assert set(GROUPS) == {name for name, one in commands.items() if hasattr(one, "commands")}


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ([], ["chat"]),
        (["What is 2 plus 3?"], ["ask", "What is 2 plus 3?"]),
        (["What", "is", "it?"], ["ask", "What", "is", "it?"]),
        (["-m", "x"], ["chat", "-m", "x"]),
        (["-m", "x", "why?"], ["ask", "-m", "x", "why?"]),
        (["-"], ["ask", "-"]),
        ([""], ["ask", ""]),
        (["models", "info"], ["models", "info"]),
        (["--help"], ["--help"]),
        (["help"], ["--help"]),
        (["help", "ask"], ["ask", "--help"]),
        (["help", "models", "info"], ["models", "info", "--help"]),
        (["help", "ask", "him"], ["ask", "help", "ask", "him"]),
        (["help", "me", "write"], ["ask", "help", "me", "write"]),
        (["help", "ask", "my", "boss"], ["ask", "help", "ask", "my", "boss"]),
        (["version"], ["--version"]),
    ],
)
def test_on_a_terminal(arguments, whole):
    """A question is asked; without one there is a chat."""
    found = meant(
        arguments, flags={"--help"}, asks=lambda some: "why?" in some or "-" in some, terminal=True
    )
    assert found == whole


@pytest.mark.parametrize("arguments", [[], ["-m", "x"]])
def test_in_a_pipe(arguments):
    """What comes through it is asked."""
    found = meant(arguments, flags=(), asks=lambda some: False, terminal=False)
    assert found == ["ask", *arguments]


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("modles", "models"),
        ("model", "models"),
        ("session", "sessions"),
        ("evaluate", "eval"),
        ("benchmark", "bench"),
        ("doctr", "doctor"),
        ("comp", "compare"),
        ("what", None),
        ("how", None),
        ("tell", None),
        ("as", None),
        ("the", None),
        ("Compare", None),
        ("models", None),
        ("list", None),
    ],
)
def test_a_close_match_of_a_command(word, command):
    """Words that questions begin with are none."""
    assert mistyped(word, alone=False) == command


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("hepl", "help"),
        ("hlep", "help"),
        ("ehlp", "help"),
        ("helpp", "help"),
        ("polt", "plot"),
        ("plott", "plot"),
        ("aks", "ask"),
        ("shwo", "show"),
        ("lats", "last"),
        ("tuen", "tune"),
        ("vesion", "version"),
        ("cahce", "cache"),
        ("sho", "show"),
        ("doc", "doctor"),
        ("hello", None),
        ("hi", None),
        ("hey", None),
        ("how", None),
        ("why", None),
        ("cat", None),
        ("past", None),
        ("thanks", None),
        ("test", None),
        ("joke", None),
        ("haiku", None),
        ("logic", None),
        ("asking", None),
    ],
)
def test_a_slip_of_a_finger_alone(word, command):
    """One slip in a word that stands alone; what people say first to a model is none."""
    assert mistyped(word, alone=True) == command


@pytest.mark.parametrize("word", ["slow", "tuna", "beach", "sweet", "coat", "list", "pilot"])
def test_questions_begin_with_words_that_are_near_short_commands(word):
    """So only swapped letters count there."""
    assert mistyped(word, alone=False) is None


@pytest.mark.parametrize(
    ("arguments", "alone"),
    [
        (["sho"], True),
        (["sho", "last"], True),
        (["sesion", "list", "--json"], True),
        (["cat", "pictures"], False),
        (["plot", "twists", "last"], False),
    ],
)
def test_what_follows_a_command_is_no_question(arguments, alone):
    """`sho last` is a slip of `show last`."""
    assert is_alone(arguments) == alone


def test_only_what_talks_opens_a_model():
    """A question without a command does."""
    assert all(talks(some) for some in ([], ["ask"], ["why?"], ["-m", "x"]))
    assert not any(talks([some]) for some in OTHERS)


@pytest.mark.parametrize(
    ("arguments", "environ", "holds"),
    [
        (["eval", "data.json"], {}, True),
        (["bench"], {}, True),
        (["tune", "--help"], {}, False),
        (["eval"], {"_SOFTCHAT_COMPLETE": "complete_bash"}, False),
        (["ask", "why?"], {}, False),
        (["ask", "why?", "--samples", "3"], {}, True),
        (["why?", "--samples=3"], {}, True),
        (["why?"], {"SOFTCHAT_SAMPLES": "3"}, True),
        (["ask", "--", "why", "--samples"], {}, False),
        (["--samples", "3", "--", "--help"], {}, True),
        (["compare", "why?"], {}, False),
        (["show", "last"], {}, False),
    ],
)
def test_who_has_a_model_in_softchats_own_process(arguments, environ, holds):
    """Many runs at once, and what measures; the others have a worker, or no model."""
    assert holds_model(arguments, environ) == holds


@pytest.mark.parametrize(
    ("line", "here"),
    [
        ("run", "-m MODEL QUESTION"),
        ("run smollm2", "-m MODEL QUESTION"),
        ("run gemma3:270m why?", "-m MODEL QUESTION"),
        ("pull qwen3", "models pull MODEL"),
        ("logs", "log"),
        ("logs -q sky", "log"),
        ("list", "models"),
        ("run a marathon?", None),
        ("run 5 km", None),
        ("list 5 prime numbers", None),
        ("history 1848", None),
        ("run ./m.gguf", "-m MODEL QUESTION"),
        ("list three colours", None),
        ("why", None),
        ("Run", None),
    ],
)
def test_what_other_programs_call_it(line, here):
    """Alone, with a flag or with a model it is their command; else it may be a question."""
    assert elsewhere(line.split()) == here
