"""Decoding: tokens or embedding rows into one sequence of a native context, logits out; rollback.

Every embedding is checked before native code sees it: a narrow row would be read beyond its end,
and a NaN would poison the KV cache, both with return code 0. Native return codes get their names
here.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from softchat.base.arrays import Floats
from softchat.engine.checkpoints import Checkpoints
from softchat.engine.library import llama_cpp
from softchat.engine.native import Asked, Context, reason
from softchat.errors import (
    BROKEN_NUMBERS,
    ContextError,
    DecodeAbortedError,
    DecodeError,
    NumericsError,
)

_ABORTED = 2  # return code of a decode that the abort callback stopped
# What the others mean, and a way out.
_CODES = {
    1: ("no room in its memory", "give it more with --ctx, or shorten the question"),
    -1: ("a batch that is none", "this is a bug in softchat"),
    -2: ("out of memory", "a smaller --ctx needs less"),
}
# Asking Python for leave to go on costs 0.13 ms a decode (it is asked once a graph node), so it is
# only done where a decode takes long enough for someone to wait for it.
_SLOW_DECODE_S = 0.02
# A turn comes back to a place near the end of its prompt: the next one has all of it but the open
# thinking tag, and an answer where the thoughts stood.
_TAIL = 32  # tokens


class Decoder:
    """The first sequence of a context, with a KV cache that can be rolled back.

    Args:
        model: the native model.
        context: made for it; closed by whoever made it.
        cancelled: asked while a decode runs; True stops it within milliseconds.

    """

    def __init__(self, model: int, context: Context, cancelled: Callable[[], bool]) -> None:
        self.context = context
        """The native context, for who decodes on its other sequences."""
        self.can_cut = not (
            llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model)
        )
        """Whether the memory of a sequence can be cut anywhere; recurrent states can't."""
        self._width = int(llama_cpp.llama_model_n_embd(model))
        self._n_ctx = int(llama_cpp.llama_n_ctx_seq(context.handle))
        self._position = 0
        self._slow = True
        self._checkpoints = None if self.can_cut else Checkpoints(context.handle)
        self._asked = Asked(cancelled)
        self._on_abort = llama_cpp.ggml_abort_callback(self._asked.answer)
        self._no_abort = llama_cpp.ggml_abort_callback()
        self._watched = False

    @property
    def position(self) -> int:
        """How many positions the sequence has, which is the next one to be written."""
        return self._position

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """Append tokens; the logits behind the last one, (V,), valid until the next call.

        Raises:
            ContextError: they don't fit.
            DecodeError: llama.cpp failed.
            DecodeAbortedError: `cancelled` said so; the sequence is rolled back to before.

        """
        if not tokens:
            raise ValueError("no tokens to decode")
        self.check_room(self._position + len(tokens))
        start = self._position
        if self._checkpoints and len(tokens) > _TAIL:
            self._decode_batches(tokens[:-_TAIL], start, logits=False)
            self._checkpoints.save(self._position)
            tokens = tokens[-_TAIL:]
        self._decode_batches(tokens, start)
        logits = self.context.logits()
        if len(tokens) > 1:
            # A run stands behind its prompt until it is asked for more: the model may be freed by
            # then. Behind a step it has read them already, and none is copied there.
            logits = logits.copy()
            logits.flags.writeable = False
        return logits

    def _decode_batches(self, tokens: Sequence[int], undo_to: int, *, logits: bool = True) -> None:
        size = self.context.n_batch
        for first in range(0, len(tokens), size):
            last = first + size >= len(tokens)
            self.decode(tokens[first : first + size], undo_to, logits=logits and last)

    def decode_embedding(self, embedding: Floats) -> Floats:
        """Append one position that holds this embedding. Raises as `decode_tokens` does.

        Raises:
            ValueError: it is not (D,) float32.
            NumericsError: it is not finite.

        """
        self.check_embedding(embedding)
        self.check_room(self._position + 1)
        self.decode([embedding], self._position)
        return self.context.logits()

    def rollback(self, position: int) -> None:
        """Forget all from `position` on.

        What can't be cut there (recurrent states) goes back to a checkpoint before it, or to the
        beginning: `position` tells.

        Raises:
            ValueError: it is negative.

        """
        if position < 0:
            raise ValueError(f"there is no position {position}")
        if position >= self._position:
            return
        memory = llama_cpp.llama_get_memory(self.context.handle)
        if self._checkpoints:
            self._position = self._checkpoints.go_back(position)
        elif position and llama_cpp.llama_memory_seq_rm(memory, 0, position, -1):
            self._position = position
        else:
            llama_cpp.llama_memory_clear(memory, False)  # its cells; what they held is masked
            self._position = 0

    def save_state(self) -> bytes:
        """A copy of what the sequence holds in the KV cache, for `load_state`."""
        handle = self.context.handle
        size = int(llama_cpp.llama_state_seq_get_size(handle, 0))
        buffer = (ctypes.c_uint8 * size)()
        written = int(llama_cpp.llama_state_seq_get_data(handle, buffer, size, 0))
        return bytes(memoryview(buffer)[:written])

    def load_state(self, state: bytes, position: int) -> None:
        """Hold what `save_state` copied, with so many positions.

        Raises:
            DecodeError: llama.cpp does not take it; the sequence is empty then.

        """
        self.rollback(0)
        self.check_room(position)
        handle, size = self.context.handle, len(state)
        buffer = (ctypes.c_uint8 * size).from_buffer_copy(state)
        memory = llama_cpp.llama_get_memory(handle)
        taken = llama_cpp.llama_state_seq_set_data(handle, buffer, size, 0) == size
        # What is no copy of anything, as nothing at all, may be taken without a word.
        if not taken or llama_cpp.llama_memory_seq_pos_max(memory, 0) != position - 1:
            llama_cpp.llama_memory_clear(memory, False)
            raise DecodeError("llama.cpp does not take this KV cache", hint="it is read anew")
        self._position = position

    def check_embedding(self, embedding: Floats) -> None:
        """Raise ValueError unless it is (D,) float32, NumericsError unless it is finite."""
        if embedding.shape != (self._width,) or embedding.dtype != np.float32:
            raise ValueError(
                f"an embedding is ({self._width},) float32, not {embedding.shape} {embedding.dtype}"
            )
        if not np.isfinite(embedding).all():
            raise NumericsError("an embedding holds NaN or infinity", hint=BROKEN_NUMBERS)

    def check_room(self, positions: int) -> None:
        """Raise ContextError unless a sequence can have this many positions."""
        if positions > self._n_ctx:
            raise ContextError(
                f"{positions} tokens don't fit into a context of {self._n_ctx}",
                hint="shorten the question, or give more with --ctx",
            )

    def decode(self, items: Sequence[Any], undo_to: int, *, logits: bool = True) -> None:
        """Append tokens or rows in one native call; if it fails, go back to `undo_to`."""
        self.watch(self._slow or len(items) > 1)
        context = self.context
        context.clear()
        for offset, item in enumerate(items):
            last = context.add(item, self._position + offset)
        if logits:
            context.want_logits(last)
        began = time.perf_counter()
        code = context.process()
        if len(items) == 1:
            self._slow = time.perf_counter() - began > _SLOW_DECODE_S
        self._position += len(items)
        try:
            self._asked.check()
            if code:
                raise decode_failure(code)
        except BaseException:
            # After some codes the finished part of the batch is still in memory: forget it.
            self.rollback(undo_to)
            raise

    def check_asked(self) -> None:
        """Raise what was raised while llama.cpp computed, as by Ctrl-C."""
        self._asked.check()

    def watch(self, on: bool) -> None:
        """Whether `cancelled` is asked while a decode runs."""
        if on != self._watched:
            callback = self._on_abort if on else self._no_abort
            llama_cpp.llama_set_abort_callback(self.context.handle, callback, None)
            self._watched = on


def decode_failure(code: int) -> DecodeError | DecodeAbortedError:
    """The error that a native return code other than 0 stands for."""
    if code == _ABORTED:
        return DecodeAbortedError("stopped")
    unknown = (reason(), "ask again; 'softchat doctor' has what a report needs")
    what, hint = _CODES.get(code, unknown)
    return DecodeError(f"llama.cpp failed with code {code}: {what}", hint=hint)
