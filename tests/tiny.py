"""A tiny model of the llama architecture: random float32 weights, always the same, as a GGUF file.

`weights` are also what the oracle in `oracle.py` computes with.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

VOCABULARY, WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, CONTEXT = 96, 32, 2, 4, 2, 48, 2048
HEAD = WIDTH // HEADS
END = 2  # </s>
EPSILON, BASE = 1e-5, 10000.0
LETTERS = "".join(chr(0x4E00 + i) for i in range(VOCABULARY - 3))
# All that a plain prompt is made of. A character that no piece spells aborts the process.
ASCII = "\n▁" + "".join(chr(i) for i in range(0x21, 0x7F) if chr(i) not in "`^~")


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by their GGUF names, each (out, in) float32."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)

    tensors = {
        "token_embd.weight": matrix(VOCABULARY, WIDTH, 1.0),
        "output.weight": matrix(VOCABULARY, WIDTH, 0.35),
        "output_norm.weight": 1 + matrix(1, WIDTH, 0.1)[0],
    }
    for layer in range(LAYERS):
        shapes = {
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (KV_HEADS * HEAD, WIDTH),
            "attn_v": (KV_HEADS * HEAD, WIDTH),
            "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (HIDDEN, WIDTH),
            "ffn_up": (HIDDEN, WIDTH),
            "ffn_down": (WIDTH, HIDDEN),
        }
        for name, shape in shapes.items():
            tensors[f"blk.{layer}.{name}.weight"] = matrix(*shape, 0.25)
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = 1 + matrix(1, WIDTH, 0.1)[0]
    tensors["output.weight"][END] = 0  # its logit is 0: never the highest, so runs go on
    return tensors


def add_letters(
    writer: gguf.GGUFWriter,
    chat_template: str = "",
    letters: str = LETTERS,
    tokenizer: str = "llama",
) -> None:
    """A tokenizer whose tokens are letters, and a chat template."""
    writer.add_string("tokenizer.ggml.model", tokenizer)
    # SPM: <unk>, <s>, </s>, then letters of their own, none twice (twice aborts the process).
    pieces = ["<unk>", "<s>", "</s>", *letters]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.NORMAL] * (VOCABULARY - 3)
    writer.add_token_list(pieces)
    writer.add_token_scores([-float(i) for i in range(VOCABULARY)])
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(False)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if chat_template:
        writer.add_chat_template(chat_template)


def write(
    path: Path,
    *,
    parts: int = 1,
    leave_out: str = "",
    chat_template: str = "",
    name: str = "tiny",
    letters: str = LETTERS,
    context: int = CONTEXT,
    tokenizer: str = "llama",
) -> Path:
    """Write the model; the path of its (first) file.

    `leave_out` is a tensor to omit, `all` for every one; `letters` are its pieces, a character
    each; `context` is what it says to be trained for, `tokenizer` what it says to read them.
    """
    # A split puts as many tensors in each part, in this order: the table is in the last.
    tensors = dict(sorted(weights().items(), key=lambda item: item[0] == "token_embd.weight"))
    limit = -(-len(tensors) // parts) if parts > 1 else 0
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=limit)
    writer.add_name(name)
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(BASE)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(VOCABULARY)
    add_letters(writer, chat_template, letters, tokenizer)
    for name, tensor in tensors.items():
        if leave_out in (name, "all"):
            continue
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path if parts == 1 else path.with_name(f"{path.stem}-00001-of-{parts:05d}.gguf")
