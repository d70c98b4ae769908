"""models.toml, read and checked: which models have a name, and what is known about each.

Knows nothing of what is on disk, fetched or running. `docs/models.md` is the reference of the
format; the shipped file is its example.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType

from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError, UsageError
from softchat.models.entry import (
    HubSource,
    ModelEntry,
    PathSource,
    Source,
    UrlSource,
    WheelSource,
    part_of,
)
from softchat.models.folders import config_folder, expand, is_file
from softchat.models.tables import Table, read_tables
from softchat.prompt.tags import ThinkTags
from softchat.settings import KNOBS

_ROOT = Path(__file__).parents[1]
_LISTED = 20  # names
_FEW = 5  # names in one hint
_NAME = r"(?!.*\.gguf$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME_SAYS = "letters, digits, '.', '_' and '-', and no file name"
_FILE = r"([A-Za-z0-9_][A-Za-z0-9._+-]*/)*[A-Za-z0-9_][A-Za-z0-9._+-]*\.gguf"
_FILE_SAYS = "the path of a .gguf file inside it, like 'folder/model.gguf'"
_SHA256 = "[0-9a-fA-F]{64}"
# These go on pip's command line: nothing in them can be taken for an option, a URL or an extra.
_PACKAGE = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"[0-9][0-9A-Za-z.+!]*"
# These become folders and addresses: no way up, no option, no other host, no password.
_PLACE = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = rf"(?!.*(\.\.|--|\.git$)){_PLACE}/{_PLACE}"
_REVISION = r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_URL = (
    r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/([^\s?#@\\]*/)?"
    r"([A-Za-z0-9_][A-Za-z0-9._+-]*\.gguf)(\?[^\s#]*)?"
)
URL_SAYS = "like 'https://host/folder/model.gguf', without a password or a fragment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every model that has a name."""

    entries: Mapping[str, ModelEntry]
    default: str
    """The name of the model that is used when none is named."""

    def get(self, name: str) -> ModelEntry | None:
        """The model of this name or alias, if there is one."""
        if name in self.entries:
            return self.entries[name]
        return next((entry for entry in self.entries.values() if name in entry.aliases), None)

    def find(self, name: str) -> ModelEntry:
        """The model of this name or alias.

        Raises:
            ModelNotFoundError: there is none; the hint names what was meant, or all there are.

        """
        entry = self.get(name)
        if entry is None:
            message = one_line(f"no model '{name}' in models.toml")
            raise ModelNotFoundError(message, hint=self.near(name) or self._all())
        return entry

    def near(self, name: str) -> str:
        """Which name was meant, as a hint; empty if none is near."""
        aliases = [alias for entry in self.entries.values() for alias in entry.aliases]
        near = difflib.get_close_matches(name.lower(), [*self.entries, *aliases], n=1)
        return f"did you mean '{near[0]}'?" if near else ""

    def _all(self) -> str:
        if len(self.entries) > _FEW:
            return "'softchat models' lists all that have a name; or give the path of a .gguf file"
        return f"there are: {', '.join(self.entries)}; or give the path of a .gguf file"


def user_catalogue(environ: Mapping[str, str]) -> Catalogue:
    """The models that have a name for this user.

    Raises:
        UsageError: a models.toml says something wrong, or SOFTCHAT_MODELS names no file.

    """
    return load_catalogue(default_files(environ))


def own_file(environ: Mapping[str, str]) -> Path:
    """The user's own models.toml, be it there or not: SOFTCHAT_MODELS, else the config folder's."""
    named = environ.get("SOFTCHAT_MODELS")
    return expand(named) if named else config_folder(environ) / "models.toml"


def default_files(environ: Mapping[str, str]) -> list[Path]:
    """The shipped models.toml, and the user's own if there is one.

    Raises:
        UsageError: SOFTCHAT_MODELS names no file.

    """
    own = own_file(environ)
    if is_file(own):
        return [shipped_file(), own]
    if environ.get("SOFTCHAT_MODELS"):
        message = one_line(f"no file {own}")
        hint = "--models-file and SOFTCHAT_MODELS name your models.toml"
        raise UsageError(message, hint=f"{hint}; 'softchat models add' makes one")
    return [shipped_file()]


def load_catalogue(files: Sequence[Path]) -> Catalogue:
    """The models of these files, each file laid over those before it.

    Raises:
        UsageError: a file cannot be read or says something wrong; it names the file and line.

    """
    top = read_tables(files)
    top.allow("default", "models")
    models = top.table("models", required=True)
    entries = {name: _read_entry(name, models) for name in models.values}
    _check_unique(entries.values(), models)
    default = top.text("default")
    catalogue = Catalogue(entries=MappingProxyType(entries), default=default)
    try:
        entry = catalogue.find(default)
    except ModelNotFoundError as error:
        there = ", ".join(itertools.islice(entries, _LISTED)) + ", …" * (len(entries) > _LISTED)
        # 'softchat models' would end in this very error.
        hint = catalogue.near(default) or f"there are: {there}"
        raise top.error("default", error.message, hint=hint) from error
    return replace(catalogue, default=entry.name)


def shipped_file() -> Path:
    """The models.toml that comes with softchat."""
    package = _ROOT
    installed = package / "models.toml"
    # In an editable install the file lies where it is kept: beside the package.
    return installed if installed.is_file() else package.parent / "models.toml"


def _read_entry(name: str, models: Table) -> ModelEntry:
    models.match(name, name, _NAME, _NAME_SAYS, what="name")
    table = models.table(name)
    _refuse_settings(table, name)
    table.allow(
        "aliases", "description", "licence", "gigabytes", "context", "system", "source", "think",
        "lora", "merge", "defaults",
    )  # fmt: skip
    aliases = table.texts("aliases")
    for alias in aliases:
        table.match("aliases", alias, _NAME, _NAME_SAYS, what="alias")
    return ModelEntry(
        name=name,
        aliases=aliases,
        description=table.text("description", ""),
        licence=table.text("licence", ""),
        gigabytes=table.positive("gigabytes") if "gigabytes" in table.values else 0.0,
        context=table.count("context") if "context" in table.values else 0,
        system=table.text("system", ""),
        source=_read_source(table.table("source", required=True)),
        tags=_read_tags(table.table("think"), name) if "think" in table.values else None,
        lora=_read_path(table, "lora") if "lora" in table.values else None,
        merge=_read_merge(table) if "merge" in table.values else False,
        defaults=_read_defaults(table.table("defaults")),
    )


def _read_merge(table: Table) -> bool:
    merge = table.switch("merge")
    if merge and "lora" not in table.values:
        hint = "it makes one file of a model and its adapter: give a lora too, or leave out merge"
        raise table.error("merge", "merge does nothing without a lora", hint=hint)
    return merge


def _read_path(table: Table, key: str) -> Path:
    """The path under the key, from the folder of the file that gives it.

    What the shipped models.toml names lies in the package, wherever that file itself is kept.
    """
    file = table.file_of(key)
    folder = _ROOT if file == shipped_file() else file.absolute().parent
    return folder / expand(table.text(key, form="[^\0]+", says="a path"))


def _read_source(table: Table) -> Source:
    kinds = "'hub', 'wheel', 'url' or 'path'"
    match table.text("type", form="hub|wheel|url|path", says=kinds):
        case "hub":
            return _read_hub(table)
        case "wheel":
            table.allow("type", "package", "version", "file", "sha256", "size")
            return WheelSource(
                package=table.text("package", form=_PACKAGE, says="a package's name alone"),
                version=table.text("version", form=_VERSION, says="one version, like '0.1.2'"),
                file=table.text("file", form=_FILE, says=_FILE_SAYS),
                sha256=_read_sha256(table),
                size=table.count("size"),
            )
        case "url":
            table.allow("type", "url", "sha256", "size")
            url = table.text("url", form=_URL, says=URL_SAYS)
            return UrlSource(
                url=url, file=file_of_url(url), sha256=_read_sha256(table), size=table.count("size")
            )
        case _:
            table.allow("type", "path")
            return PathSource(path=_read_path(table, "path"))


def _read_hub(table: Table) -> HubSource:
    table.allow("type", "repository", "file", "revision", "sha256", "size")
    file = table.text("file", form=_FILE, says=_FILE_SAYS)
    split = part_of(file)
    if split and not 1 == split[1] <= split[2]:
        message = f"part {split[1]} of {split[2]} of a split model"
        raise table.error("file", message, hint="give the first part")
    for key in {"sha256", "size"} & table.values.keys() if split else ():
        message = f"a split model has no one {key}"
        raise table.error(key, message, hint="leave it out: the hub's own is checked")
    return HubSource(
        repository=table.text("repository", form=_REPOSITORY, says="like 'organisation/name'"),
        file=file,
        revision=table.text("revision", "main", form=_REVISION, says="a commit or a branch"),
        sha256=_read_sha256(table) if "sha256" in table.values else "",
        size=table.count("size") if "size" in table.values else 0,
    )


def _read_sha256(table: Table) -> str:
    return table.text("sha256", form=_SHA256, says="64 hex digits").lower()


def check_name(name: str) -> None:
    """Look whether a model can have this name.

    Raises:
        UsageError: it can't.

    """
    if not re.fullmatch(_NAME, name):
        message = one_line(f"a model can't be called '{name}'")
        raise UsageError(message, hint=f"a name is made of {_NAME_SAYS}")


def file_of_url(url: str) -> str:
    """The name of the .gguf file that an https address ends in; empty if it is not like that."""
    match = re.fullmatch(_URL, url)
    return match[3] if match else ""


def _refuse_settings(table: Table, name: str, *, but: Iterable[str] = ("think",)) -> None:
    """Say of a setting that stands in a table of its model where it belongs."""
    for key in table.values:
        if key in KNOBS and key not in but:
            hint = f"it is a setting: it belongs below [models.{name}.defaults]"
            raise table.error(key, f"no key '{key}' here", hint=hint)


def _read_tags(table: Table, name: str) -> ThinkTags:
    names = [knob.name for knob in fields(ThinkTags)]
    _refuse_settings(table, name, but=names)
    table.allow(*names)
    for tag in {"open", "close"} & table.values.keys():
        table.text(tag, form=r"(?s).*\S.*", says="a tag, like '<think>' and '</think>'")
    return ThinkTags(**{name: table.text(name) for name in names if name in table.values})


def _read_defaults(table: Table) -> Mapping[str, object]:
    return MappingProxyType({name: table.setting(name) for name in table.values})


def _check_unique(entries: Iterable[ModelEntry], models: Table) -> None:
    owners: dict[str, str] = {}
    for entry in entries:
        for name in (entry.name, *entry.aliases):
            if name in owners:
                table, key = (
                    (models, name) if name == entry.name else (models.table(entry.name), "aliases")
                )
                message = f"'{name}' already names the model '{owners[name]}'"
                raise table.error(key, message, hint="names and aliases must all differ")
            owners[name] = entry.name
