"""A moment as the clock on the wall has it."""

from __future__ import annotations

import datetime


def local(moment: datetime.datetime) -> datetime.datetime:
    """The moment, which has an offset, with that of this machine's time zone.

    It stays as it is where TZ says a zone that Python has not: one of 24 hours or more.
    """
    try:
        return moment.astimezone()
    except ValueError:
        return moment
