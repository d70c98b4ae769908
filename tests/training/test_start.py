"""Training on from an adapter that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

import training

torch = pytest.importorskip("torch")  # an extra
pytest.importorskip("peft")  # as well

from training.superposition.adapters import read_adapter  # noqa: E402  # these need torch
from training.train import load_adapter  # noqa: E402

ADAPTER = Path(training.__file__).parent / "smollm2-135m-think.gguf"


class Model:
    """The low-rank layers of one matrix, as peft names them, and a matrix of the base."""

    def __init__(self, rank):
        self.a, self.b = torch.zeros(rank, 576), torch.zeros(192, rank)
        self.base = torch.zeros(2, 2)

    def named_parameters(self):
        """Names and tensors, as torch gives them."""
        name = "model.layers.7.self_attn.k_proj."
        yield f"{name}base_layer.weight", self.base
        yield f"{name}lora_A.default.weight", self.a
        yield f"{name}lora_B.default.weight", self.b


def test_the_layers_are_those_of_the_file():
    """Both sides of a matrix, its rows in torch's order; the base is left alone."""
    model = Model(16)
    load_adapter(model, ADAPTER)
    a, b = read_adapter(ADAPTER)["7.k_proj"]
    assert torch.equal(model.a, a)
    assert torch.equal(model.b, b)
    assert a.abs().max() > 0
    assert not model.base.any()


def test_another_rank_is_refused():
    """Nothing is cut or repeated to make it fit."""
    with pytest.raises(RuntimeError, match="size"):
        load_adapter(Model(8), ADAPTER)
