"""LoRA adapters (arXiv 2106.09685) on a loaded model: checked by their headers, then applied.

An adapter adds a product of two thin matrices to each weight it names. One that changes the token
embeddings is refused: a soft step mixes rows of the file's own matrix.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from softchat.base.text import one_line
from softchat.engine.describe import check_adapter
from softchat.engine.gguf import TensorNotFoundError, open_header
from softchat.engine.library import llama_cpp
from softchat.engine.native import reason
from softchat.engine.protocol import Lora
from softchat.errors import ModelRefusedError


def apply_adapters(model: int, context: int, architecture: str, loras: Sequence[Lora]) -> None:
    """Have the context add these adapters to the model's weights; the model frees them.

    Raises:
        ModelRefusedError: a file is no LoRA adapter for this model, or changes its embeddings.

    """
    if not loras:
        return
    handles = [_load(model, architecture, lora) for lora in loras]
    adapters = (ctypes.c_void_p * len(handles))(*handles)
    scales = (ctypes.c_float * len(handles))(*(lora.scale for lora in loras))
    native = ctypes.cast(adapters, ctypes.POINTER(llama_cpp.llama_adapter_lora_p_ctypes))
    if code := llama_cpp.llama_set_adapters_lora(context, native, len(handles), scales):
        raise ModelRefusedError(
            f"llama.cpp can't apply the adapters (code {code}): {reason()}",
            hint="try without --lora",
        )


def _load(model: int, architecture: str, lora: Lora) -> int:
    shown = one_line(lora.path.name)
    with open_header(lora.path) as header:
        check_adapter(header, architecture)
        try:
            header.tensor("token_embd.weight.lora_a")
        except TensorNotFoundError:
            pass
        else:
            raise ModelRefusedError(
                f"the adapter {shown} changes the token embeddings, which soft steps mix",
                hint="merge it into the model, or train it without them",
            )
    handle = llama_cpp.llama_adapter_lora_init(model, bytes(lora.path))
    if not handle:
        raise ModelRefusedError(
            f"llama.cpp can't load the adapter {shown}: {reason()}",
            hint="was it made for this very model?",
        )
    return (
        int(handle) if isinstance(handle, int) else ctypes.cast(handle, ctypes.c_void_p).value or 0
    )
