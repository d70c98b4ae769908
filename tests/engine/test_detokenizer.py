"""Pieces of tokens as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from softchat.engine.detokenizer import Detokenizer


def joined(pieces: list[bytes]) -> str:
    text = Detokenizer()
    return "".join(text.feed(piece) for piece in pieces) + text.finish()


def test_a_split_character_waits_until_it_is_whole():
    """No half of a character is shown."""
    text = Detokenizer()
    assert text.feed("é".encode()[:1]) == ""
    assert text.feed("é".encode()[1:] + b"t") == "ét"


def test_a_broken_end_is_replaced_at_the_very_end():
    """What is never completed is U+FFFD, once, and only in `finish`."""
    text = Detokenizer()
    assert text.feed("🙂".encode()[:3]) == ""
    assert text.finish() == "\ufffd"


@given(st.lists(st.binary(max_size=5)))
def test_any_bytes_decode_as_if_in_one_piece(pieces):
    """However bytes are cut into tokens, the text is the same and nothing is lost."""
    assert joined(pieces) == b"".join(pieces).decode("utf-8", "replace")
