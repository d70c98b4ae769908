"""What llama.cpp can compute on here: the processor, accelerators, servers on other machines."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from softchat.engine.gguf import load_ggml
from softchat.engine.placement import NONE
from softchat.errors import UsageError

_GPU, _INTEGRATED = 1, 2  # enum ggml_backend_dev_type: of its own, or part of the processor
_SERVERS = "RPC"  # the back end of other machines
_SHARED = {"Metal", "MTL"}  # back ends whose devices use the machine's own memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Something that llama.cpp can compute on."""

    backend: str
    name: str
    description: str
    is_gpu: bool
    """Whether layers can be given to it; a server is one, whatever it computes on."""
    is_integrated: bool = False
    """Whether it is a part of the processor, with no memory of its own."""
    free: int = 0
    """Bytes of its memory that are free; 0 where it does not tell."""
    total: int = 0

    @property
    def where(self) -> str:
        """As people call it: a server by its address."""
        return self.description if self.is_server else self.name

    @property
    def is_server(self) -> bool:
        """Whether it is one of an RPC server's, on this machine or another."""
        return self.backend == _SERVERS

    @property
    def has_own_memory(self) -> bool:
        """Whether its memory comes on top of the machine's."""
        return self.is_gpu and not self.is_integrated and self.backend not in _SHARED

    @classmethod
    def read(cls, values: dict[str, Any]) -> Device:
        """What `dataclasses.asdict` and JSON made of one."""
        return cls(**values)


def all_devices(servers: Sequence[str] = ()) -> list[tuple[Device, int]]:
    """Each device of llama.cpp here, and of these servers, with its native handle."""
    return list(_all(servers))


def choose(names: Sequence[str] = (), servers: Sequence[str] = ()) -> list[tuple[Device, int]]:
    """The devices that layers are given to, with their native handles.

    Args:
        names: llama.cpp's own; `none`: no device; empty: as llama.cpp itself chooses, servers
            first, and what is part of the processor only where nothing else is.
        servers: those that may be used; llama.cpp may know others from before.

    Raises:
        UsageError: there is no such device, or it is no place for layers.

    """
    found = [(device, handle) for device, handle in _all(servers) if device.is_gpu]
    if tuple(names) == (NONE,):
        return []
    if names:
        known = {device.name: (device, handle) for device, handle in found}
        for name in names:
            if name not in known:
                hint = f"there are: {', '.join(known)}; or {NONE}"
                if not known:
                    hint = f"this llama.cpp knows of no accelerator here; --device {NONE}"
                raise UsageError(f"no device {name}", hint=hint)
        return [known[name] for name in names]
    remote = [one for one in found if one[0].is_server]
    own = [one for one in found if not one[0].is_server]
    discrete = [one for one in own if not one[0].is_integrated]
    return remote + (discrete or own)


def to_serve(names: Sequence[str] = ()) -> list[tuple[Device, int]]:
    """The devices that a server offers: those named, or accelerators, or the processor.

    Raises:
        UsageError: there is no such device.

    """
    found = list(_all(()))
    if not names:
        return [one for one in found if one[0].is_gpu] or [
            one for one in found if one[0].name == "CPU"
        ]
    known = {device.name: (device, handle) for device, handle in found}
    for name in names:
        if name not in known:
            raise UsageError(f"no device {name}", hint=f"there are: {', '.join(known)}")
    return [known[name] for name in names]


def _all(servers: Sequence[str]) -> Iterator[tuple[Device, int]]:
    from softchat.engine.library import llama_cpp

    llama_cpp.llama_backend_init()  # registers them
    lib = _library()
    for index in range(lib.ggml_backend_dev_count()):
        device = lib.ggml_backend_dev_get(index)
        backend = _text(lib.ggml_backend_reg_name(lib.ggml_backend_dev_backend_reg(device)))
        description = _text(lib.ggml_backend_dev_description(device))
        if backend == _SERVERS and description not in servers:
            continue  # known from before; to ask one that has gone would end this process
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        lib.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        kind = lib.ggml_backend_dev_type(device)
        yield (
            Device(
                backend=backend,
                name=_text(lib.ggml_backend_dev_name(device)),
                description=description,
                is_gpu=kind in (_GPU, _INTEGRATED),
                is_integrated=kind == _INTEGRATED,
                free=free.value,
                total=total.value,
            ),
            device,
        )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


@functools.cache
def _library() -> ctypes.CDLL:
    lib = load_ggml("ggml")
    text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("ggml_backend_dev_count", size, []),
        ("ggml_backend_dev_get", pointer, [size]),
        ("ggml_backend_dev_name", text, [pointer]),
        ("ggml_backend_dev_description", text, [pointer]),
        ("ggml_backend_dev_type", ctypes.c_int, [pointer]),
        ("ggml_backend_dev_memory", None, [pointer, ctypes.POINTER(size), ctypes.POINTER(size)]),
        ("ggml_backend_dev_backend_reg", pointer, [pointer]),
        ("ggml_backend_reg_name", text, [pointer]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
