"""What is asked, put together from all that there is."""

from __future__ import annotations

import pytest

from softchat.cli import question
from softchat.errors import UsageError
from softchat.prompt.attached import MOST


def test_what_no_context_holds_is_refused_at_once(monkeypatch):
    """A prompt that says $text a thousand times makes gigabytes of a file: no model is loaded."""
    monkeypatch.setattr(question, "_texts", lambda *_, **__: [])

    def asked(length):
        return question.whole_question(["q"], None, quiet=True, fill=lambda _: "x" * length)

    assert len(asked(MOST)) == MOST
    with pytest.raises(UsageError, match="the question is longer than 8 MB") as caught:
        asked(MOST + 1)
    assert caught.value.hint


def test_words_are_utf8_whatever_the_locale():
    """Python takes what ASCII lacks for half characters: they are put together again."""
    escaped = "übel?".encode().decode("ascii", "surrogateescape")
    assert question.typed(escaped, "the question") == "übel?"
    assert question.typed("漢字 ok", "the question") == "漢字 ok"


@pytest.mark.parametrize("text", ["caf\udce9", "\ud83d"])
def test_words_that_are_no_text(text):
    """They are refused, as what comes from stdin is."""
    with pytest.raises(UsageError, match="--system is not UTF-8 text"):
        question.typed(text, "--system")
