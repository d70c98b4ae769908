"""Files that a user names to be written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from softchat.base.written import (
    refuse_foreign,
    refuse_inside,
    refuse_same,
    refuse_stdout,
    refuse_unwritable,
    write_named,
)
from softchat.errors import UsageError


def test_what_is_read_is_not_written_over(tmp_path):
    """By whatever name, and also where neither is there yet."""
    read = tmp_path / "a"
    read.touch()
    (tmp_path / "link").symlink_to(read)
    for out, other in (("a", "a"), ("link", "a"), ("new", "./new"), ("sub/../new", "new")):
        with pytest.raises(UsageError, match="--csv would overwrite"):
            refuse_same(tmp_path / out, None, tmp_path / other, by="--csv")
    refuse_same(tmp_path / "b", read, "\0", "x" * 5000, by="--csv")
    refuse_same(None, read, by="--csv")


def test_a_folder_of_softchats_own_is_not_written_to(tmp_path):
    """By whatever name; beside it, above it and below it one may."""
    own, link = tmp_path / "own", tmp_path / "link"
    (own / "sub").mkdir(parents=True)
    link.symlink_to(own)
    for out in (own / "a", link / "a", own / "sub" / ".." / "a"):
        with pytest.raises(UsageError, match="is among softchat's own"):
            refuse_inside(out, own)
    for free in (None, tmp_path / "a", own / "sub" / "a"):
        refuse_inside(free, own)


def test_only_what_is_of_the_same_kind_is_written_over(tmp_path):
    """Or what holds nothing, or is not there."""
    out = tmp_path / "out"

    def is_ours(beginning):
        return beginning.startswith(b"ours")

    refuse_foreign(out, is_ours, what="thing")
    for content in (b"", b"ours and more"):
        out.write_bytes(content)
        refuse_foreign(out, is_ours, what="thing")
    out.write_bytes(b"theirs")
    with pytest.raises(UsageError, match="exists, and is no thing"):
        refuse_foreign(out, is_ours, what="thing")


def test_a_link_stays_one(tmp_path):
    """What it leads to is written, whole; also where that is not there yet, but not in a circle."""
    for name in ("there", "not-yet"):
        link = tmp_path / f"{name}.link"
        link.symlink_to(tmp_path / name)
        (tmp_path / "there").write_text("before")
        write_named(link, "text")
        assert link.is_symlink()
        assert (tmp_path / name).read_text() == "text"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        write_named(loop, "text")
    assert loop.is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_stays_one(tmp_path):
    """Whoever reads it gets all."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    for _ in range(1000):
        try:
            write_named(pipe, b"bytes")
            break
        except OSError:  # nobody reads yet
            reader.join(0.01)
    reader.join(10)
    assert got == [b"bytes"]
    assert pipe.is_fifo()


def test_stdout_is_no_second_file(tmp_path):
    """Where it is a file or a pipe; a device takes both."""
    code = (
        "import sys; from pathlib import Path; from softchat.base.written import refuse_stdout\n"
        "try: refuse_stdout(Path(sys.argv[1]), by='--trace', hint='h')\n"
        "except Exception as error: sys.stderr.write(f'{error}')\n"
    )

    def said(name, stdout):
        done = subprocess.run(
            [sys.executable, "-c", code, name], stdout=stdout, stderr=subprocess.PIPE, check=True
        )
        return done.stderr.decode()

    with (tmp_path / "out").open("w") as file:
        assert "--trace is the file that stdout goes to" in said(str(tmp_path / "out"), file)
        assert not said(str(tmp_path / "other"), file)
    assert "--trace is the file" in said("/dev/stdout", subprocess.PIPE)
    assert not said(os.devnull, subprocess.DEVNULL)
    refuse_stdout(None, by="--trace", hint="")


def test_stdouts_other_name_is_no_files():
    """Else a file called `-` would be made."""
    with pytest.raises(UsageError, match="--csv wants the name of a file, not -") as caught:
        refuse_stdout(Path("-"), by="--csv", hint="--json writes it")
    assert caught.value.hint == "--json writes it"


def test_what_can_not_be_written_is_told_before_there_is_something_to_write(tmp_path, monkeypatch):
    """And to look leaves nothing."""
    refuse_unwritable(tmp_path / "new", hint="another")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="Is a directory"):
        refuse_unwritable(tmp_path, hint="another")

    def closed(**given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", closed)
    with pytest.raises(UsageError, match=r"can't write .*new: Permission denied"):
        refuse_unwritable(tmp_path / "new", hint="another")
