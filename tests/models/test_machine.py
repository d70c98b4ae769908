"""What is told of a model from its size and its file's name."""

from __future__ import annotations

import pytest

from softchat.models.machine import fits, memory_bytes, quantisation


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "Q8_0"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwq-32b-q4_k_m.gguf", "Q4_K_M"),
        ("m-IQ3_XXS.gguf", "IQ3_XXS"),
        ("m-UD-Q4_K_XL-00001-of-00003.gguf", "UD-Q4_K_XL"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("m-BF16.gguf", "BF16"),
        ("folder/m-F16.gguf", "F16"),
        ("sha256-abc", ""),
        ("Q8.gguf", ""),
        ("", ""),
    ],
)
def test_quantisation(file, said):
    """It stands at the end of the name, before the number of a part."""
    assert quantisation(file) == said


@pytest.mark.parametrize(
    ("size", "memory", "answer"),
    [
        (1_000_000_000, 1_700_000_000, True),
        (1_000_000_000, 1_699_999_999, False),
        (0, 1, None),
        (1, None, None),
    ],
)
def test_fits(size, memory, answer):
    """A fifth more than the file, and half a gigabyte; what is not known can't be told."""
    assert fits(size, memory) is answer


def test_this_machine_has_memory():
    """Where the system tells it."""
    assert memory_bytes() is None or memory_bytes() > 100_000_000
