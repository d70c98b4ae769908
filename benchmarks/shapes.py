"""GGUF files of the size of models that people run, with random weights: for speed and memory only.

    python benchmarks/shapes.py FOLDER [1.5b] [4b]

They have the layers, widths, tensor types and the number of tokens of Qwen2.5 1.5B and Qwen3 4B
quantised as Q4_K_M, and what they say is noise. The weights are made so that logits spread as far
as a trained model's: the filters of a step have as little to keep as there. Always the same bytes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

VOCABULARY = 151_936
SPREAD = 6.0  # of logits: the weight of the last norm, over rows whose values spread as 0.02
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What sets the cost of a model."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    hidden: int


SHAPES = {
    "1.5b": Shape(
        architecture="qwen2", layers=28, width=1536, heads=12, kv_heads=2, head=128, hidden=8960
    ),
    "4b": Shape(
        architecture="qwen3", layers=36, width=2560, heads=32, kv_heads=8, head=128, hidden=9728
    ),
}


def main() -> None:
    """Write those that are named, or both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="which; all of them if none is named")
    given = parser.parse_args()
    if unknown := set(given.names) - set(SHAPES):
        parser.error(f"no shape {', '.join(unknown)}; there are: {', '.join(SHAPES)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.names or SHAPES:
        began = time.perf_counter()
        path = given.folder / f"shape-{name}-Q4_K_M.gguf"
        write(path, name, SHAPES[name])
        took, size = time.perf_counter() - began, path.stat().st_size
        print(f"{path}: {size / 1e9:.2f} GB in {took:.1f} s")


def write(path: Path, name: str, shape: Shape) -> None:
    """Write the file of one shape."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    writer.add_name(f"Random weights in the shape of {shape.architecture} {name}")
    writer.add_block_count(shape.layers)
    writer.add_context_length(32768)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    add_vocabulary(writer)
    for tensor, rows, columns in matrices(shape):
        kind = gguf.GGMLQuantizationType.Q4_K
        # As llama.cpp's own Q4_K_M has it: more bits where they matter most.
        if tensor == "token_embd.weight" or "ffn_down" in tensor or "attn_v" in tensor:
            kind = gguf.GGMLQuantizationType.Q6_K
        writer.add_tensor(tensor, blocks(kind, rows, columns), raw_dtype=kind)
    for tensor, values in vectors(shape):
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def matrices(shape: Shape) -> list[tuple[str, int, int]]:
    """Each matrix, with its rows and columns."""
    width, query, key = shape.width, shape.heads * shape.head, shape.kv_heads * shape.head
    found = [("token_embd.weight", VOCABULARY, width)]
    for layer in range(shape.layers):
        found += [
            (f"blk.{layer}.attn_q.weight", query, width),
            (f"blk.{layer}.attn_k.weight", key, width),
            (f"blk.{layer}.attn_v.weight", key, width),
            (f"blk.{layer}.attn_output.weight", width, query),
            (f"blk.{layer}.ffn_gate.weight", shape.hidden, width),
            (f"blk.{layer}.ffn_up.weight", shape.hidden, width),
            (f"blk.{layer}.ffn_down.weight", width, shape.hidden),
        ]
    return found


def vectors(shape: Shape) -> list[tuple[str, npt.NDArray[np.float32]]]:
    """Each norm and bias."""
    ones, query, key = np.ones, shape.heads * shape.head, shape.kv_heads * shape.head
    found = [("output_norm.weight", np.full(shape.width, SPREAD, np.float32))]
    for layer in range(shape.layers):
        found += [
            (f"blk.{layer}.attn_norm.weight", ones(shape.width, np.float32)),
            (f"blk.{layer}.ffn_norm.weight", ones(shape.width, np.float32)),
        ]
        if shape.architecture == "qwen3":
            found += [
                (f"blk.{layer}.attn_q_norm.weight", ones(shape.head, np.float32)),
                (f"blk.{layer}.attn_k_norm.weight", ones(shape.head, np.float32)),
            ]
        else:
            found += [
                (f"blk.{layer}.attn_q.bias", np.zeros(query, np.float32)),
                (f"blk.{layer}.attn_k.bias", np.zeros(key, np.float32)),
                (f"blk.{layer}.attn_v.bias", np.zeros(key, np.float32)),
            ]
    return found


def blocks(kind: gguf.GGMLQuantizationType, rows: int, columns: int) -> Bytes:
    """A matrix as blocks of random quants, whose values spread as 0.02."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    data = noise(rows * columns // values * size).reshape(-1, size).copy()
    if kind == gguf.GGMLQuantizationType.Q6_K:  # d · scale · (q - 32), q of 6 bits spreads as 18.5
        data[:, 192:208] = 16
        data[:, 208:] = np.frombuffer(np.float16(0.02 / 16 / 18.5).tobytes(), np.uint8)
    else:  # d · scale · q - dmin · scale, q of 4 bits spreads as 4.6 around 7.5
        step = np.float16(0.02 / 8 / 4.6)
        data[:, :4] = np.frombuffer(step.tobytes() + np.float16(7.5 * step).tobytes(), np.uint8)
        data[:, 4:12], data[:, 12:16] = 8, 8 | 8 << 4
    return data.reshape(rows, columns // values * size)


def noise(size: int) -> Bytes:
    """Random bytes; the same ones come back after a while, which no speed depends on."""
    once = np.random.default_rng(0).integers(0, 256, (1 << 22) + 1, np.uint8)
    return np.resize(once, size)


def add_vocabulary(writer: gguf.GGUFWriter) -> None:
    """Byte-level BPE with as many tokens and merges as those models have."""
    tokens = byte_letters()
    known, merges, rng = set(tokens), [], np.random.default_rng(0)
    while len(tokens) < VOCABULARY - len(SPECIAL):
        for a, b in rng.integers(0, len(tokens), (4096, 2)):
            made = tokens[a] + tokens[b]
            if made not in known and len(made) < 12 and len(tokens) < VOCABULARY - len(SPECIAL):
                known.add(made)
                tokens.append(made)
                merges.append(f"{tokens[a]} {tokens[b]}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*tokens, *SPECIAL])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * 3)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(VOCABULARY - 1)
    writer.add_chat_template(TEMPLATE)


def byte_letters() -> list[str]:
    """A letter for each byte, as GPT-2's tokenizer writes them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(174, 256)]
    others = (chr(256 + n) for n in range(256))
    return [chr(byte) if byte in plain else next(others) for byte in range(256)]


if __name__ == "__main__":
    main()
