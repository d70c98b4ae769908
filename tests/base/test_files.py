"""Files, and how large they are."""

from __future__ import annotations

import pytest

from softchat.base.files import shown_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (None, "-"),
        (0, "0 MB"),
        (93_400_000, "93 MB"),
        (999_000_000, "999 MB"),
        (1e9, "1.0 GB"),
        (2.5e9, "2.5 GB"),
    ],
)
def test_a_size_is_said_as_people_say_it(size, shown):
    """In MB or GB of a thousand each; what is not known is a dash."""
    assert shown_size(size) == shown
