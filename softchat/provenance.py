"""Where and with what a figure was measured. Knows nothing of figures."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import sys
from pathlib import Path

from softchat.base.version import __version__


def machine() -> str:
    """This machine in a line."""
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {cpu_name()}, {platform.system()}"


def versions() -> str:
    """Softchat, and what it computes with."""
    from importlib.metadata import version

    used = ", ".join(f"{name} {version(name)}" for name in ("llama-cpp-python", "numpy", "rich"))
    return f"softchat {__version__}, Python {platform.python_version()}, {used}"


def command() -> str:
    """The command that this process is, as a shell would take it."""
    return shlex.join(["softchat", *sys.argv[1:]])


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
