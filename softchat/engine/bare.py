"""The floor that speed is measured against: llama.cpp decoding one token after another, no more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from softchat.engine.adapters import apply_adapters
from softchat.engine.gguf import open_header
from softchat.engine.library import llama_cpp
from softchat.engine.native import forget_errors, load_model, reason
from softchat.engine.offload import Offload
from softchat.engine.placement import BY_DEFAULT, CACHE_TYPES, FLASH_ATTENTION, Placement
from softchat.engine.protocol import BATCH, Lora
from softchat.engine.threads import default_threads
from softchat.errors import DecodeError, ModelRefusedError


class BareContext:
    """A model and a context as any program would make them, and a loop of `llama_decode`.

    Raises:
        ModelRefusedError: the model can't be loaded, or the context not be made.

    """

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        n_threads: int = 0,
        placement: Placement = BY_DEFAULT,
        loras: Sequence[Lora] = (),
    ) -> None:
        offload = Offload(path, placement, n_ctx=n_ctx, n_ctx_most=n_ctx)
        self._model = load_model(
            path, n_gpu_layers=offload.layers, devices=offload.handles, cancelled=lambda: False
        )
        if not self._model:
            raise ModelRefusedError("llama.cpp can't load the model", hint="try 'softchat ask'")
        sizes = llama_cpp.llama_context_default_params()
        sizes.n_ctx = n_ctx
        sizes.n_batch = sizes.n_ubatch = BATCH
        sizes.n_threads = sizes.n_threads_batch = n_threads or default_threads()
        sizes.type_k = sizes.type_v = CACHE_TYPES[placement.cache_type].number
        sizes.flash_attn_type = FLASH_ATTENTION[placement.flash_attn]
        sizes.no_perf = True
        forget_errors()
        self._context = llama_cpp.llama_init_from_model(self._model, sizes)
        if not self._context:
            llama_cpp.llama_model_free(self._model)
            raise ModelRefusedError(
                f"llama.cpp can't make a context of {n_ctx}: {reason()}",
                hint="a shorter one needs less memory",
            )
        if loras:
            with open_header(path) as header:
                architecture = header.string("general.architecture") or ""
            apply_adapters(self._model, self._context, architecture, loras)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._filled = 0

    def fill(self, tokens: list[int]) -> None:
        """Begin anew, with these tokens as the prompt."""
        llama_cpp.llama_memory_clear(self._memory, False)
        for first in range(0, len(tokens), BATCH):
            self._decode(tokens[first : first + BATCH])
        self._filled = len(tokens)

    def run(self, token: int, steps: int) -> float:
        """Seconds for `steps` decodes of this token behind the prompt; they are forgotten again."""
        began = time.perf_counter()
        for _ in range(steps):
            self._decode([token])
        llama_cpp.llama_synchronize(self._context)
        elapsed = time.perf_counter() - began
        llama_cpp.llama_memory_seq_rm(self._memory, 0, self._filled, -1)
        return elapsed

    def _decode(self, tokens: list[int]) -> None:
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        batch = llama_cpp.llama_batch_get_one(array, len(tokens))
        if code := llama_cpp.llama_decode(self._context, batch):
            raise DecodeError(f"llama.cpp failed with code {code}", hint="fewer --steps")

    def close(self) -> None:
        """Free both."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


class ChatCompletion:
    """llama-cpp-python's own chat, as its users call it."""

    def __init__(self, path: Path, *, n_ctx: int) -> None:
        n_threads = default_threads()
        self._llama = llama_cpp.Llama(str(path), n_ctx=n_ctx, n_threads=n_threads, verbose=False)

    def run(self, question: str, tokens: int) -> float | None:
        """Seconds a token of its streamed answer takes; None if it says nearly nothing."""
        stream = self._llama.create_chat_completion(
            [{"role": "user", "content": question}], max_tokens=tokens, stream=True
        )
        times = [
            time.perf_counter() for chunk in stream if "content" in chunk["choices"][0]["delta"]
        ]
        return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 8 else None

    def close(self) -> None:
        """Free it."""
        self._llama.close()
