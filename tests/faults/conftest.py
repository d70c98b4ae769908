"""The tiny model, written once."""

from __future__ import annotations

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", letters=tiny.ASCII)
