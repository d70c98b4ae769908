"""Waiting for descriptors."""

from __future__ import annotations

import os
import sys

import pytest

from softchat.base.waiting import readable, writable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of pipes")


def test_what_has_something_to_read_and_what_takes_something():
    """Or whose other end is gone; a full pipe takes nothing."""
    read, write = os.pipe()
    other, gone = os.pipe()
    os.close(gone)
    os.set_blocking(write, False)
    assert readable(read, within_s=0) == set()
    assert readable(read, other, within_s=0) == {other}
    assert writable(write, within_s=0)
    os.write(write, bytes(1 << 20))
    assert readable(read, within_s=None) == {read}
    assert not writable(write, within_s=0.01)
    for one in (read, write, other):
        os.close(one)


@pytest.mark.skipif(sys.platform != "linux", reason="select, which takes none above 1,023")
def test_a_descriptor_may_have_any_number():
    """A process may inherit thousands of files."""
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1200:
        pytest.skip("this system gives a process fewer than 1,200 files")
    read, write = os.pipe()
    far = os.dup2(read, 1150)
    os.write(write, b"x")
    assert readable(far, within_s=1) == {far}
    for one in (read, write, far):
        os.close(one)
