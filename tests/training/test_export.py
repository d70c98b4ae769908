"""The adapter's file."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from training.export import permute, tensors, write

KEY = "base_model.model.model.layers.2.self_attn.{}_proj.lora_{}.weight"


def test_rows_of_a_head_are_interleaved():
    """Row j of a head's first half comes before row j of its second half."""
    rows = np.arange(8, dtype=np.float16)[:, None]
    assert permute(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_only_the_outgoing_side_of_queries_and_keys_is_permuted():
    """lora_a reads the hidden state, whose order is the same everywhere."""
    rows = np.arange(36, dtype=np.float16)[:, None]
    state = {KEY.format(m, s): rows for m in "qkv" for s in "AB"}
    same = {name: np.array_equal(array, rows) for name, array in tensors(state)}
    assert same == {
        "blk.2.attn_q.weight.lora_a": True,
        "blk.2.attn_q.weight.lora_b": False,
        "blk.2.attn_k.weight.lora_a": True,
        "blk.2.attn_k.weight.lora_b": False,
        "blk.2.attn_v.weight.lora_a": True,
        "blk.2.attn_v.weight.lora_b": True,
    }


def test_a_tensor_of_another_kind_is_refused():
    """Nothing that was trained is left out in silence."""
    with pytest.raises(ValueError, match="unknown"):
        list(tensors({"model.norm.weight": np.ones(2, np.float16)}))


def test_the_file_says_what_it_is(tmp_path):
    """As llama.cpp reads it: an adapter, of the kind lora, for a llama, with its alpha."""
    path = tmp_path / "a.gguf"
    write({KEY.format("v", "A"): np.ones((4, 6), np.float16)}, 8.0, path)
    reader = gguf.GGUFReader(path)
    said = {name: field.contents() for name, field in reader.fields.items()}
    assert said["general.type"] == "adapter"
    assert said["adapter.type"] == "lora"
    assert said["general.architecture"] == "llama"
    assert said["adapter.lora.alpha"] == 8.0
    assert [(t.name, t.tensor_type.name) for t in reader.tensors] == [
        ("blk.2.attn_v.weight.lora_a", "F16")
    ]
