"""Sessions that tests begin."""

from __future__ import annotations

import pytest

from softchat.record.session_file import SessionFile


@pytest.fixture
def begin():
    """Begin a session in a folder; it lets go of its lock in the end."""
    begun = []

    def begin_(folder, resume=None, **more):
        begun.append(SessionFile(folder, resume, **more))
        return begun[-1]

    yield begin_
    for saved in begun:
        if saved._lock is not None:
            saved._lock.close()
