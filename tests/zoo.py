"""Tiny models of many architectures: random float32 weights, always the same, as GGUF files.

Only the keys of a header are written down here. Which tensors an architecture has, and their
shapes, llama.cpp says itself: given keys alone it builds the model, and asks for the data of each
tensor. The keys follow llama.cpp's own tests/test-llama-archs.cpp.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

from softchat.engine.gguf import _InitParams, _library
from tests import tiny

VOCABULARY, WIDTH, HEADS, HIDDEN, LAYERS, CONTEXT, WINDOW = tiny.VOCABULARY, 32, 2, 48, 2, 512, 8
HEAD = WIDTH // HEADS

Keys = dict[str, Any]
"""Keys without the architecture's name before them; None leaves a key out."""
_PLAIN = ("xielu.", "tokenizer.", "split.")  # keys that no architecture's name stands before

# What every header gets: an architecture reads those that it knows.
COMMON: Keys = {
    "vocab_size": VOCABULARY,
    "context_length": CONTEXT,
    "embedding_length": WIDTH,
    "block_count": LAYERS,
    "feed_forward_length": HIDDEN,
    "leading_dense_block_count": 1,
    "use_parallel_residual": False,
    "logit_scale": 1.0,
    "residual_scale": 1.0,
    "full_attention_interval": 2,
    "attention.head_count": HEADS,
    "attention.head_count_kv": HEADS,
    "attention.max_alibi_bias": 8.0,
    "attention.clamp_kqv": 1.0,
    "attention.layer_norm_epsilon": 1e-5,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "attention.group_norm_epsilon": 1e-5,
    "attention.group_norm_groups": 8,
    "attention.relative_buckets_count": 8,
    "attention.sliding_window": WINDOW,
    "attention.sliding_window_pattern": 2,
    "attention.q_lora_rank": 16,
    "attention.kv_lora_rank": 16,
    "attention.decay_lora_rank": 8,
    "attention.iclr_lora_rank": 8,
    "attention.value_residual_mix_lora_rank": 8,
    "attention.gate_lora_rank": 8,
    "attention.indexer.head_count": 4,
    "attention.indexer.key_length": 64,
    "attention.indexer.top_k": 1 << 17,
    "attention.indexer.block_size": 4,
    "attention.indexer.local_blocks": 1,
    "attn_res.block_size": 12,
    "activation.situ_beta": 4.0,
    "activation.situ_linear_beta": 25.0,
    "xielu.alpha_n": 1.0,
    "xielu.alpha_p": 1.0,
    "xielu.beta": 1.0,
    "xielu.eps": 1e-7,
    "time_mix_extra_dim": 16,
    "time_decay_extra_dim": 16,
    "token_shift_count": 2,
    "wkv.head_size": HEAD,
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 2 * WIDTH,
    "ssm.state_size": 16,
    "ssm.time_step_rank": HEADS,
    "ssm.group_count": 2,
    "kda.head_dim": 16,
    "kda.gate_lower_bound": -5.0,
    "kda.safe_gate": True,
    "shortconv.l_cache": 3,
    "tokenizer.ggml.token_type_count": 2,
}
_MOE: Keys = {
    "expert_count": 4,
    "expert_used_count": 2,
    "expert_shared_count": 1,
    "expert_feed_forward_length": HIDDEN,
    "expert_shared_feed_forward_length": HIDDEN // 2,
    "expert_latent_length": HIDDEN,
    "expert_gating_func": 2,
    "expert_group_scale": 1.0,
    "expert_weights_scale": 1.0,
    "expert_weights_norm": True,
    "experts_per_group": 1,
    "interleave_moe_layer_step": 2,
    "swiglu_clamp_exp": 10.0,
}
_HYBRID: Keys = {"attention.head_count": [HEADS, 0], "attention.head_count_kv": [HEADS, 0]}
_MLA: Keys = {
    "attention.head_count_kv": 1,
    "attention.key_length": 24,
    "attention.value_length": 16,
    "attention.key_length_mla": 24,
    "attention.value_length_mla": 16,
    "rope.dimension_count": 8,
}
_MLA_HYBRID: Keys = _MLA | {"attention.head_count": [HEADS, 0], "attention.head_count_kv": [1, 0]}
_EVERY_OTHER: Keys = {"attention.sliding_window_pattern": [1, 0]}
_SECTIONS: Keys = {"rope.dimension_sections": [HEAD // 4] * 4}
_DELTA: Keys = _SECTIONS | {"ssm.inner_size": WIDTH}
_HYPER: Keys = {
    "hyper_connection.count": 4,
    "hyper_connection.epsilon": 1e-6,
    "hyper_connection.sinkhorn_iterations": 2,
    "hyper_connection.magnitude": 2.0,
    "hyper_connection.low_rank": 8,
}
# With smaller heads ggml's vectors reach beyond them.
_RWKV: Keys = {"embedding_length": 64, "wkv.head_size": 64, "attention.head_count_kv": 1}
_GRANITE: Keys = {"embedding_scale": 6.0, "residual_scale": 0.5, "attention.scale": 0.1}
_NEMOTRON: Keys = {
    "block_count": 3,
    "feed_forward_length": [0, 0, HIDDEN],
    "attention.head_count": [HEADS, 0, HEADS],
    "attention.head_count_kv": [HEADS, 0, HEADS],
}
_DEEPSEEK4: Keys = (
    _MOE
    | _HYPER
    | {
        "block_count": 4,
        "embedding_length": 64,
        "attention.head_count": 8,
        "attention.head_count_kv": 1,
        "attention.key_length": 64,
        "attention.value_length": 64,
        "rope.dimension_count": 32,
        "attention.output_group_count": 8,
        "attention.output_lora_rank": 8,
        "attention.compress_ratios": [0, 0, 4, 128],
        "attention.compress_rope_freq_base": 160000.0,
        "hash_layer_count": 0,
        "expert_gating_func": 4,
    }
)

# The first word is the architecture; what follows tells models of one architecture apart.
MODELS: dict[str, Keys] = {
    "afmoe": _MOE,
    "apertus": {},
    "arcee": {},
    "arctic": _MOE,
    "arwkv7": _RWKV | {"token_shift_count": 1},
    "baichuan": {},
    "bailingmoe": _MOE,
    "bailingmoe2": _MOE,
    "bailingmoe3": _MOE
    | _MLA_HYBRID
    | {
        "swiglu_clamp_exp": [0.0, 4.0],
        "swiglu_clamp_shexp": [0.0, 5.0],
        "rope.dimension_sections": [1, 2, 1, 0],
    },
    "bert": {},
    "bitnet": {},
    "bloom": {},
    "chatglm": {},
    "codeshell": {},
    "cogvlm": {},
    "cohere2": {},
    "cohere2moe": _MOE | _EVERY_OTHER,
    "command-r": {},
    "dbrx": _MOE,
    "deci": {},
    "deepseek": _MOE,
    "deepseek2": _MOE | _MLA,
    "deepseek2-ocr": _MOE,
    "deepseek32": _MOE | _MLA,
    "deepseek4 (image routing)": _DEEPSEEK4,
    "deepseek4 (hash routing)": _DEEPSEEK4 | {"hash_layer_count": 2},
    "dots1": _MOE,
    "dream": {},
    "ernie4_5": {},
    "ernie4_5-moe": _MOE,
    "eurobert": {},
    "exaone": {},
    "exaone-moe": _MOE,
    "exaone4": {},
    "falcon": {},
    "falcon-h1": {},
    "gemma": {},
    "gemma-embedding": {},
    "gemma2": {},
    "gemma3": {},
    "gemma3n": {"block_count": 22},
    "gemma4": {
        "block_count": 5,
        "embedding_length_per_layer_input": 16,
        "attention.shared_kv_layers": 0,
        "attention.key_length_swa": HEAD,
        "attention.value_length_swa": HEAD,
        "rope.freq_base_swa": 10000.0,
        "attention.sliding_window_pattern": [1, 1, 1, 1, 0],
    },
    "gemma4 (no per-layer input)": {
        "block_count": 5,
        "embedding_length_per_layer_input": 0,
        "attention.shared_kv_layers": 0,
        "attention.key_length_swa": HEAD,
        "attention.value_length_swa": HEAD,
        "rope.freq_base_swa": 10000.0,
        "attention.sliding_window_pattern": [1, 1, 1, 1, 0],
    },
    "glm-dsa": _MOE | _MLA,
    "glm4": {},
    "glm4 (M-RoPE)": _SECTIONS,
    "glm4moe": _MOE,
    "glm4moe (M-RoPE)": _MOE | _SECTIONS,
    "gpt-oss": _MOE,
    "gpt2": {},
    "gptneox": {},
    "granite": _GRANITE,
    "granite (deepstack)": _GRANITE | {"deepstack_mapping": [0, -1]},
    "granite_swa": _EVERY_OTHER,
    "granitehybrid": _HYBRID,
    "granitemoe": _MOE | _GRANITE,
    "graniteswitch": _GRANITE
    | {
        "adapters.count": 2,
        "adapters.lora_rank": 4,
        "adapters.token_ids_activate": [90, 91],
        "adapters.token_ids_substitute": [3, 4],
    },
    "grok": _MOE,
    "grovemoe": _MOE,
    "hrm_text": {"block_count": 6, "hrm.layers_per_stack": 1, "hrm.h_cycles": 2, "hrm.l_cycles": 2},
    "hunyuan-dense": {},
    "hunyuan-moe": _MOE,
    "hunyuan_vl": _SECTIONS,
    "hy_v3": _MOE,
    "hy_v4": _MOE | _MLA | _HYPER | {"attention.indexer.types": [1, 0]},
    "internlm2": {},
    "jais": {},
    "jais2": {},
    "jamba": _HYBRID,
    "jina-bert-v2": {},
    "jina-bert-v3": {},
    "kimi-k3": _MOE | _MLA_HYBRID,
    "kimi-linear": _MOE | _MLA_HYBRID,
    "laguna": _MOE,
    "lfm2": _HYBRID,
    "lfm2moe": _MOE | _HYBRID,
    "llada": {},
    "llada-moe": _MOE,
    "llama": {},
    "llama (experts)": _MOE,
    "llama-embed": {},
    "llama4": _MOE | {"block_count": 4},
    "maincoder": {},
    "mamba": {},
    "mamba2": {},
    "maple": _MOE | _EVERY_OTHER,
    "mellum": _MOE,
    "mimo2": _MOE | _EVERY_OTHER,
    "minicpm": {},
    "minicpm3": {},
    "minimax-01": _MOE,
    "minimax-m2": _MOE,
    "minimax-m3": _MOE | {"attention.indexer.head_count": HEADS},
    "mistral3": {},
    "mistral4": _MOE | _MLA,
    "modern-bert": {},
    "mpt": {},
    "muse-glimmer": {},
    "nanbeige": {},
    "nemotron": {},
    "nemotron_h": _NEMOTRON,
    "nemotron_h_moe": _MOE | _NEMOTRON,
    "neo-bert": {},
    "nomic-bert": {},
    "nomic-bert-moe": _MOE | {"moe_every_n_layers": 2},
    "olmo": {},
    "olmo2": {},
    "olmoe": _MOE,
    "openelm": {},
    "orion": {},
    "paddleocr": _MOE | _SECTIONS,
    "pangu-embedded": {},
    "phi2": {},
    "phi3": {},
    "phimoe": _MOE,
    "plamo": {},
    "plamo2": _HYBRID | {"ssm.group_count": 0},
    "plamo3": {},
    "qwen": {},
    "qwen2": {},
    "qwen2moe": _MOE,
    "qwen2vl": _SECTIONS,
    "qwen3": {},
    "qwen35": _DELTA,
    "qwen35moe": _MOE | _DELTA,
    "qwen3moe": _MOE,
    "qwen3next": _MOE | _DELTA,
    "qwen3vl": _SECTIONS,
    "qwen3vl (deepstack)": _SECTIONS | {"n_deepstack_layers": 1},
    "qwen3vlmoe": _MOE | _SECTIONS,
    "qwen4exp": _MOE
    | _DELTA
    | _HYPER
    | {
        "attention.compress_ratios": [4, 4],
        "attention.indexer.key_length": HEAD,
        "ple.layers": [0],
        "ple.ngram_size": 3,
        "ple.heads_per_ngram": 2,
        "ple.conv_kernel": 4,
        "ple.eos_token_id": 0,
        "ple.layer_multipliers": np.array([1, 3, 5], np.uint64),
        "ple.head_offsets": np.arange(4, dtype=np.uint64) * VOCABULARY,
        "ple.head_vocab_sizes": np.full(4, VOCABULARY, np.uint64),
        "embedding_length_per_layer_input": 8,
    },
    "refact": {},
    "rnd1": _MOE,
    "rwkv6": _RWKV,
    "rwkv7": _RWKV,
    "seed_oss": {},
    "smallthinker": _MOE,
    "smollm3": {},
    "spark2_5": _EVERY_OTHER,
    "stablelm": {},
    "starcoder": {},
    "starcoder2": {},
    "step35": _MOE | _EVERY_OTHER,
    "t5": {},
    "t5encoder": {},
    "talkie": {},
    "xverse": {},
}


def write(
    path: Path,
    model: str,
    *,
    chat_template: str = "",
    table_type: int = 0,
    tied: bool = False,
    without: tuple[str, ...] = (),
    letters: str = tiny.LETTERS,
    **more: Any,
) -> Path:
    """Write the tiny model.

    Args:
        path: the file.
        model: a name in the table.
        chat_template: as the file carries it.
        table_type: `enum ggml_type` of the token embeddings.
        tied: whether these are the output matrix too.
        without: ends of names of tensors that llama.cpp can do without, and shall.
        letters: its pieces, a character each.
        more: keys of the header that differ from the table's.

    Raises:
        ValueError: llama.cpp does not build it from these keys.

    """
    architecture = model.split()[0]
    keys = COMMON | MODELS[model] | more
    write_file(path, architecture, keys, {}, chat_template)
    wanted = {n: shape for n, shape in _wanted(path).items() if not n.endswith(without)}
    tensors = {name: _data(name, shape) for name, shape in wanted.items()}
    if tied:
        del tensors["output.weight"]
    write_file(path, architecture, keys, tensors, chat_template, table_type, letters)
    return path


def write_file(
    path: Path,
    architecture: str,
    keys: Keys,
    tensors: dict[str, np.ndarray],
    chat_template: str = "",
    table_type: int = 0,
    letters: str = tiny.LETTERS,
) -> None:
    """Write a GGUF file with these keys and tensors, and a tokenizer of letters."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in keys.items():
        name = key if key.startswith(_PLAIN) else f"{architecture}.{key}"
        if isinstance(value, np.ndarray):
            sub_type = gguf.GGUFValueType.UINT64
            writer.add_key_value(name, value.tolist(), gguf.GGUFValueType.ARRAY, sub_type)
        else:
            add: dict[type, Callable[[str, Any], None]] = {
                bool: writer.add_bool,
                int: writer.add_uint32,
                float: writer.add_float32,
                list: writer.add_array,
            }
            add[type(value)](name, value)
    tiny.add_letters(writer, chat_template, letters)
    for name, data in tensors.items():
        if table_type and name == "token_embd.weight":
            writer.add_tensor(name, quantised(data, table_type), raw_dtype=table_type)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_IQ1_M = 29
_SLOW = (16, 17, 19, 22, _IQ1_M)  # iq2_xxs, iq2_xs, iq1_s, iq2_s


def quantised(matrix: np.ndarray, kind: int) -> np.ndarray:
    """The rows as bytes of this type, by ggml's own quantisation, all columns equally important.

    iq1_* and iq2_*, for which ggml builds tables for half a minute, are random bytes: any are valid
    if a block's scale, a float16, is a small number.
    """
    lib = _library()
    lib.ggml_row_size.restype = lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    lib.ggml_quantize_chunk.argtypes = [
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p),
    ]
    rows, columns = matrix.shape
    if kind in _SLOW:
        size = lib.ggml_row_size(kind, 256)
        blocks = np.random.default_rng(kind).integers(
            0, 256, (rows, columns // 256, size), np.uint8
        )
        if kind == _IQ1_M:  # four bits of the scale at the end of each of the last four words
            blocks[..., 49::2] = [0xF0, 0x10, 0x50, 0x20]  # 0x251f
        else:
            blocks[..., :2] = np.array([0.02], np.float16).view(np.uint8)
        return blocks.reshape(rows, -1)
    out = np.zeros((rows, lib.ggml_row_size(kind, columns)), np.uint8)
    important = np.ones(columns, np.float32)
    pointers = [array.ctypes.data for array in (matrix, out, important)]
    lib.ggml_quantize_chunk(kind, *pointers[:2], 0, rows, columns, pointers[2])
    return out


class _Tensor(ctypes.Structure):
    """The beginning of `struct ggml_tensor`."""

    _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4))


def _wanted(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes (numpy's order) of the tensors that llama.cpp wants for this header."""
    lib = _library()
    lib.ggml_get_name.restype, lib.ggml_get_name.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    wanted: dict[str, tuple[int, ...]] = {}

    @llama_cpp.llama_model_set_tensor_data_t
    def ask(tensor, _):
        ne = list(_Tensor.from_address(tensor).ne)
        while len(ne) > 1 and ne[-1] == 1:
            ne.pop()
        wanted[lib.ggml_get_name(tensor).decode()] = tuple(reversed(ne))

    header = lib.gguf_init_from_file(bytes(path), _InitParams(no_alloc=True, ctx=None))
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama_cpp.llama_model_init_from_user(header, ask, None, params)
    lib.gguf_free(header)
    if not model:
        raise ValueError(f"llama.cpp builds no model of {path}")
    llama_cpp.llama_model_free(model)
    return {name: shape for name, shape in wanted.items() if not name.endswith("scale")}


def _data(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if "tid2eid" in name:
        return rng.integers(0, 4, shape, np.int32)  # experts of a token
    noise = rng.standard_normal(shape).astype(np.float32)
    if name.startswith("rope_") or ".rope_" in name:
        return np.ones(shape, np.float32)  # factors of frequencies
    if "ssm_a" in name:
        return -np.abs(noise)  # decays
    if name.startswith("token_embd."):
        return noise * np.float32(0.1)  # or else a tied model says again what it was told
    if name.endswith("norm.weight"):
        return 1 + noise * np.float32(0.1)
    if len(shape) == 1:
        return noise * np.float32(0.1)
    return noise * np.float32(1.4 / np.sqrt(shape[-1]))
