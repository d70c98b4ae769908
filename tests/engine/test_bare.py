"""The floor of the benchmark."""

from __future__ import annotations

import pytest

from softchat.engine.bare import BareContext
from softchat.errors import DecodeError


def test_bare_decoding_forgets_its_steps(tiny_model):
    """Every measurement begins at the same position, and one that fails is no measurement."""
    bare = BareContext(tiny_model, n_ctx=256, n_threads=1)
    bare.fill([3] * 200)
    for _ in range(10):
        assert bare.run(5, 50) > 0
    with pytest.raises(DecodeError):
        bare.run(5, 57)
    bare.close()
