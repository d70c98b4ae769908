"""The default model: whether it is here, and fits."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from softchat.config.file import Config
from softchat.doctor.report import Tell
from softchat.errors import SoftchatError
from softchat.models import Located, find_model
from softchat.models.catalogue import Catalogue, user_catalogue
from softchat.models.entry import PathSource
from softchat.models.fetch import installed
from softchat.models.local import LOCAL
from softchat.models.locate import is_path
from softchat.models.machine import fits, memory_bytes
from softchat.models.store import default_store

_ALIKE = 0.85  # of two names, from which one is likely a slip of the other


def default_model(
    environ: Mapping[str, str],
    config: Config,
    tell: Tell,
    *,
    test: Callable[[Located], dict[str, Any]],
) -> dict[str, Any]:
    """Whether what is used without -m is here; if so, what the self-test says of it.

    Args:
        environ: the variables.
        config: what config.toml says.
        tell: takes what is wrong.
        test: loads it and tries some steps, see `examine`.

    """
    try:
        return _of_default(environ, config, tell, test)
    except SoftchatError as error:
        tell(error.message, error.hint)
        return {"name": None, "here": False}


def _of_default(
    environ: Mapping[str, str],
    config: Config,
    tell: Tell,
    test: Callable[[Located], dict[str, Any]],
) -> dict[str, Any]:
    catalogue = user_catalogue(environ)
    _check_names(config, catalogue, tell)
    named, own = environ.get("SOFTCHAT_MODEL"), config.model
    spec = named or own or catalogue.default
    by = "SOFTCHAT_MODEL" if named else "config.toml" if own else "models.toml"
    if not spec.startswith(LOCAL) and not is_path(spec, catalogue):
        entry = catalogue.find(spec)
        fetched = not isinstance(entry.source, PathSource)  # what another is, find_model says
        if fetched and installed(entry, store=default_store(environ)) is None:
            size = int(entry.told_size)
            _check_size(entry.name, size, tell)
            return {"name": entry.name, "by": by, "here": False, "bytes": size}
    found = find_model(spec, environ=environ)  # it is here, so nothing is fetched
    size = found.path.stat().st_size
    told = {"name": found.name, "by": by, "here": True, "bytes": size}
    return told | test(found) if _check_size(found.name, size, tell) else told


def _check_names(config: Config, catalogue: Catalogue, tell: Tell) -> None:
    """Tell of models in config.toml that are called nearly as others; a file can have any name."""
    names = [name for one in catalogue.entries.values() for name in (one.name, *one.aliases)]
    for name in config.models.keys() - set(names):
        for near in difflib.get_close_matches(name.lower(), names, n=1, cutoff=_ALIKE):
            tell(f"config.toml has settings for '{name}', which is no model", f"is '{near}' meant?")


def _check_size(name: str, size: int, tell: Tell) -> bool:
    if fits(size, memory_bytes()) is False:
        tell(
            f"{name} needs more memory than this machine has",
            "choose a smaller one: softchat models use NAME",
        )
        return False
    return True
