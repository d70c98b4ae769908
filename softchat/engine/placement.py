"""Where a model computes, as its user wants it. Knows no device, no file and no llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from softchat.base.text import one_line
from softchat.engine.servers import read_servers
from softchat.errors import UsageError, check_type

ALL = -1
NONE = "none"  # in place of a device's name: the processor alone
MOST_LAYERS = 2**16
LAYERS_SAY = "it can be: auto, all, or a whole number"


class CacheType(NamedTuple):
    """How the values of a KV cache are kept."""

    number: int
    """In ggml's enum ggml_type."""
    size: float
    """Bytes a value."""


CACHE_TYPES = {
    "f16": CacheType(1, 2),
    "q8_0": CacheType(8, 34 / 32),
    "q5_1": CacheType(7, 24 / 32),
    "q5_0": CacheType(6, 22 / 32),
    "q4_1": CacheType(3, 20 / 32),
    "q4_0": CacheType(2, 18 / 32),
    "iq4_nl": CacheType(20, 18 / 32),
    "bf16": CacheType(30, 2),
    "f32": CacheType(0, 4),
}
FLASH_ATTENTION = {"auto": -1, "on": 1, "off": 0}
"""When attention is computed by the fused kernel, with llama.cpp's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which layers of a model go where, and how its KV cache is kept.

    Raises:
        UsageError: a type or a word that there is not.

    """

    gpu_layers: int | None = None
    """Layers that go to devices, the last ones first; `ALL`; None: as many as fit."""
    devices: tuple[str, ...] = ()
    """By llama.cpp's names, such as CUDA0; empty: all but the processor; `none`: no device."""
    servers: tuple[str, ...] = ()
    """RPC servers whose devices are used too, each as HOST:PORT."""
    cache_type: str = "f16"
    """One of `CACHE_TYPES`."""
    flash_attn: str = "auto"
    """One of `FLASH_ATTENTION`."""

    @property
    def has_no_device(self) -> bool:
        """Whether the processor alone is wanted."""
        return self.devices == (NONE,)

    def __post_init__(self) -> None:
        check_type("gpu_layers", self.gpu_layers, int | None, "a whole number, or None")
        for name in ("devices", "servers"):
            names = getattr(self, name)
            check_type(name, names, tuple, "a tuple of names")
            for one in names:
                check_type(f"one of {name}", one, str, "a name")
        for name, known in (("cache_type", CACHE_TYPES), ("flash_attn", FLASH_ATTENTION)):
            check_type(name, getattr(self, name), str, f"one of: {', '.join(known)}")
            if getattr(self, name) not in known:
                hint = f"it can be: {', '.join(known)}"
                raise UsageError(f"{name} is '{getattr(self, name)}'", hint=hint)

    @classmethod
    def of(
        cls,
        *,
        gpu_layers: str | int = "auto",
        device: str = "",
        rpc: str = "",
        cache_type: str = "f16",
        flash_attn: str = "auto",
    ) -> Placement:
        """What flags and config.toml say. Raises UsageError."""
        devices = tuple(filter(None, (name.strip() for name in device.split(","))))
        if device.strip() and not devices:
            hint = "softchat doctor names them; none: the processor alone"
            raise UsageError(f"device '{one_line(device)}' names no device", hint=hint)
        return cls(
            gpu_layers=read_layers(gpu_layers),
            devices=devices,
            servers=read_servers(rpc),
            cache_type=cache_type,
            flash_attn=flash_attn,
        )


BY_DEFAULT = Placement()


def read_layers(value: str | int) -> int | None:
    """How many layers `auto`, `all` or a number stands for. Raises UsageError."""
    if value == "auto":
        return None
    if value == "all":
        return ALL
    try:
        layers = int(value)
    except ValueError:
        layers = ALL - 1
    if not ALL <= layers <= MOST_LAYERS:
        raise UsageError(f"gpu_layers is '{value}'", hint=LAYERS_SAY)
    return layers
