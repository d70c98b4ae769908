"""GGUF files that are no models are told from those that are."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from softchat.errors import ModelRefusedError
from softchat.models.kind import refuse_no_model


def write(path, architecture, kind, *, tensors):
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_type(kind)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    for n in range(tensors):
        writer.add_tensor(f"t{n}", np.zeros((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("architecture", "kind", "tensors", "said", "hint"),
    [
        ("llama", "adapter", 1, "is an adapter, not a model", "--lora"),
        ("clip", "mmproj", 1, "is what a model sees with", "mmproj"),
        ("clip", "", 1, "is what a model sees with", "mmproj"),
        ("llama", "", 0, "holds a vocabulary only", "full file"),
    ],
)
def test_what_is_no_model(tmp_path, architecture, kind, tensors, said, hint):
    """It is told what it is, and how it is used."""
    path = write(tmp_path / "x.gguf", architecture, kind, tensors=tensors)
    with pytest.raises(ModelRefusedError, match=said) as caught:
        refuse_no_model(path, path.read_bytes(), whole=True)
    assert hint in caught.value.hint


def test_what_is_one(tmp_path):
    """Also the first part of several, which may hold no weights; damage is llama.cpp's to tell."""
    model = write(tmp_path / "m.gguf", "llama", "model", tensors=1)
    refuse_no_model(model, model.read_bytes(), whole=True)
    part = write(tmp_path / "p.gguf", "llama", "", tensors=0)
    whole = part.read_bytes()
    for length in (len(whole), *range(4, len(whole), 3)):
        refuse_no_model(part, whole[:length], whole=False)


@pytest.mark.parametrize("command", ["use", "info"])
def test_on_the_command_line(softchat, tmp_path, command):
    """Status 3, and nothing is written down."""
    path = write(tmp_path / "x.gguf", "llama", "adapter", tensors=1)
    done = softchat("models", command, str(path))
    assert done.status == 3
    assert "is an adapter, not a model" in done.err
