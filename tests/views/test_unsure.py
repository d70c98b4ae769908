"""How sure the model was of its answer, from events made by hand."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from softchat.events import Answer, AnswerToken, ConceptEntry
from softchat.views.unsure import answer_tokens, token_in_full, unsure_answer
from softchat.views.wording import glyphs_for
from tests.recordings import HOSTILE

UNICODE, ASCII = glyphs_for("utf-8"), glyphs_for("ascii")


def said(text, entropy, *, piece=None, probability=0.5, **others):
    alternatives = tuple(
        ConceptEntry(id=10 + place, piece=piece, weight=weight)
        for place, (piece, weight) in enumerate(others.items())
    )
    token = AnswerToken(
        id=7, piece=text if piece is None else piece, probability=probability, entropy=entropy,
        alternatives=alternatives,
    )  # fmt: skip
    return Answer(text=text, token=token)


def printed(renderable, **more):
    sink = StringIO()
    Console(file=sink, width=100, **more).print(renderable)
    return sink.getvalue()


EVENTS = [said("Four", 0.1), said(" legs", 0.9, arms=0.3), said("!", 2.0, **{"?": 0.2, ".": 0.1})]


def test_unsure_tokens_are_coloured():
    """Two levels, underlined for who sees no colours; what they mean is said."""
    shown = printed(unsure_answer(EVENTS, UNICODE), force_terminal=True)
    assert "Four\x1b[4;33m legs\x1b[0m\x1b[1;4;31m!\x1b[0m\n" in shown
    plain = printed(unsure_answer(EVENTS, UNICODE))
    assert plain.startswith("Four legs!\n\nunsure: H from 0.5 · H from 1.5 · mean of 3 tokens 1.00")


def test_the_least_sure_ones_are_listed():
    """With what else could have been said, in their order; a sure answer has no such list."""
    rows = printed(unsure_answer(EVENTS, UNICODE)).splitlines()[4:]
    assert [row.split() for row in rows[1:]] == [
        ["1", "0.900", "·legs", "0.50", "arms", "0.30"],
        ["2", "2.000", "!", "0.50", "?", "0.20", ".", "0.10"],
    ]
    assert "could have said" not in printed(unsure_answer(EVENTS[:1], UNICODE))


def test_a_text_that_was_held_back_has_the_colour_of_all_its_tokens():
    """A character of several tokens is as unsure as the least sure of them."""
    events = [said("", 2.0, piece="\\xc3"), said("é", 0.0, piece="\\xa9"), said("a", 0.0)]
    shown = printed(unsure_answer(events, UNICODE), force_terminal=True)
    assert shown.startswith("\x1b[1;4;31mé\x1b[0ma\n")
    assert len(answer_tokens(events)) == 3


def test_a_token_in_full():
    """The likeliest first, that which was said among them, and what stands before it."""
    token = said("b", 1.25, probability=0.2, **{" c": 0.6, "d": 0.1})
    lines = printed(token_in_full([EVENTS[1].token, token.token], 1, UNICODE)).splitlines()
    assert lines[0] == "answer token 1 · H 1.2500 nats · behind ·legs"
    assert [line.split()[0] for line in lines[2:]] == ["0.6000", "0.2000", "0.1000"]
    assert [line.split()[2] for line in lines[2:]] == ["·c", "b", "d"]
    assert "behind" not in printed(token_in_full([token.token], 0, UNICODE))


def test_nothing_of_it_is_obeyed_by_a_terminal():
    """What a model wrote comes out as text."""
    one = said(HOSTILE, 3.0, **{HOSTILE: 0.1})
    for glyphs in (UNICODE, ASCII):
        for view in (unsure_answer([one], glyphs), token_in_full([one.token] * 2, 1, glyphs)):
            shown = printed(view)
            assert not set("\x1b\x07\x9b\u202e\r\x08") & set(shown)
        assert glyphs is UNICODE or shown.isascii()
