"""What a GGUF file is beside a model: an adapter, a projector, a vocabulary. Loads no library."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

from softchat.base.text import one_line
from softchat.errors import ModelRefusedError

BEGINNING = 65536  # bytes of a file that are looked at; what it is stands before its vocabulary
_HEAD = struct.Struct("<4sIQQ")  # magic, version, numbers of tensors and of values
_STRING = 8
_SIZES = (1, 1, 2, 2, 4, 4, 4, 1, None, None, 8, 8, 8)  # of values, by type; None: a string, a list


def refuse_no_model(path: Path, beginning: bytes, *, whole: bool) -> None:
    """Raise ModelRefusedError if a GGUF file holds something else than a model, and says so.

    Args:
        path: the file.
        beginning: its first BEGINNING bytes, or all of it.
        whole: whether it is all of its model, not one part of several.

    """
    if len(beginning) < _HEAD.size:
        return  # llama.cpp tells of what is damaged
    _, _, tensors, count = _HEAD.unpack_from(beginning)
    said = _strings(beginning[_HEAD.size :], count)
    shown = one_line(str(path))
    if said.get("general.type") == "adapter":
        raise ModelRefusedError(
            f"{shown} is an adapter, not a model", hint=one_line(f"-m MODEL --lora {path}")
        )
    if said.get("general.type") == "mmproj" or said.get("general.architecture") == "clip":
        hint = "pick the model's own file, which is without mmproj in its name"
        raise ModelRefusedError(f"{shown} is what a model sees with, not a model", hint=hint)
    if whole and not tensors and "general.architecture" in said:
        raise ModelRefusedError(
            f"{shown} holds a vocabulary only", hint="pick the model's full file"
        )


def _strings(data: bytes, count: int) -> dict[str, str]:
    """The texts among the first values of a header, up to the first list."""
    found: dict[str, str] = {}
    at = 0
    with suppress(struct.error):  # it ends here
        for _ in range(count):
            key, at = _string(data, at)
            (kind,) = struct.unpack_from("<I", data, at)
            at += 4
            if kind == _STRING:
                found[key], at = _string(data, at)
            elif kind < len(_SIZES) and (size := _SIZES[kind]):
                at += size
            else:
                break
    return found


def _string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise struct.error
    return data[at + 8 : end].decode("utf-8", "replace"), end
