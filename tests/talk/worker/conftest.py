"""Tiny models, and backends in workers that are closed."""

from __future__ import annotations

import sys

import pytest

from softchat.talk.load import Load
from softchat.talk.worker.process import Worker
from softchat.talk.worker.remote import WorkerBackend
from tests import tiny

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # models are in softchat's own process there


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", letters=tiny.ASCII)


@pytest.fixture(scope="session")
def load(tiny_model):
    return Load(path=tiny_model, name="tiny", n_ctx=1024, n_threads=1)


@pytest.fixture
def worker():
    one = Worker()
    yield one
    one.close()


@pytest.fixture
def remote(worker, load):
    with WorkerBackend(worker, load) as backend:
        yield backend
