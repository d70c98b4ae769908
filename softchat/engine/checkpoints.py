"""Copies of a model's memory that, unlike a KV cache, can't be cut back; so it can go back too.

A recurrent state (Mamba, RWKV) is the sum of all that was read: nothing can be taken out of it. So
a copy is made where a conversation is likely to come back to, and going back to a position means
going back to the last copy before it.
"""

from __future__ import annotations

import ctypes

from softchat.engine.library import llama_cpp

_PARTIAL = llama_cpp.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY  # what can be cut is not copied
_KEPT = 2  # the end of this turn's prompt and of the last one's; a copy takes megabytes


class Checkpoints:
    """A context's copies of its memory, each at a position, the latest last.

    Args:
        context: the native context; it has one sequence.

    """

    def __init__(self, context: int) -> None:
        self._context = context
        self._copies: list[tuple[int, ctypes.Array[ctypes.c_uint8]]] = []

    def save(self, position: int) -> None:
        """Copy the memory, which holds all before `position`."""
        size = llama_cpp.llama_state_seq_get_size_ext(self._context, 0, _PARTIAL)
        copy = (ctypes.c_uint8 * size)()
        if llama_cpp.llama_state_seq_get_data_ext(self._context, copy, size, 0, _PARTIAL) == size:
            self._copies = [*self._copies[1 - _KEPT :], (position, copy)]

    def go_back(self, position: int) -> int:
        """Make the memory what it was at the last copy at or before `position`; where that is.

        0, and an empty memory, if there is none. Later copies are dropped.
        """
        memory = llama_cpp.llama_get_memory(self._context)
        while self._copies:
            place, copy = self._copies[-1]
            if place <= position:
                read = llama_cpp.llama_state_seq_set_data_ext(
                    self._context, copy, len(copy), 0, _PARTIAL
                )
                if read and llama_cpp.llama_memory_seq_rm(memory, 0, place, -1):
                    return place
            self._copies.pop()
        llama_cpp.llama_memory_clear(memory, False)
        return 0
