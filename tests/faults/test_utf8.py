"""UTF-8 that is split or broken across tokens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from softchat.engine.detokenizer import Detokenizer
from softchat.events import Answer, Finished
from softchat.settings import Settings
from softchat.testing import FakeEngine
from softchat.thinking.prompt import Prompt
from softchat.thinking.think import think
from tests.faults.soak import times

COUNT = times(300, 10_000)
TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("é漢🙂👩‍👧\u0301\u202e\ufffd")
)
BROKEN = st.binary(max_size=4) | TEXT.map(str.encode)


def pieces_of(data, cuts):
    """The bytes, cut at these places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@settings(max_examples=COUNT, deadline=None)
@given(TEXT, st.lists(st.integers(0, 1000)))
def test_a_split_text_comes_whole(text, cuts):
    """However it is cut into tokens, each part given is whole characters, and nothing is lost."""
    detokenizer = Detokenizer()
    given_so_far = ""
    for piece in pieces_of(text.encode(), cuts):
        given_so_far += detokenizer.feed(piece)
        assert text.startswith(given_so_far)
    assert given_so_far + detokenizer.finish() == text


@settings(max_examples=COUNT, deadline=None)
@given(st.lists(BROKEN).map(b"".join), st.lists(st.integers(0, 1000)))
def test_a_broken_text_is_as_if_in_one_piece(data, cuts):
    """What is no UTF-8 is replaced where it is known to be none; what surrounds it stays."""
    detokenizer = Detokenizer()
    joined = "".join(map(detokenizer.feed, pieces_of(data, cuts))) + detokenizer.finish()
    assert joined == data.decode("utf-8", "replace")


@settings(max_examples=COUNT // 10, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
def test_an_answer_of_any_tokens(pieces):
    """Through the loop: events join to the answer, and the answer is the bytes as text."""
    end, dot = b"<end>", b"\n"
    pieces = [piece for piece in pieces if piece not in (end, dot)]
    engine = FakeEngine([*pieces, end, dot], [{dot: 1.0}, *({p: 1.0} for p in pieces), {end: 1.0}])
    prompt = Prompt(tokens=(engine.id(dot),), close="", inject="\n")
    events = list(think(engine, prompt, Settings(max_think=0)))
    assert isinstance(events[-1], Finished)
    said = "".join(event.text for event in events if isinstance(event, Answer))
    assert said == events[-1].answer
    assert said == b"".join(pieces).decode("utf-8", "replace").lstrip()
