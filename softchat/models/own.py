"""The user's own models.toml, changed: a model more or less, another default. Comments stay.

Nothing is replaced before the new text has been read and checked as softchat reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from softchat.base.files import (
    alone_in,
    make_private,
    read_file,
    replace_file,
    resolved,
    shown_size,
)
from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError, UsageError
from softchat.models.catalogue import (
    URL_SAYS,
    check_name,
    file_of_url,
    load_catalogue,
    shipped_file,
)
from softchat.models.entry import HubSource, PathSource, UrlSource
from softchat.models.folders import expand, is_file
from softchat.models.locate import check_file, local_file
from softchat.models.tables import parse

_IN_HUB = re.compile(r"hub[:/](?P<repository>[^/:\s]+/[^/:\s]+)[:/](?P<file>\S+)")
_ON_HUB = re.compile(  # an address, behind the hub's own
    r"/(?P<repository>[^/\s]+/[^/\s]+)/(resolve|blob)/(?P<revision>[^/\s]+)/"
    r"(?P<file>[^\s?#]+)(\?\S*)?"
)
_BARE = re.compile(r"(?P<repository>[^/:\s]+/[^/:\s]+)/(?P<file>\S+\.gguf)")
_REPOSITORY = re.compile(r"(?:hf:)?(?P<repository>[^/:\s]+/[^/:\s]+)(?::(?P<quant>\S+))?")
_NEW = "# Your models, laid over those of softchat; docs/models.md is the reference.\n\n"


def read_source(text: str, environ: Mapping[str, str]) -> HubSource | PathSource | UrlSource:
    """What a user means by a source: a path, an https address, or a file on the hub.

    A model of LM Studio or Ollama is the file that it is in their folders. An address comes without
    size and sha256, as nothing is fetched.

    Raises:
        UsageError: it is none of them.
        ModelNotFoundError: there is no such file.
        ModelRefusedError: there is one, but it is no GGUF file.

    """
    hub = _IN_HUB.fullmatch(text) or _on_hub(text)
    local = None if hub else local_file(text, environ)
    if local is not None:
        return PathSource(path=local.absolute())
    if hub is None and not is_file(expand(text)) and not text.startswith(("~", ".", "/")):
        hub = _BARE.fullmatch(text)
    if hub is not None:
        revision = hub.groupdict().get("revision", "main")
        return HubSource(repository=hub["repository"], file=hub["file"], revision=revision)
    whole = None if is_file(expand(text)) else _REPOSITORY.fullmatch(text)
    if whole and not text.startswith(("~", ".", "/")):
        return _of_repository(whole["repository"], whole["quant"] or "")
    if re.match(r"[a-z][a-z0-9+.-]*://", text, re.IGNORECASE):
        name = file_of_url(text)
        if not name:
            message = one_line(f"not an address of a model: {text}")
            raise UsageError(message, hint=f"it must be {URL_SAYS}")
        return UrlSource(url=text, file=name, sha256="", size=0)
    try:
        check_file(expand(text))
    except ModelNotFoundError as error:
        hint = f"{error.hint}; or a hub file: ORG/REPO/FILE.gguf; or https://…/FILE.gguf"
        raise ModelNotFoundError(error.message, hint=hint) from error
    return PathSource(path=expand(text).absolute())


def _of_repository(repository: str, quant: str) -> HubSource:
    """A file of a repository; several are listed, so that one can be named."""
    from softchat.models.hub import list_files, pick_file

    if quant:
        return HubSource(repository=repository, file=pick_file(repository, quant)[0])
    files = list_files(repository)
    if len(files) > 1:
        listed = ", ".join(f"{name} ({shown_size(size)})" for name, size in sorted(files.items()))
        raise UsageError(
            one_line(f"{repository} holds {len(files)} GGUF files"),
            hint=one_line(f"add {repository}/FILE, which is one of: {listed}"),
        )
    return HubSource(repository=repository, file=next(iter(files)))


def _on_hub(text: str) -> re.Match[str] | None:
    if not text.startswith("https://"):
        return None
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    return _ON_HUB.fullmatch(text.removeprefix(hub)) if text.startswith(hub) else None


def check_free(file: Path, name: str) -> None:
    """Look whether a model can be added under this name.

    Raises:
        UsageError: it is no name, or another model's.

    """
    check_name(name)
    known = load_catalogue([shipped_file(), *([file] if is_file(file) else [])])
    if known.get(name) is not None:
        raise UsageError(f"there is a model '{name}' already", hint="choose another name")


def add_model(file: Path, name: str, source: HubSource | PathSource | UrlSource) -> None:
    """Write a model down under a name that is still free.

    Raises:
        UsageError: the name or the source is wrong, or the file can't be changed.

    """
    with _alone(file):
        check_free(file, name)
        _change(file, {("models", name): {"source": _values_of(source)}})


def place_model(file: Path, name: str, path: Path) -> None:
    """Have a model that has a name already be the one in this file.

    Raises:
        UsageError: the file can't be changed.

    """
    with _alone(file):
        _change(file, {("models", name, "source"): _values_of(PathSource(path=path))})


def _values_of(source: HubSource | PathSource | UrlSource) -> dict[str, str | int]:
    """A source as models.toml has it."""
    match source:
        case PathSource(path=path):
            return {"type": "path", "path": str(path)}
        case UrlSource(url=url):
            return {"type": "url", "url": url, "sha256": source.sha256, "size": source.size}
        case HubSource(repository=repository, file=file, revision=revision):
            other = {"revision": revision} if revision != "main" else {}
            return {"type": "hub", "repository": repository, "file": file, **other}


def name_for(model: str) -> str:
    """A name for a model that has none: `ollama/gemma3:270m` → `gemma3-270m`."""
    short = model.rpartition("/")[2].removesuffix(".gguf").removesuffix(":latest")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", short).strip("-._")[:64] or "mine"


def use_model(file: Path, name: str) -> None:
    """Make a model the default.

    Raises:
        UsageError: the file can't be changed.

    """
    with _alone(file):
        _change(file, {("default",): name})


def forget_model(file: Path, name: str) -> bool:
    """Take what this file says of a model out of it; whether it said anything.

    Raises:
        UsageError: the file can't be changed, or names the model as its default.

    """
    with _alone(file):
        text, wanted = _read(file)
        if name not in wanted.get("models", {}):
            return False
        _put(wanted, ("models", name), None, dict)
        shorter = _without(text, name)
        if _says(shorter, wanted):
            _replace(file, shorter)
        else:  # it is no table of its own
            _change(file, {("models", name): None})
        return True


def _without(text: str, name: str) -> str:
    """The text without the tables of a model, and the comments right above them or in them.

    What stands behind the last key of a table is kept: it may be on what follows. tomlkit would
    take it out, too.
    """
    lines = text.split("\n")
    heads = [number for number, line in enumerate(lines) if _header(line)]
    kept = lines[: heads[0]] if heads else lines
    for start, end in pairwise([*heads, len(lines)]):
        if name not in _header(lines[start]).get("models", {}):
            kept += lines[start:end]
            continue
        while kept and kept[-1].lstrip().startswith("#"):
            kept.pop()
        last = end
        while lines[last - 1].lstrip()[:1] in ("", "#"):
            last -= 1
        if not kept or not kept[-1].strip():  # else there would be more empty lines than before
            while last < end and not lines[last].strip():
                last += 1
        kept += lines[last:end]
    return "\n".join(kept)


def _header(line: str) -> dict[str, Any]:
    """What a line says if it is the header of a table, as far as a line can tell; else nothing."""
    try:
        return parse(line.strip()) if line.lstrip().startswith("[") else {}
    except (ValueError, RecursionError):
        return {}


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return _said(parse(text)) == _said(wanted)
    except (ValueError, RecursionError):
        return False


def set_defaults(file: Path, name: str, values: Mapping[str, object]) -> None:
    """Set settings that suit a model; what the file says of others stays.

    Raises:
        UsageError: the file can't be changed.

    """
    way = ("models", name, "defaults")
    with _alone(file):
        _change(file, {(*way, setting): value for setting, value in values.items()})


def defaults_text(name: str, values: Mapping[str, object]) -> str:
    """What `set_defaults` writes into a file that is new."""
    document = tomlkit.document()
    for setting, value in values.items():
        _put(document, ("models", name, "defaults", setting), value, _new_table)
    return tomlkit.dumps(document)


def _new_table() -> Any:  # noqa: ANN401  # a table that tomlkit writes only if it holds values
    return tomlkit.table(is_super_table=True)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """What is done in here is not done by another softchat meanwhile."""
    try:
        folder = resolved(file).parent
        make_private(folder)
        with alone_in(folder):
            yield
    except OSError as error:
        raise _not_written(file, error) from error


def _not_written(file: Path, error: OSError) -> UsageError:
    reason = error.strerror or error
    return UsageError(
        one_line(f"cannot write {file}: {reason}"), hint="may you write it, and is there room?"
    )


def _change(file: Path, changes: Mapping[tuple[str, ...], object]) -> None:
    """Set values by their keys, each reached through tables, all or none; None takes one out."""
    text, wanted = _read(file)
    try:
        document = tomlkit.parse(text)
        for keys, value in changes.items():
            _put(wanted, keys, value, dict)
            _put(document, keys, _written(value), _new_table)
        changed = tomlkit.dumps(document)
        changed.encode()  # a path can be no text
        if not _says(changed, wanted):
            raise ValueError("it would come out as another")
    except UnicodeEncodeError as error:
        raise UsageError(
            one_line(f"{file} can't hold a name that is not UTF-8"), hint="rename the model's file"
        ) from error
    except (TOMLKitError, ValueError, RecursionError) as error:
        message = one_line(f"cannot change {file}: {error}")
        raise UsageError(message, hint="its form is unusual; change it by hand") from error
    _replace(file, changed)


def _put(top: Any, keys: tuple[str, ...], value: object, empty: Callable[[], Any]) -> None:  # noqa: ANN401  # tomlkit's tables are no dicts
    *way, last = keys
    for key in way:
        top = top.setdefault(key, empty())
    if value is None:
        del top[last]
    else:
        top[last] = value


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != {}}


def _written(value: object) -> object:
    if not isinstance(value, dict):
        return value
    has_tables = any(isinstance(inner, dict) for inner in value.values())
    table = tomlkit.table() if has_tables else tomlkit.inline_table()
    for key, inner in value.items():
        table[key] = _written(inner)
    return table


def _replace(file: Path, text: str) -> None:
    file = resolved(file)  # where it is a link, what it leads to is changed

    def check(written: Path) -> None:
        try:
            load_catalogue([shipped_file(), written])
        except UsageError as error:
            message = error.message.replace(str(written), str(file))
            raise UsageError(message, hint=error.hint) from error

    try:
        replace_file(file, text, check=check)
    except OSError as error:
        raise _not_written(file, error) from error


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    """The text of the file and what it says; a new one's, if it is not there yet."""
    try:
        text = read_file(file).decode("utf-8-sig") if file.exists() else _NEW
        return text, parse(text)
    except (OSError, ValueError, RecursionError) as error:
        message = one_line(f"cannot read {file}: {error}")
        raise UsageError(message, hint="put it right by hand first") from error
