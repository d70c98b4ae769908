"""A model's file, found: from what a user calls the model to the path to open.

Reads no more of a file than its first bytes; knows nothing of what is inside a GGUF.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from softchat.base.files import is_dangling, resolved, shown_size
from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models.catalogue import Catalogue, user_catalogue
from softchat.models.entry import HubSource, ModelEntry, PathSource, part_of, parts_of
from softchat.models.fetch import fetch, installed
from softchat.models.folders import expand, is_file
from softchat.models.kind import BEGINNING, refuse_no_model
from softchat.models.local import LOCAL, local_models
from softchat.models.near import near_names, on_this_disk
from softchat.models.progress import OnProgress
from softchat.models.store import Store, default_store
from softchat.prompt.tags import ThinkTags

HUB = "hf:"
_SHOWN = 3  # names in one hint
_LARGE = 1e9  # bytes; more than that is not fetched unasked
_PIECE = re.compile(r"(?P<whole>.+\.gguf)[.-]part-?(?P<part>\d+)of(?P<count>\d+)", re.IGNORECASE)
_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"),
)

Agree = Callable[[ModelEntry], bool]
"""Asked before more than 1 GB is fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A model to open."""

    name: str
    path: Path
    entry: ModelEntry | None
    """What models.toml says about it; None for a file that it does not know."""
    note: str = ""
    """What the user should know of how it was found."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All parts of a split model; of others the one file."""
        return tuple(self.path.with_name(name) for name in parts_of(self.path.name))

    @property
    def spec(self) -> str:
        """What `-m` would call it: its name, or its file."""
        return self.name if self.entry else str(self.path.absolute())

    @property
    def context(self) -> int:
        """Tokens of context that suit it; 0: nothing is known."""
        return self._known.context

    @property
    def system(self) -> str:
        """Its system prompt, empty for none."""
        return self._known.system

    @property
    def tags(self) -> ThinkTags | None:
        """How its thinking is opened and closed; None: as its chat template says."""
        return self._known.tags

    @property
    def defaults(self) -> Mapping[str, object]:
        """The settings that suit it."""
        return self._known.defaults

    @property
    def lora(self) -> Path | None:
        """The LoRA adapter that belongs to it.

        Raises:
            ModelNotFoundError: it is not there.

        """
        path = self._known.lora
        if path is not None and not is_file(path):
            raise ModelNotFoundError(
                one_line(f"{self.name} has an adapter in models.toml that is not there: {path}"),
                hint="mend its lora there, or leave it out for once: --lora none",
            )
        return path

    @property
    def merge(self) -> bool:
        """Whether that adapter is made one with the file."""
        return self._known.merge

    @property
    def _known(self) -> ModelEntry:
        return self.entry or ModelEntry(name=self.name, source=PathSource(path=self.path))


def find_model(
    spec: str | None,
    *,
    environ: Mapping[str, str] = os.environ,
    progress: OnProgress = lambda _: None,
    agree: Agree = lambda _: True,
) -> Located:
    """`locate` in this user's own models.toml and store, and on the rest of this disk.

    Args:
        spec: a name, a path, `hf:ORG/REPO[:QUANT]`; None is the default model.
        environ: where to look.
        progress: told how far a fetch has come.
        agree: see `Agree`.

    Raises:
        UsageError: a models.toml says something wrong.
        ModelNotFoundError: there is no such name or file, or it cannot be fetched.
        ModelRefusedError: there is, but it is no GGUF file, or only a part of one.

    """
    catalogue = user_catalogue(environ)
    local = local_file(spec, environ) if spec else None
    if local is not None:
        check_file(local)
        return Located(name=spec or "", path=local, entry=entry_of(local, catalogue))
    store = default_store(environ)
    if spec and not is_path(spec, catalogue):
        here = on_this_disk(spec, catalogue=catalogue, store=store, environ=environ)
        if here is not None:
            check_file(here.path)
            note = f"{spec} is {here.name}, which is on this disk"
            if entry := catalogue.get(spec):
                note += f"; -m {entry.name} would fetch {shown_size(entry.told_size or None)}"
            known = entry_of(here.path, catalogue)
            return Located(name=here.name, path=here.path, entry=known, note=one_line(note))
    try:
        if spec and spec.startswith(HUB):
            return _fetched(_on_hub(spec, environ), store, progress, agree)
        return locate(spec, catalogue=catalogue, store=store, progress=progress, agree=agree)
    except ModelNotFoundError as error:
        if spec and not is_path(spec, catalogue) and catalogue.get(spec) is None:
            near = near_names(spec, catalogue=catalogue, store=store, environ=environ)
            error.hint = one_line(f"did you mean {_listed(near)}?") if near else error.hint
        raise


def is_known(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a models.toml has a model of this very name, be it here or not."""
    return name in user_catalogue(environ).entries


def is_here(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a model of this very name is on this disk; nothing is fetched."""
    entry = user_catalogue(environ).entries.get(name)
    if entry is not None:
        return installed(entry, store=default_store(environ)) is not None
    return any(model.name == name for model in local_models(environ))


def _on_hub(spec: str, environ: Mapping[str, str]) -> ModelEntry | Located:
    """What `hf:ORG/REPO[:QUANT]` means: a file that the cache has, or one to fetch."""
    from softchat.models.hub import pick_file

    repository, _, quant = spec.removeprefix(HUB).partition(":")
    if not all(repository.partition("/")):
        hint = "hf:ORG/REPO, or hf:ORG/REPO:QUANT"
        raise ModelNotFoundError(one_line(f"{spec} names no repository"), hint=hint)
    begins = f"hub/{repository}/".lower()
    for model in local_models(environ):
        if model.name.lower().startswith(begins) and quant.lower() in model.name.lower():
            return Located(name=model.name, path=model.path, entry=None)
    file, size = pick_file(repository, quant)
    source = HubSource(repository=repository, file=file)
    name = repository.rpartition("/")[2]
    return ModelEntry(name=name, source=source, gigabytes=size / 1e9)


def _fetched(
    entry: ModelEntry | Located, store: Store, progress: OnProgress, agree: Agree
) -> Located:
    """A model's file, fetched if it is not here and the user agrees."""
    if isinstance(entry, Located):
        return entry
    if entry.told_size > _LARGE and installed(entry, store=store) is None and not agree(entry):
        raise ModelNotFoundError(
            one_line(f"'{entry.name}' is not here; it has {shown_size(entry.told_size)}"),
            hint=one_line(f"softchat models pull {entry.name} fetches it"),
        )
    path = fetch(entry, store=store, progress=progress)
    check_file(path)
    return Located(name=entry.name, path=path, entry=entry)


def local_file(spec: str, environ: Mapping[str, str]) -> Path | None:
    """The file of another program's model, if that is what `spec` names.

    Raises:
        ModelNotFoundError: it names one that is not here.

    """
    if not spec.startswith(LOCAL) or is_file(expand(spec)):
        return None
    models = {model.name: model.path for model in local_models(environ)}
    if spec in models:
        return models[spec]
    near = difflib.get_close_matches(spec, models, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "'softchat models' lists those that are here"
    raise ModelNotFoundError(one_line(f"no model '{spec}' on this disk"), hint=one_line(hint))


def locate(
    spec: str | None,
    *,
    catalogue: Catalogue,
    store: Store,
    progress: OnProgress,
    agree: Agree = lambda _: True,
) -> Located:
    """The model that `spec` names, by name, alias or path; None is the default model.

    Raises:
        ModelNotFoundError: there is no such name or file, or it cannot be fetched.
        ModelRefusedError: there is, but it is no GGUF file, or only a part of one.

    """
    spec = catalogue.default if spec is None else spec
    if is_path(spec, catalogue):
        path = expand(spec)
        check_file(path)
        entry = entry_of(path, catalogue)
        return Located(name=entry.name if entry else path.stem, path=path, entry=entry)
    return _fetched(catalogue.find(spec), store, progress, agree)


def is_path(spec: str, catalogue: Catalogue) -> bool:
    """Whether `spec` is the path of a file, not a name."""
    separators = [os.sep, os.altsep or os.sep]
    if spec.endswith(".gguf") or spec.startswith(("~", ".")) or any(s in spec for s in separators):
        return True
    # A name keeps its meaning in a folder that happens to hold a file called the same.
    return catalogue.get(spec) is None and is_file(expand(spec))


def entry_of(path: Path, catalogue: Catalogue) -> ModelEntry | None:
    """What models.toml says about the file at `path`, if it knows it."""
    entries = catalogue.entries.values()
    return next((entry for entry in entries if entry.source.describes(path)), None)


def check_file(path: Path) -> None:
    """Look whether there is a GGUF file at `path`, of a split model the first of all its parts.

    Raises:
        ModelNotFoundError: there is none, or a part is missing.
        ModelRefusedError: it can't be read, is no GGUF file, or a later part.

    """
    if not is_file(path):
        raise _no_file(path)
    _check_parts(path)
    if piece := _PIECE.fullmatch(path.name):
        whole, count = piece["whole"], piece["count"]
        raise ModelRefusedError(
            one_line(f"{path} is piece {piece['part']} of {count} of one file"),
            hint=one_line(f"join them: cat {_pieces(piece.string, count)} > {whole}"),
        )
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
    except OSError as error:
        hint = "may you read it? softchat only reads models"
        raise ModelRefusedError(
            one_line(f"cannot read {path}: {error.strerror}"), hint=hint
        ) from error
    magic = beginning[:4]
    if magic != b"GGUF":
        begins = f"it begins with {magic!r}" if magic else "it is empty"
        raise ModelRefusedError(
            one_line(f"not a GGUF file: {path}"), hint=f"{begins}; softchat opens llama.cpp's .gguf"
        )
    refuse_no_model(path, beginning, whole=part_of(path.name) is None)


def _check_parts(path: Path) -> None:
    split = part_of(path.name)
    if split is None:
        return
    _, part, count = split
    names = parts_of(path.name)
    if part > 1 and names:
        message = f"{path} is part {part} of a model in {count} parts"
        raise ModelRefusedError(one_line(message), hint=one_line(f"give the first: {names[0]}"))
    missing = [name for name in names if not is_file(path.with_name(name))]
    if missing:
        message = f"{path} is a model in {count} parts, not all of them here"
        raise ModelNotFoundError(one_line(message), hint=f"missing: {_listed(missing)}")


def _pieces(name: str, count: str) -> str:
    """The names of all pieces, in their order."""
    return " ".join(re.sub(r"\d+of", f"{n}of", name) for n in range(1, min(int(count), 9) + 1))


def _no_file(path: Path) -> ModelNotFoundError:
    try:
        resolved(path)
    except OSError as error:
        message = one_line(f"cannot read {path}: {error.strerror}")
        return ModelNotFoundError(message, hint="mend it, or give another file")
    except ValueError:  # a name that can be none
        pass
    if is_dangling(path):
        message = one_line(f"{path} is a link to nothing")
        return ModelNotFoundError(message, hint="mend it, or give another file")
    if kind := _special(path):
        message = one_line(f"{path} is {kind}, not a file")
        return ModelNotFoundError(message, hint="a model is opened more than once: give a file")
    pieces = [name for name in _names_in(path.parent) if name.startswith(f"{path.name}.part")]
    if pieces:
        hint = f"it is here in pieces; join them: cat {' '.join(pieces[:9])} > {path.name}"
        return ModelNotFoundError(one_line(f"no file {path}"), hint=one_line(hint))
    inside = _ggufs_in(path)
    if inside is not None:
        hint = f"give one of its files: {_listed(inside)}" if inside else "there is no .gguf in it"
        return ModelNotFoundError(one_line(f"a folder, not a file: {path}"), hint=hint)
    near = difflib.get_close_matches(path.name, _ggufs_in(path.parent) or [], n=_SHOWN)
    hint = f"did you mean {_listed(near)}?" if near else "give the path of a .gguf file, or a name"
    return ModelNotFoundError(one_line(f"no file {path}"), hint=hint)


def _special(path: Path) -> str:
    """What it is, if it is there and neither a file nor a folder; else empty."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return next((name for test, name in _SPECIAL if test(mode)), "")


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []


def _ggufs_in(folder: Path) -> list[str] | None:
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".gguf"]
        return sorted(path.name for path in found if path.is_file())
    except (OSError, ValueError):
        return None  # no folder, or closed to us


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return one_line(", ".join(names[:_SHOWN]) + more)
