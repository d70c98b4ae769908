"""What the header of a GGUF file says about its model. Loads no weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from softchat.base.text import one_line
from softchat.engine.gguf import Header, all_parts, find_matrix, open_header
from softchat.engine.placement import CACHE_TYPES
from softchat.engine.shortage import way_out
from softchat.errors import ModelRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A model, by its header. None where the header does not say."""

    name: str | None
    architecture: str | None
    licence: str | None
    parameters: int
    parts: int
    file_bytes: int
    """Of all parts together, as `parameters` and `types`."""
    types: tuple[str, ...]
    """Tensor types, the one with the most bytes first."""
    table_type: str | None
    """The type of the token embeddings."""
    n_vocab: int | None
    n_embd: int | None
    n_layer: int | None
    context: int | None
    """Positions that it was trained for."""
    chat_template: str | None
    kv_values_per_position: int | None
    """Numbers in the KV cache, in which sliding windows are kept in full too."""
    layer_bytes: tuple[int, ...] = ()
    """Weights of each layer, the first first."""
    missing_bytes: int = 0
    """What the files lack of what their headers promise: they were cut short."""
    output_bytes: int = 0
    """The output matrix, which some models share with the token embeddings."""

    def cache_bytes_per_position(self, cache_type: str = "f16") -> int:
        """What a position takes in a KV cache of this type; 0 where it can't be told."""
        return int((self.kv_values_per_position or 0) * CACHE_TYPES[cache_type].size)

    def memory(self, n_ctx: int, cache_type: str = "f16") -> int | None:
        """Bytes for weights and KV cache at this context; buffers come on top."""
        if self.kv_values_per_position is None:
            return None
        return self.file_bytes + n_ctx * self.cache_bytes_per_position(cache_type)


def describe(path: Path) -> Description:
    """Read the header of the GGUF file at `path`.

    Raises:
        ModelRefusedError: it isn't a GGUF file, or its header is damaged, or a part is missing.

    """
    with open_header(path) as first:
        parts = all_parts(path, first.integer("split.count") or 1)
    with ExitStack() as stack:
        headers = [stack.enter_context(open_header(part)) for part in parts]
        header = headers[0]
        architecture = header.string("general.architecture")
        table = next(filter(None, map(find_matrix, headers)), None)
        return Description(
            name=header.string("general.name"),
            architecture=architecture,
            licence=header.string("general.license"),
            parameters=sum(one.n_parameters for one in headers),
            parts=len(parts),
            file_bytes=sum(part.stat().st_size for part in parts),
            types=_types(headers),
            table_type=str(table.traits.type_name, "ascii") if table else None,
            n_vocab=table.shape[0] if table else None,
            n_embd=header.integer(f"{architecture}.embedding_length"),
            n_layer=header.integer(f"{architecture}.block_count"),
            context=header.integer(f"{architecture}.context_length"),
            chat_template=header.string("tokenizer.chat_template"),
            kv_values_per_position=_kv_values(header, architecture),
            layer_bytes=_layers(headers),
            missing_bytes=sum(max(0, one.n_bytes - one.path.stat().st_size) for one in headers),
            output_bytes=sum(one.tensor_bytes("output.weight") for one in headers)
            or (table.size if table else 0),
        )


def memory_hint(path: Path, n_ctx: int, n_ctx_most: int, cache_type: str = "f16") -> str:
    """How much memory a model needs, and what needs less.

    Args:
        path: the model's file.
        n_ctx: positions of context; 0: what the model was trained for, at most `n_ctx_most`.
        n_ctx_most: see there.
        cache_type: how its KV cache is kept.

    """
    try:
        about = describe(path)
    except ModelRefusedError as error:  # too little even for the header, if there was one
        return f"{way_out(path.stat().st_size)}; or {error.hint}"
    n_ctx = n_ctx or min(about.context or n_ctx_most, n_ctx_most)
    needed = about.memory(n_ctx, cache_type)
    return way_out(about.file_bytes) if needed is None else way_out(needed, n_ctx)


def _types(headers: Sequence[Header]) -> tuple[str, ...]:
    sizes: Counter[str] = Counter()
    for header in headers:
        sizes.update(header.type_sizes())
    return tuple(name for name, _ in sizes.most_common())


def _layers(headers: Sequence[Header]) -> tuple[int, ...]:
    sizes: Counter[int] = Counter()
    for header in headers:
        sizes.update(header.layer_bytes())
    return tuple(sizes[layer] for layer in range(max(sizes, default=-1) + 1))


def _kv_values(header: Header, architecture: str | None) -> int | None:
    layers, width, heads, kv_heads, key, value = (
        header.integer(f"{architecture}.{name}")
        for name in (
            "block_count", "embedding_length", "attention.head_count",
            "attention.head_count_kv", "attention.key_length", "attention.value_length",
        )
    )  # fmt: skip
    if not (layers and width and heads):
        return None
    if kv_heads is None:
        kv_heads = heads  # not said, or one for each layer: this many at the most
    per_head = (key or width // heads) + (value or width // heads)
    return layers * kv_heads * per_head


def check_adapter(header: Header, architecture: str) -> None:
    """Raise ModelRefusedError if a file is no LoRA adapter for models of this architecture."""
    shown = one_line(header.path.name)
    if header.string("adapter.type") != "lora":
        raise ModelRefusedError(
            f"{shown} is no LoRA adapter", hint="--lora takes a GGUF of type adapter"
        )
    its = header.string("general.architecture") or "unknown"
    if its != architecture:
        raise ModelRefusedError(
            f"the adapter {shown} is for {one_line(its)} models, this is {one_line(architecture)}",
            hint="name the model that it was trained on with -m",
        )
