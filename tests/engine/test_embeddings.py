"""Rows of the token-embedding matrix, against gguf-py's own dequantisation."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from softchat.engine.embeddings import EmbeddingTable, find_matrix
from softchat.engine.gguf import open_header
from softchat.errors import DecodeError, ModelRefusedError
from tests import tiny

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def open_table(path):
    with open_header(path) as header:
        return EmbeddingTable(find_matrix(header))


def reference_rows(path, ids):
    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
    return gguf.dequantize(tensor.data[ids], tensor.tensor_type).astype(np.float32)


@pytest.mark.parametrize("kind", TYPES)
def test_rows_are_those_of_the_reference(tmp_path, kind):
    """Bit for bit, for every type that gguf-py can write."""
    path = tiny.write(tmp_path / "t.gguf", table_type=gguf.GGMLQuantizationType[kind])
    ids = [0, 3, 95, 3]
    with open_table(path) as table:
        assert table.shape == (tiny.VOCABULARY, tiny.WIDTH)
        assert table.rows(ids).tobytes() == reference_rows(path, ids).tobytes()


def test_rows_of_the_real_model(real_model):
    """On SmolLM2 too, at both ends of the vocabulary and in between."""
    ids = [0, 1, 12345, 49151]
    with open_table(real_model) as table:
        assert table.rows(ids).tobytes() == reference_rows(real_model, ids).tobytes()


@pytest.mark.parametrize("token", [-1, tiny.VOCABULARY])
def test_a_token_outside_the_vocabulary_is_an_error(tiny_model, token):
    """No row is read from beyond the table."""
    with open_table(tiny_model) as table, pytest.raises(IndexError):
        table.rows([0, token])


def test_a_file_without_a_table_is_refused(tmp_path):
    """It has no rows to mix."""
    path = tiny.write(tmp_path / "t.gguf", leave_out="token_embd.weight")
    with pytest.raises(ModelRefusedError, match="no token-embedding"):
        open_table(path)


def test_a_file_that_is_cut_short_while_in_use_is_an_error(tmp_path):
    """Reading is not mapping: what is gone is an error in words, not a signal."""
    path = tiny.write(tmp_path / "t.gguf")
    with open_table(path) as table:
        assert table.rows([95]).shape == (1, tiny.WIDTH)
        with path.open("r+b") as file:
            file.truncate(2000)
        with pytest.raises(DecodeError, match="cut short"):
            table.rows([94])
