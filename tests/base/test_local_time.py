"""What the clock on the wall says."""

from __future__ import annotations

import datetime
import sys
import time

import pytest

from softchat.base.local_time import local

MOMENT = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)


@pytest.mark.skipif(sys.platform == "win32", reason="no tzset")
@pytest.mark.parametrize(
    ("zone", "hour", "offset"),
    [
        ("UTC-2", 14, 2),
        ("XXX5:30", 6, -5.5),
        ("UTC-24", 12, 0),  # none that Python has
        ("XXX-167", 12, 0),
        ("nonsense/\x07", 12, 0),
    ],
)
def test_zones(zone, hour, offset, monkeypatch):
    """The moment is the same in any."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        there = local(MOMENT)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert there == MOMENT
    assert (there.hour, there.utcoffset()) == (hour, datetime.timedelta(hours=offset))
