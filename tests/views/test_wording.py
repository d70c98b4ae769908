"""Words about a run."""

from __future__ import annotations

import pytest

from softchat.events import Finished, FinishReason
from softchat.views.wording import cut_note


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (8, "the answer was cut here: max_answer 8"),
        (9, "the answer was cut here: the context is full"),
        (2**63, "the answer was cut here: the context is full"),
        ("much", "the answer was cut here: the context is full"),
    ],
)
def test_what_has_cut_an_answer(most, said):
    """The limit, if it was reached; whatever a recording holds."""
    times = {"think_s": 1.0, "answer_s": 1.0, "total_s": 2.0}
    finished = Finished(
        finish_reason=FinishReason.LENGTH, answer="x", steps=1, answer_tokens=8, **times
    )
    assert cut_note(finished, most) == said
