"""The tiny model, written once."""

from __future__ import annotations

import pytest

from softchat.engine.llama import LlamaEngine
from tests import tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def engine(tiny_model):
    with LlamaEngine(tiny_model, n_ctx=1280, n_threads=1) as engine:
        yield engine
