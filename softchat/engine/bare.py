"""The floor that speed is measured against: llama.cpp decoding one token after another, no more."""

from __future__ import annotations

import time
from pathlib import Path

import llama_cpp

from softchat.engine.threads import default_threads
from softchat.errors import ModelRefusedError


class BareContext:
    """A model and a context as any program would make them, and a loop of `llama_decode`."""

    def __init__(self, path: Path, *, n_ctx: int, n_threads: int = 0) -> None:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(bytes(path), params)
        if not self._model:
            raise ModelRefusedError("llama.cpp can't load the model", hint="try 'softchat ask'")
        sizes = llama_cpp.llama_context_default_params()
        sizes.n_ctx = n_ctx
        sizes.n_batch = sizes.n_ubatch = 512
        sizes.n_threads = sizes.n_threads_batch = n_threads or default_threads()
        sizes.no_perf = True
        self._context = llama_cpp.llama_init_from_model(self._model, sizes)

    def run(self, tokens: list[int], steps: int) -> float:
        """Seconds for `steps` decodes of single tokens behind a prompt of these tokens."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), False)
        prompt = (llama_cpp.llama_token * len(tokens))(*tokens)
        llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(prompt, len(tokens)))
        token = (llama_cpp.llama_token * 1)(tokens[-1])
        began = time.perf_counter()
        for _ in range(steps):
            llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(token, 1))
        llama_cpp.llama_synchronize(self._context)
        return time.perf_counter() - began

    def close(self) -> None:
        """Free both."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)
