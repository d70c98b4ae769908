"""What is on this disk already that a user may mean by a name. Reads folders, fetches nothing.

gemma3:270m     ollama/gemma3:270m
qwen3           the largest of this family that is here, where the name itself is only a
                nickname of something that must be fetched
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from softchat.models.catalogue import Catalogue
from softchat.models.fetch import installed
from softchat.models.local import LocalModel, local_models
from softchat.models.store import Store


def on_this_disk(
    spec: str, *, catalogue: Catalogue, store: Store, environ: Mapping[str, str]
) -> LocalModel | None:
    """Another program's model that `spec` means, short of its whole name.

    None if it means none, or if models.toml has a model of this very name, or has it here.
    """
    entry = catalogue.get(spec)
    if spec in catalogue.entries or (entry and installed(entry, store=store)):
        return None
    models = local_models(environ)
    if entry and any(entry.source.describes(model.path) for model in models):
        return None  # it is the file that models.toml means: verified, not fetched
    wanted = spec.lower()
    same = [model for model in models if wanted in _names(model)]
    if same:
        return same[0]
    family = re.compile(re.escape(wanted) + r"[-_.:]")
    relatives = [model for model in models if family.match(_names(model)[0])]
    return max(relatives, key=lambda model: model.size, default=None)


def near_names(
    spec: str, *, catalogue: Catalogue, store: Store, environ: Mapping[str, str]
) -> list[str]:
    """Models that are here and have a name like this, the likeliest first."""
    stored = [one for one in catalogue.entries.values() if installed(one, store=store)]
    here = [name for entry in stored for name in (entry.name, *entry.aliases)]
    local = {_names(model)[0]: model.name for model in local_models(environ)}
    return [local.get(name, name) for name in _near(spec.lower(), [*here, *local])]


def _near(word: str, names: Iterable[str]) -> list[str]:
    known = list(names)
    begun = [name for name in known if len(word) > 1 and name.startswith(word)]
    return begun or difflib.get_close_matches(word, known, n=3)


def _names(model: LocalModel) -> tuple[str, ...]:
    """What it is called without its program and owner, and without a tag that says nothing."""
    whole = model.name.lower()
    short = whole.rpartition("/")[2].removesuffix(".gguf")
    more = whole.partition("/")[2].removesuffix(".gguf")
    return (short, more, short.removesuffix(":latest"), more.removesuffix(":latest"))
