"""What llama.cpp was built for, and what this machine's processor can do. Loads no model.

llama.cpp itself is loaded by `build` alone.
"""

from __future__ import annotations

import ctypes
import functools
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from softchat.engine.devices import Device, all_devices
from softchat.engine.gguf import load_ggml

# llama.cpp's name of a feature → what Linux and macOS call it, the first that is known there.
_FEATURES = {
    "SSE3": ("pni", "sse3"),
    "SSSE3": ("ssse3",),
    "AVX": ("avx", "avx1.0"),
    "AVX_VNNI": ("avx_vnni",),
    "AVX2": ("avx2",),
    "F16C": ("f16c",),
    "FMA": ("fma",),
    "BMI2": ("bmi2",),
    "AVX512": ("avx512f",),
    "AVX512_VBMI": ("avx512vbmi",),
    "AVX512_VNNI": ("avx512_vnni", "avx512vnni"),
    "AVX512_BF16": ("avx512_bf16",),
    "AMX_INT8": ("amx_int8",),
    "NEON": ("asimd", "neon"),
    "FP16_VA": ("asimdhp", "feat_fp16"),
    "DOTPROD": ("asimddp", "feat_dotprod"),
    "MATMUL_INT8": ("i8mm", "feat_i8mm"),
    "SVE": ("sve", "feat_sve"),
    "SME": ("sme", "feat_sme"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The llama.cpp that is installed."""

    version: str
    """Of the ggml inside, and its commit."""
    features: tuple[str, ...]
    """Of the processor, that it was compiled to use, by its own names."""
    devices: tuple[Device, ...]
    """What it can compute on, on this machine."""
    rpc: bool = False
    """Whether it can reach servers on others."""

    @classmethod
    def read(cls, values: dict[str, Any]) -> Build:
        """What `dataclasses.asdict` and JSON made of one."""
        return cls(
            version=values["version"],
            features=tuple(values["features"]),
            devices=tuple(map(Device.read, values["devices"])),
            rpc=values["rpc"],
        )


def build(servers: Sequence[str] = ()) -> Build:
    """What llama.cpp says of itself, with the devices of these servers. Raises ServerError."""
    from softchat.engine.library import llama_cpp
    from softchat.engine.rpc import is_built, use_servers

    use_servers(servers)
    lib = _library()
    said = _text(llama_cpp.llama_print_system_info())
    return Build(
        version=f"{_text(lib.ggml_version())} ({_text(lib.ggml_commit())})",
        features=tuple(name for name in _FEATURES if re.search(rf"\b{name} = 1\b", said)),
        devices=tuple(device for device, _ in all_devices(servers)),
        rpc=is_built(),
    )


def is_accelerated() -> bool:
    """Whether llama.cpp has a back end beside the processor's and RPC, by its files' names."""
    found = find_spec("llama_cpp")
    if found is None or found.origin is None:
        return False
    names = {file.name for file in (Path(found.origin).parent / "lib").glob("*ggml-*")}
    known = re.compile(r"(lib)?ggml-(base|cpu|rpc|blas)\b")
    return any(not known.match(name) for name in names)


def machine_features() -> tuple[str, ...] | None:
    """Those of the same names that this processor has; None where it can't be told."""
    flags = _flags()
    if not flags:
        return None
    return tuple(name for name, known in _FEATURES.items() if flags & set(known))


def parse_cpuinfo(text: str) -> set[str]:
    """The flags of the first processor in Linux's /proc/cpuinfo."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def parse_sysctl(text: str) -> set[str]:
    """The flags that macOS's `sysctl -a` tells, those of Intel and of Apple chips."""
    flags = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if re.fullmatch(r"machdep\.cpu\.(leaf7_)?features", key):
            flags |= set(value.lower().split())
        elif key.startswith("hw.optional.") and value.strip() == "1":
            flags.add(key.rpartition(".")[2].lower())
    return flags


def _flags() -> set[str]:
    if sys.platform == "darwin":
        return parse_sysctl(_sysctl("-a"))
    return parse_cpuinfo(_cpuinfo())


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _sysctl(*arguments: str) -> str:
    done = subprocess.run(
        ["/usr/sbin/sysctl", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


@functools.cache
def _library() -> ctypes.CDLL:
    lib = load_ggml("ggml")
    for name in ("ggml_version", "ggml_commit"):
        function = getattr(lib, name)
        function.restype, function.argtypes = ctypes.c_char_p, []
    return lib
