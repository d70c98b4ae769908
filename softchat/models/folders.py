"""Where softchat keeps what it stores on this system. Creates nothing, knows nothing of models.

With SOFTCHAT_HOME set, everything is in that one folder; else each thing is where the system keeps
things of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import platformdirs


def config_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what the user writes."""
    return _home(environ) or Path(platformdirs.user_config_dir("softchat", appauthor=False))


def config_file(environ: Mapping[str, str]) -> Path:
    """The user's config.toml, be it there or not."""
    return config_folder(environ) / "config.toml"


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what softchat remembers: what was typed, and sessions."""
    return _home(environ) or Path(platformdirs.user_state_dir("softchat", appauthor=False))


def history_file(environ: Mapping[str, str]) -> Path:
    """What was typed in sessions, be it there or not."""
    return state_folder(environ) / "history"


def models_folder(environ: Mapping[str, str]) -> Path:
    """The folder of fetched models: all of it can be fetched again."""
    return (
        _home(environ) or Path(platformdirs.user_cache_dir("softchat", appauthor=False))
    ) / "models"


def prompt_cache_folder(environ: Mapping[str, str]) -> Path:
    """The folder of KV caches of long prompts: all of it can be read anew."""
    return models_folder(environ).parent / "prompts"


def merged_folder(environ: Mapping[str, str]) -> Path:
    """The folder of models that were made one with their adapters: all can be made again."""
    return models_folder(environ).parent / "merged"


def expand(text: str) -> Path:
    """The text as a path, a leading `~` being the user's home."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):  # no such user, or no user could have that name
        return Path(text)


def is_file(path: Path) -> bool:
    """Whether there is a file at this path: a mistaken path is none, whatever is wrong with it."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, a folder closed to us, a null byte
        return False


def _home(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("SOFTCHAT_HOME")
    return expand(home).absolute() if home else None
