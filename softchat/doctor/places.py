"""Folders and files of softchat on this machine: rights, room, who can look; where settings are."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from softchat.config.file import Config, load_config
from softchat.doctor.private import VARIABLES
from softchat.doctor.report import Tell
from softchat.errors import SoftchatError
from softchat.models.catalogue import own_file
from softchat.models.folders import (
    config_file,
    config_folder,
    history_file,
    is_file,
    models_folder,
    state_folder,
)

_LITTLE_ROOM = 64 << 20  # bytes


def folders(environ: Mapping[str, str], tell: Tell) -> dict[str, Any]:
    """Where softchat keeps things, whether it can, and whether others can look."""
    models, state = models_folder(environ), state_folder(environ)
    history = history_file(environ)
    for path in (state / "sessions", history):  # what was said, and typed
        _check_private(path, tell)
    return {
        "models": _folder(models, tell, "softchat can't keep what it fetches there"),
        "sessions": _folder(state / "sessions", tell, "no session can be saved"),
        "history": _file(history, tell),
    }


def _folder(folder: Path, tell: Tell, cost: str) -> dict[str, Any]:
    nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110  # Path.exists may raise
    if not (nearest.is_dir() and os.access(nearest, os.R_OK | os.W_OK | os.X_OK)):
        tell(
            f"{nearest} can't be read and written: {cost}",
            "give yourself the right to, or let SOFTCHAT_HOME name another folder",
        )
    elif shutil.disk_usage(nearest).free < _LITTLE_ROOM:
        tell(
            f"the disk of {folder} is full: {cost}",
            "make room, or let SOFTCHAT_HOME name a folder on another disk",
        )
    files = _sizes(folder)
    return {
        "path": str(folder),
        "files": len(files),
        "bytes": sum(files.values()),
        "models": sorted(path.name for path in files if path.suffix == ".gguf"),
    }


def _sizes(folder: Path) -> dict[Path, int]:
    """The files in a folder, as far as one may look."""
    sizes = {}
    with suppress(OSError):
        for path in folder.rglob("*"):
            if is_file(path):
                sizes[path] = path.stat().st_size
    return sizes


def _file(file: Path, tell: Tell) -> dict[str, Any]:
    there = os.path.exists(file)  # noqa: PTH110  # Path.exists may raise
    if there and not (is_file(file) and os.access(file, os.R_OK | os.W_OK)):
        tell(
            f"{file} is no file that can be read and written: what is typed is not remembered",
            "remove it, or give yourself the right to",
        )
    return {"path": str(file), "bytes": file.stat().st_size if is_file(file) else 0}


def _check_private(path: Path, tell: Tell) -> None:
    with suppress(OSError):  # not there
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            rights = "700" if path.is_dir() else "600"
            tell(f"others can look into {path}", f"chmod {rights} {path}")


def settings(environ: Mapping[str, str], tell: Tell) -> tuple[dict[str, Any], Config]:
    """Where settings come from: files, and variables by their names; and what config.toml says."""
    own = [own_file(environ), config_file(environ)]
    files = ["models.toml of softchat", *(str(file) for file in own if is_file(file))]
    config = Config()
    try:
        config = load_config(environ, warn=lambda message: tell(message, "mend it"))
    except SoftchatError as error:
        tell(error.message, error.hint)
    names = [name for name in sorted(environ) if VARIABLES.fullmatch(name)]
    told = {"folder": str(config_folder(environ)), "files": files, "variables": names}
    return told, config
