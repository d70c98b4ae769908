"""A tiny model in a wheel, a folder that is pip's only index, and a store to fetch it into."""

from __future__ import annotations

import hashlib
import os
import random
import ssl
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from softchat.models.entry import ModelEntry, WheelSource
from softchat.models.store import Store

# Random, so that it does not compress: pip reports the progress of large files only.
CONTENT = b"GGUF" + random.Random(0).randbytes(1_500_000)


@pytest.fixture
def content():
    """The bytes of the tiny model's file."""
    return CONTENT


@pytest.fixture
def source(content):
    """What models.toml would say about it."""
    return WheelSource(
        package="tinymodel",
        version="1.0",
        file="tinymodel/tiny.gguf",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


@pytest.fixture
def entry(source):
    """The tiny model by name."""
    return ModelEntry(name="tiny", source=source)


@pytest.fixture
def store(tmp_path):
    """A store that does not exist yet."""
    return Store(root=tmp_path / "cache" / "models")


@pytest.fixture
def make_wheel(tmp_path):
    """A function that puts the wheel tinymodel 1.0, with these members, into pip's index."""

    def make(members):
        folder = tmp_path / "index"
        folder.mkdir(exist_ok=True)
        wheel = folder / "tinymodel-1.0-py3-none-any.whl"
        info = "tinymodel-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
            archive.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        return wheel

    return make


@pytest.fixture
def index(tmp_path, monkeypatch, make_wheel, content):
    """The folder that pip is set up for and nothing else, with the tiny model's wheel in it."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = make_wheel({"tinymodel/tiny.gguf": content}).parent
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="session")
def authority():
    """Who signs the certificates of servers on loopback."""
    return trustme.CA()


@pytest.fixture
def tls(authority, tmp_path, monkeypatch):
    """What a server on loopback needs to speak TLS; whoever runs here trusts it."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def stack():
    """What is closed in the end: servers."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def leftovers(store):
    """A function that lists what is in the store besides final names and their folders."""

    def found():
        final = {path for path in store.root.rglob("*.gguf") if path.parent.parent == store.root}
        kept = final | {path.parent for path in final}
        return [path for path in store.root.rglob("*") if path not in kept]

    return found


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    """The current folder, empty."""
    folder: Path = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
