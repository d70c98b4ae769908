"""A model and its LoRA adapters as one file: each W + s B A, rounded to 8 bits.

llama.cpp computes an adapter beside each matrix, in small products that make a step of a small
model 1.25 times as long, and a prompt 1.13 times. In the weights it costs nothing. They are rounded
once more by that, to Q8_0, which is finer than what it is made of; to the type of a 4-bit file, the
rounding would be as large as what the adapter says.

Behind its weights such a file has a seal, which says what it was made of, and what its header was.
So another model's file in its place is not taken for it.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from softchat.base.arrays import Floats
from softchat.base.files import files_in, make_private, replacing, resolved, sweep
from softchat.base.text import one_line
from softchat.engine.describe import check_adapter
from softchat.engine.gguf import Header, TensorPlace, open_header, write_header
from softchat.engine.protocol import Lora
from softchat.errors import DecodeAbortedError, ModelRefusedError

TOLERANCE = 0.15
"""The rounding, as a share of what the adapters change, both as root mean squares over all weights:
a file with more is not made. Of softchat's own adapters it is 0.07 and 0.04."""
KEPT = 4
"""Files in the folder; the one that was of use longest ago goes first."""
LOADING_S = 600
"""Another softchat may be about to load a file that was of use so shortly ago: it stays, too."""
_NAME = re.compile(r"[0-9a-f]{16}\.gguf")
_FORMAT = 2  # of the file that is made
_DIGEST = 32  # bytes of SHA-256
_SEAL = 2 * _DIGEST + 8  # bytes: of what it is made, its header, and how long that is
_Q8_0, _MOSTLY_Q8_0 = 8, 7  # enum ggml_type, enum llama_ftype
_BLOCK = 32  # weights that share a scale
_LARGEST = 127.0 * 65504  # weight: the largest scale that 16 bits hold, 127 times
_ENDS = (".lora_a", ".lora_b")


def merged(
    path: Path, loras: Sequence[Lora], folder: Path, *, cancelled: Callable[[], bool]
) -> Path:
    """The file in which this model and these adapters are one, made if it is not there yet.

    Args:
        path: the model, in one file.
        loras: its adapters.
        folder: where such files are kept.
        cancelled: asked before each tensor; True stops the making.

    Raises:
        ModelRefusedError: they can't be one, or not within `TOLERANCE`.
        DecodeAbortedError: `cancelled` said so.
        OSError: there is no room, or no right to write there.

    """
    parts = [str(_FORMAT), *(str(lora.scale) for lora in loras)]
    for one in (path, *(lora.path for lora in loras)):
        status = one.stat()
        parts += [str(resolved(one)), str(status.st_size), str(status.st_mtime_ns)]
    made_of = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
    file = folder / f"{made_of.hex()[:16]}.gguf"
    with suppress(OSError):  # its time of change stays: what is kept of prompts goes by that
        os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))
    if file.is_file() and _is_sealed(file, made_of):
        return file
    make_private(folder)
    sweep(folder)
    with replacing(file) as half, half.open("r+b") as out:
        header, end = _write(path, loras, half, out, cancelled)
        seal = _seal(made_of, out, header)
        out.seek(end)
        out.write(seal)
    _remove_oldest(folder)
    return file


def _seal(made_of: bytes, file: BinaryIO, length: int) -> bytes:
    """What stands at the end of a file whose header is so long, in bytes."""
    file.seek(0)
    header = hashlib.sha256(file.read(length)).digest()
    return made_of + header + length.to_bytes(8, "little")


def _is_sealed(path: Path, made_of: bytes) -> bool:
    """Whether this is the file that was made of that, up to its weights, which are not read."""
    with suppress(OSError), path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _SEAL))
        seal = file.read()
        length = int.from_bytes(seal[2 * _DIGEST :], "little")
        # Else it is another one, or cut short.
        return seal.startswith(made_of) and length <= end and seal == _seal(made_of, file, length)
    return False


def merged_files(folder: Path) -> list[Path]:
    """The files that `merged` has made in this folder; of others it knows nothing.

    Raises:
        OSError: one may not look into it.

    """
    files = [file for file in files_in(folder, ".gguf") if _NAME.fullmatch(file.name)]
    return [file for file in files if file.is_file()]


def _remove_oldest(folder: Path) -> None:
    used = {}
    for file in merged_files(folder):
        with suppress(FileNotFoundError):  # another softchat has just removed it
            used[file] = file.stat().st_atime
    now = time.time()
    for one in sorted(used, key=lambda file: used[file], reverse=True)[KEPT:]:
        if not 0 <= now - used[one] < LOADING_S:
            one.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """What one adapter adds to one matrix: factor · B A."""

    a: Floats  # (r, columns)
    b: Floats  # (rows, r)
    factor: float


def _write(
    path: Path,
    loras: Sequence[Lora],
    written: Path,
    out: BinaryIO,
    cancelled: Callable[[], bool],
) -> tuple[int, int]:
    """Write the file; where its first tensor begins, and where its last one ends."""
    products: dict[str, list[_Product]] = {}
    rounding = changed = 0.0
    with open_header(path) as header:
        for lora in loras:
            for name, product in _products(lora, header).items():
                products.setdefault(name, []).append(product)
        _check(header, products)
        types = dict.fromkeys(products, _Q8_0)
        *begins, end = write_header(path, written, types=types, file_type=_MOSTLY_Q8_0)
        for begin, name in zip(begins, header.tensor_names, strict=True):
            if cancelled():
                raise DecodeAbortedError("stopped while loading the model")
            place = header.tensor(name)
            out.seek(begin)
            if name not in products:
                out.write(_bytes_of(place))
                continue
            weights = _floats_of(place)
            added = _sum(products[name], weights.shape)
            weights += added
            if not np.abs(weights).max(initial=0.0) <= _LARGEST:  # NaN too
                raise _refused(f"{one_line(name)} would hold numbers that 8 bits can't")
            raw, lost = _rounded(weights)
            out.write(raw)
            rounding += lost
            changed += float(np.vdot(added, added))
        out.truncate(end)
    if rounding > TOLERANCE**2 * changed:
        share = math.sqrt(rounding / changed) if changed else math.inf
        raise _refused(f"8 bits would round away {share:.2f} of what they change")
    return min(begins, default=end), end


def _check(header: Header, products: Mapping[str, object]) -> None:
    """Raise ModelRefusedError if this model can't have such adapters in its weights."""
    if (header.integer("split.count") or 1) > 1:
        raise _refused("the model is split over several files")
    if missing := products.keys() - set(header.tensor_names):
        raise _refused(f"the model has no {one_line(min(missing))}")
    for name in products:
        if header.tensor(name).shape[0] == 1:  # a norm, say, which no 8 bits may be
            raise _refused(f"{one_line(name)} is no matrix")
        if header.tensor(name).shape[1] % _BLOCK:
            raise _refused(f"the rows of {one_line(name)} are no multiple of {_BLOCK}")


def _products(lora: Lora, model: Header) -> dict[str, _Product]:
    """What an adapter adds, by the name of the matrix; as llama.cpp computes it."""
    halves: dict[str, dict[str, TensorPlace]] = {}
    with open_header(lora.path) as header:
        check_adapter(header, model.string("general.architecture") or "unknown")
        alpha = header.number("adapter.lora.alpha") or 0.0
        for name in header.tensor_names:
            matrix, end = name[: -len(_ENDS[0])], name[-len(_ENDS[0]) :]
            if end not in _ENDS:
                raise _refused(f"{one_line(name)} is no part of a product")
            halves.setdefault(matrix, {})[end] = header.tensor(name)
    found = {}
    for name, places in halves.items():
        if len(places) < len(_ENDS):
            raise _refused(f"half of the product for {one_line(name)} is missing")
        a, b = (_floats_of(places[end]) for end in _ENDS)
        if not len(a):
            raise _refused(f"the product for {one_line(name)} has no rank")
        factor = lora.scale * (alpha / len(a) if alpha else 1.0)
        found[name] = _Product(a=a, b=b, factor=factor)
    return found


def _sum(products: Sequence[_Product], shape: tuple[int, int]) -> Floats:
    total = np.zeros(shape, np.float32)
    for one in products:
        if (len(one.b), one.a.shape[1]) != shape or one.b.shape[1] != len(one.a):
            raise _refused("the adapter is for matrices of another shape")
        with np.errstate(all="ignore"):  # what is no number is told where it is added
            total += np.float32(one.factor) * (one.b @ one.a)
    return total


def _bytes_of(place: TensorPlace) -> bytes:
    with place.path.open("rb") as file:
        file.seek(place.offset)
        data = file.read(place.size)
    if len(data) != place.size:
        raise ModelRefusedError(
            f"the file is cut short: {one_line(place.path.name)}", hint="fetch the file again"
        )
    return data


def _floats_of(place: TensorPlace) -> Floats:
    """A matrix of a file, (rows, columns)."""
    raw, name = _bytes_of(place), str(place.traits.type_name, "ascii")
    traits = place.traits
    if len(raw) * traits.blck_size != math.prod(place.shape) * traits.type_size:
        raise _refused("a tensor that it changes, or is made of, is no matrix")
    if name == "f32":
        return np.frombuffer(raw, np.float32).reshape(place.shape).copy()
    if not place.traits.to_float:
        raise _refused(f"weights of type {name} can't be read")
    out = np.empty(place.shape, np.float32)
    place.traits.to_float(raw, out.ctypes.data, out.size)
    return out


def _rounded(weights: Floats) -> tuple[bytes, float]:
    """The weights in Q8_0, and the sum of the squares of what that has rounded away."""
    blocks = weights.reshape(-1, _BLOCK)
    scales = (np.abs(blocks).max(axis=1) / 127.0).astype(np.float16)
    divisors = np.where(scales == 0, 1, scales).astype(np.float32)
    packed = np.empty(len(blocks), [("scale", np.float16), ("weights", np.int8, _BLOCK)])
    packed["scale"] = scales
    packed["weights"] = np.rint(blocks / divisors[:, None]).clip(-127, 127)
    lost = packed["weights"] * scales.astype(np.float32)[:, None] - blocks
    return packed.tobytes(), float(np.vdot(lost, lost))


def _refused(why: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"model and adapter can't be one file: {why}", hint="without merge = true they need not be"
    )
