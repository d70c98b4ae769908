"""Rows of the token-embedding matrix, against gguf-py's own dequantisation."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from softchat.engine.embeddings import EmbeddingTable
from softchat.engine.gguf import _library, find_matrix, open_header
from softchat.engine.llama import LlamaEngine
from softchat.errors import DecodeError, ModelRefusedError
from tests import tiny, zoo

TYPES = {
    str(_library().ggml_get_type_traits(kind).contents.type_name, "ascii"): kind
    for kind in range(43)  # GGML_TYPE_COUNT
    if kind == 0 or _library().ggml_get_type_traits(kind).contents.to_float
}
UNREADABLE = ["Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"]
IDS = [0, 3, 95, 3]


def open_table(path):
    with open_header(path) as header:
        return EmbeddingTable(find_matrix(header))


def reference_rows(path, ids):
    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")
    return gguf.dequantize(tensor.data[ids], tensor.tensor_type).astype(np.float32)


def write_model(path, kind, monkeypatch, **more):
    """A model with a table of this type; some types are newer than gguf-py."""
    traits = _library().ggml_get_type_traits(kind).contents
    sizes = gguf.GGML_QUANT_SIZES
    monkeypatch.setitem(sizes, kind, (traits.blck_size, traits.type_size))
    return zoo.write(path, "llama", embedding_length=256, table_type=kind, **more)


def test_all_types_are_tried():
    """25 quantised types and the three kinds of plain floats."""
    assert len(TYPES) == 28


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", TYPES)
def test_rows_are_what_llama_looks_up(tmp_path, monkeypatch, name, tied):
    """Of every type that ggml can dequantise, a row gives the logits of its token bit for bit."""
    path = write_model(tmp_path / "t.gguf", TYPES[name], monkeypatch, tied=tied)
    with LlamaEngine(path, n_ctx=64, n_threads=1) as engine:
        assert engine.scale == 1.0
        engine.decode_tokens([1])
        for token in IDS:
            by_token = engine.decode_tokens([token]).copy()
            engine.rollback(1)
            by_row = engine.decode_embedding(engine.embedding_rows([token])[0])
            assert by_token.tobytes() == by_row.tobytes()
            assert np.ptp(by_token) > 1
            engine.rollback(1)


@pytest.mark.parametrize("name", sorted(TYPES.keys() - {"q1_0", "q2_0"}))
def test_rows_are_those_of_the_reference(tmp_path, monkeypatch, name):
    """Bit for bit, for every type that gguf-py can read."""
    path = write_model(tmp_path / "t.gguf", TYPES[name], monkeypatch)
    with open_table(path) as table:
        assert table.shape == (zoo.VOCABULARY, 256)
        assert table.rows(IDS).tobytes() == reference_rows(path, IDS).tobytes()


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_table_of_another_type_is_refused(tmp_path, name):
    """Before llama.cpp sees it: some of them would end the process at the first token."""
    kind = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    path = tmp_path / "t.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    table = np.zeros((zoo.VOCABULARY, 256 // block * size), np.uint8)
    writer.add_tensor("token_embd.weight", table, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelRefusedError, match=f"(?i)type {name} can't be read"):
        LlamaEngine(path, n_ctx=64, n_threads=1)


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
