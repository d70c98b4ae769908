"""Write the adapter as llama.cpp wants it: `python -m training.export CHECKPOINT OUT.gguf`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float16]

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
HEADS = {"attn_q": 9, "attn_k": 3}  # of SmolLM2-135M
_KEY = re.compile(r"layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.")


def permute(rows: Array, heads: int) -> Array:
    """The rows of a query or key matrix in llama.cpp's order.

    transformers turns a head's first half against its second, llama.cpp each pair of neighbours.
    """
    return (
        rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
        .swapaxes(1, 2)
        .reshape(rows.shape)
    )


def tensors(state: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """The adapter's matrices under their names in a GGUF, in its order of rows."""
    for key, value in state.items():
        found = _KEY.search(key)
        if not found:
            raise ValueError(f"unknown tensor {key}")
        layer, module, side = found.groups()
        name, rows = NAMES[module], value.astype(np.float16)
        if side == "B" and name in HEADS:
            rows = permute(rows, HEADS[name])
        yield f"blk.{layer}.{name}.weight.lora_{side.lower()}", np.ascontiguousarray(rows)


def write(state: Mapping[str, Array], alpha: float, path: Path) -> None:
    """Write a GGUF that llama.cpp loads as an adapter of the model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_name("SmolLM2-135M-Instruct thinks")
    writer.add_license("apache-2.0")
    for name, array in tensors(state):
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read a checkpoint of training.train and write its adapter."""
    import torch  # here, as the rest of this file does without it

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    state = torch.load(options.checkpoint, weights_only=True)
    arrays = {name: value.float().numpy() for name, value in state["adapter"].items()}
    write(arrays, 2.0 * state["rank"], options.out)


if __name__ == "__main__":
    main()
