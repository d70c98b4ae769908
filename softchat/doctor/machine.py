"""This machine and this build of llama.cpp: versions, processor features, devices, memory."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from softchat.base.files import shown_size
from softchat.base.version import __version__
from softchat.doctor.report import Tell
from softchat.engine import system
from softchat.engine.servers import greet, read_servers
from softchat.engine.system import Build
from softchat.engine.threads import busy_note, default_threads, is_in_use, load
from softchat.errors import ServerError, UsageError
from softchat.models.machine import memory_bytes
from softchat.provenance import cpu_name

_PACKAGES = (
    "llama-cpp-python", "numpy", "rich", "prompt-toolkit", "typer", "jinja2", "huggingface-hub",
)  # fmt: skip
# What makes a model several times slower if the processor has it and the build does not use it.
_WORTH_MUCH = {"AVX", "AVX2", "FMA", "F16C", "NEON", "DOTPROD"}
_REBUILD = "pip install --force-reinstall --no-cache-dir --no-binary=:all: llama-cpp-python"


def versions(build: Build | None) -> dict[str, str]:
    """Of softchat, Python, ggml and the packages that matter; `build` None: ggml does not start."""
    found = {
        "softchat": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "ggml": build.version if build else "can't be told",
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Processor, threads, and bytes of memory."""
    return {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "threads": (suitable := default_threads()),
        "busy": busy_note(suitable),
        "load": round(load(), 1),
        "in_use": is_in_use(),
        "memory": memory_bytes(),
        "memory_available": _available(),
    }


def cpu_features(build: Build | None, tell: Tell) -> dict[str, Any]:
    """What the build uses, what more the processor has, and what it lacks."""
    used = build.features if build else None
    has = system.machine_features()
    if used is None or has is None:
        return {"used": used, "unused": None, "lacking": None}
    unused = [name for name in has if name not in used]
    # An x86 build names no ARM features, nor the other way round: nothing to compare.
    lacking = [name for name in used if name not in has]
    if lacking:
        tell(
            f"llama.cpp was built for a processor with {', '.join(lacking)}, this one has none",
            f"it will die of an illegal instruction; build it here: {_REBUILD}",
        )
    if slow := [name for name in unused if name in _WORTH_MUCH]:
        tell(
            f"llama.cpp was built without {', '.join(slow)}, which this processor has",
            f"it is several times slower than it could be; build it here: {_REBUILD}",
        )
    return {"used": used, "unused": unused, "lacking": lacking}


def devices(build: Build | None, environ: Mapping[str, str], tell: Tell) -> dict[str, Any]:
    """The back ends and GPUs that llama.cpp has."""
    if build is None:
        return {"backends": None, "gpus": None, "rpc": None}
    found = build.devices
    gpus = [one for one in found if one.is_gpu]
    if not gpus and environ.get("SOFTCHAT_GPU_LAYERS", "auto") not in ("", "0", "auto"):
        tell(
            "SOFTCHAT_GPU_LAYERS is set, and llama.cpp has no GPU back end",
            "install a llama-cpp-python that is built for Metal or CUDA",
        )
    return {
        "backends": sorted({one.backend for one in found}),
        "gpus": [
            f"{one.name}: {one.description}, {shown_size(one.free)} of {shown_size(one.total)} free"
            for one in gpus
        ],
        "rpc": build.rpc,
    }


def servers(rpc: str, tell: Tell) -> dict[str, Any]:
    """Which of the servers answer that models are to be on. Their addresses are not told."""
    versions: list[str | None] = []
    try:
        named = read_servers(rpc)
    except UsageError as error:
        tell(error.message, error.hint)
        named = ()
    for number, server in enumerate(named, 1):
        try:
            versions.append(greet(server))
        except ServerError as error:
            tell(f"server {number} of {len(named)} (rpc) does not answer", error.hint)
            versions.append(None)
    return {"protocols": versions}


def _available() -> int | None:
    """Bytes of memory that are free now, or could be; None where the system does not tell it."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
