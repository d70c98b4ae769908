"""Files are files, whatever a name stands for; how large they are."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest

from softchat.base import files
from softchat.base.files import (
    make_private,
    missing_hint,
    open_file,
    open_sink,
    open_stream,
    read_file,
    read_stream,
    shown_size,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such things there")


@pytest.fixture
def things(tmp_path):
    """What is no file: a folder, a pipe, a socket, devices without an end, nothing."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = ("folder", "pipe", "socket", "loop", "none", "none/below", "a" * 300, "a\0b", "\ud800")
    return [*(tmp_path / name for name in names), Path("/dev/zero"), Path("/dev/tty")]


def test_what_is_no_file_is_refused_at_once(things):
    """Nobody is waited for, and nothing is read that has no end."""
    for thing in things:
        with pytest.raises(OSError, match=r".") as caught:
            read_file(thing)
        assert caught.value.strerror
        with pytest.raises(OSError, match=r"."):
            open_file(thing, os.O_RDWR)


def test_what_is_no_stream_is_refused(things, monkeypatch):
    """A pipe that nobody writes to is given up after a while."""
    monkeypatch.setattr(files, "_PATIENCE_S", 0.05)
    for thing in things:
        with pytest.raises(OSError, match=r"."):
            read_stream(thing)


def test_a_pipe_is_read_to_its_end(tmp_path):
    """As a file is; `<(command)` is one."""
    text = b"a\nb\n" * 99_999
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(text)
    writer = threading.Thread(target=pipe.write_bytes, args=[text])
    writer.start()
    for path in (pipe, file):
        with open_stream(path) as stream:
            assert stream.readline() == b"a\n"
            assert len(stream.read()) == len(text) - 2
    writer.join()


def test_no_more_is_read_than_may_be(tmp_path):
    """Of a file or a pipe."""
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert read_file(path, most=4) == read_stream(path, most=4) == b"1234"
    for read in (read_file, read_stream):
        with pytest.raises(OSError, match="more than"):
            read(path, most=3)


def test_a_sink_has_somebody_who_reads(tmp_path):
    """A pipe without a reader is refused, one with a reader is written to; a file is the user's."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        open_sink(tmp_path / "pipe")
    handle = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with open_sink(tmp_path / "pipe") as sink:
        sink.write(b"a")
    assert os.read(handle, 9) == b"a"
    os.close(handle)
    with open_sink(tmp_path / "file") as sink:
        sink.write(b"a")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


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


def test_a_small_file_takes_little_memory(tmp_path):
    """However large it might be: room for the largest is not taken beforehand."""
    (tmp_path / "small").write_bytes(b"x" * 100)
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "small") == b"x" * 100
        assert read_stream(tmp_path / "small") == b"x" * 100
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_what_is_meant_is_a_file(tmp_path):
    """And never the very name that was given: a link to nothing is told to be one."""
    path = tmp_path / "notes.txt"
    (tmp_path / "note.txt").mkdir()
    assert missing_hint(path) == "is it a file?"
    (tmp_path / "nots.txt").touch()
    assert missing_hint(path) == f"did you mean {tmp_path}/nots.txt?"
    path.symlink_to("nowhere")
    assert missing_hint(path) == "it is a link to nothing"


def test_a_file_in_a_folders_place_is_no_folder(tmp_path):
    """Which is said of it; nothing is made below."""
    (tmp_path / "file").touch()
    for below in ("file", "file/a", "file/a/b"):
        with pytest.raises(NotADirectoryError, match="it is no folder") as caught:
            make_private(tmp_path / below)
        assert caught.value.filename == str(tmp_path / "file")
