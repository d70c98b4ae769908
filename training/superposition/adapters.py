"""Adapters as llama.cpp keeps them: read, put together, written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from training.export import HEADS, NAMES, write
from training.superposition.model import FOLDER, SCALE

Adapter = Mapping[str, tuple[Tensor, Tensor]]
"""Low-rank layers, (a, b) under `layer.module`; what they add is SCALE b @ a."""
_KEY = re.compile(r"blk\.(\d+)\.(\w+)\.weight\.lora_([ab])")


def unpermute(rows: Tensor, heads: int) -> Tensor:
    """The opposite of training.export.permute."""
    halves = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def read_adapter(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """The low-rank layers of a GGUF."""
    reader = gguf.GGUFReader(path)
    field = reader.get_field(gguf.Keys.Adapter.LORA_ALPHA)
    if field is None:
        raise ValueError(f"{path.name} is no adapter")
    alpha = float(field.contents())
    modules = {name: key.split(".")[1] for key, name in NAMES.items()}
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in reader.tensors:
        match = _KEY.fullmatch(tensor.name)
        if not match:
            raise ValueError(f"unknown tensor {tensor.name}")
        layer, name, side = match.groups()
        array = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        value = torch.from_numpy(array)
        if side == "b":
            if name in HEADS:
                value = unpermute(value, HEADS[name])
            value = value * (alpha / value.shape[1] / SCALE)
        found.setdefault(f"{layer}.{modules[name]}", {})[side] = value
    return {key: (sides["a"], sides["b"]) for key, sides in found.items()}


def together(one: Adapter, other: Adapter) -> dict[str, tuple[Tensor, Tensor]]:
    """One adapter that adds what both add."""
    out = dict(one)
    for key, (a, b) in other.items():
        if key in out:
            out[key] = torch.cat([out[key][0], a]), torch.cat([out[key][1], b], 1)
        else:
            out[key] = a, b
    return out


def apart(whole: Adapter, beneath: Adapter) -> dict[str, tuple[Tensor, Tensor]]:
    """What `together` added to the one beneath.

    Raises:
        ValueError: it was another one.

    """
    out = {}
    for key, (a, b) in whole.items():
        under = beneath[key][0] if key in beneath else a[:0]
        rank = len(under)
        if not torch.allclose(a[:rank], under.float(), atol=1e-3):
            raise ValueError(f"another adapter was beneath {key}")
        out[key] = a[rank:], b[:, rank:]
    return out


def mean(one: Adapter, other: Adapter, share: float) -> dict[str, tuple[Tensor, Tensor]]:
    """The weighted mean of two adapters, a and b each; `share` is that of the other.

    What they add is near the mean of what both add only where one was trained on from the other.
    """
    return {
        key: (
            torch.lerp(a.float(), other[key][0].float(), share),
            torch.lerp(b.float(), other[key][1].float(), share),
        )
        for key, (a, b) in one.items()
    }


def write_adapter(adapter: Adapter, path: Path) -> None:
    """As a GGUF. llama.cpp divides by each layer's own rank, so that is made up for."""
    alpha = 2.0 * min(len(a) for a, _ in adapter.values())
    state = {}
    for key, (a, b) in adapter.items():
        layer, module = key.split(".")
        name = f"layers.{layer}.{FOLDER[module]}.{module}"
        state[f"{name}.lora_A.weight"] = a.float().numpy()
        state[f"{name}.lora_B.weight"] = (b.float() * (SCALE * len(a) / alpha)).numpy()
    write(state, alpha, path)
