"""What Tab offers in place of a name, and what zsh needs for its first Tab. Fetches nothing.

A shell takes each name as it is, so what is not made of harmless signs is not offered. Where
nothing is offered, the shell completes files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from typer import _completion_shared as shared

_HARMLESS = re.compile(r"[A-Za-z0-9._-]+")


# At the first Tab zsh runs the file of its fpath as if it were the completion. typer's file only
# defines one, and nothing was completed until the second Tab; click's has lines like these.
_AT_ONCE = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  %(complete_func)s "$@"
fi
"""


def mend_zsh() -> None:
    """Have what `--install-completion` writes for zsh complete from the first Tab on."""
    if "loadautofunc" not in shared.COMPLETION_SCRIPT_ZSH:
        shared._completion_scripts["zsh"] = shared.COMPLETION_SCRIPT_ZSH + _AT_ONCE


def model_names(incomplete: str) -> list[str]:
    """The names in models.toml that begin like this."""
    from softchat.errors import SoftchatError
    from softchat.models.catalogue import user_catalogue

    try:
        return _beginning(incomplete, user_catalogue(os.environ).entries)
    except SoftchatError:  # a damaged models.toml: a command would say so, Tab can't
        return []


def session_ids(incomplete: str) -> list[str]:
    """The ids of earlier sessions that begin like this, the newest first."""
    from softchat.models.folders import state_folder
    from softchat.record.sessions import list_sessions

    try:
        found = list_sessions(state_folder(os.environ) / "sessions")
    except OSError:
        return []
    return _beginning(incomplete, [saved.id for saved in found])


def prompt_names(incomplete: str) -> list[str]:
    """The names of prompts in config.toml that begin like this."""
    from softchat.config.file import load_config
    from softchat.errors import SoftchatError

    try:
        return _beginning(incomplete, load_config(os.environ, warn=lambda _: None).prompts)
    except SoftchatError:
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]
