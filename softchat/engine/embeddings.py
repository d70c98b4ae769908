"""Rows of the token-embedding matrix, straight from the file. Knows nothing of decoding.

The matrix is never dequantised as a whole (622 MB as float32 for a vocabulary of 152k at width
1024). A step needs n rows of it; ggml's own `to_float` turns just those into floats, so they are
bit for bit what llama.cpp looks up for a token.

The rows are read, not mapped: the file is in the page cache already, as llama.cpp maps it, a read
costs 2 µs, a mapping of our own would count every page near a row as this process's memory (16
pages a row: 30 MB after 128 steps on Gemma 3), and a file cut short while mapped kills the process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.base.closeable import Closeable
from softchat.base.text import one_line
from softchat.engine.gguf import TensorPlace
from softchat.errors import DecodeError, ModelRefusedError

_REMEMBERED = 512  # rows; a chain of thought comes back to the same tokens again and again


class EmbeddingTable(Closeable):
    """The matrix E, (V, D), of a GGUF file.

    Args:
        place: where it lies, as `find_matrix` says.

    Raises:
        ModelRefusedError: there is none, it reaches beyond the end of its file, or its type can't
            be turned into floats.

    """

    def __init__(self, place: TensorPlace | None) -> None:
        if place is None:
            raise ModelRefusedError(
                "the model has no token-embedding matrix",
                hint="soft thinking mixes its rows; pick a text model with its full weights",
            )
        traits = place.traits
        self.shape = place.shape  # (V, D)
        self.type_name = str(traits.type_name, "ascii")
        rows, width = place.shape
        self._stride = width // traits.blck_size * traits.type_size  # bytes to a row
        # ggml reads float32 rows as they are and so has no function for them.
        self._to_float = traits.to_float if traits.to_float else None
        if self._to_float is None and self.type_name != "f32":
            raise ModelRefusedError(
                f"token embeddings of type {self.type_name} can't be read",
                hint="pick another quantisation of the model",
            )
        self._offset = place.offset
        self._file = place.path.open("rb", buffering=0)
        if place.offset + rows * self._stride > place.path.stat().st_size:
            self._file.close()
            raise ModelRefusedError(
                f"the file is cut short: {one_line(place.path.name)}",
                hint="fetch the file again",
            )
        self._raw = ctypes.create_string_buffer(self._stride)
        self._rows: dict[int, Floats] = {}

    def rows(self, ids: Sequence[int] | Ids) -> Floats:
        """The rows of the tokens `ids`, (n, D) float32, as llama.cpp looks them up.

        Raises:
            IndexError: a token that is not in the vocabulary.
            DecodeError: the file was cut short since it was opened.

        """
        out = np.empty((len(ids), self.shape[1]), np.float32)
        # As Python's own numbers: numpy's take longer to be found.
        for place, token in enumerate(np.asarray(ids).tolist()):
            row = self._rows.get(token)
            out[place] = self._read(token) if row is None else row
        return out

    def _read(self, token: int) -> Floats:
        count, width = self.shape
        if not 0 <= token < count:
            raise IndexError(f"no token {token} in a vocabulary of {count}")
        self._file.seek(self._offset + token * self._stride)
        if self._file.readinto(self._raw) != self._stride:
            raise DecodeError(
                "the model's file was cut short while in use", hint="fetch the file again"
            )
        row = np.empty(width, np.float32)
        if self._to_float is None:
            ctypes.memmove(row.ctypes.data, self._raw, self._stride)
        else:
            self._to_float(self._raw, row.ctypes.data, width)
        if len(self._rows) == _REMEMBERED:
            self._rows.clear()
        self._rows[token] = row
        return row

    def close(self) -> None:
        """Close the file."""
        self._file.close()
