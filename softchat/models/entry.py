"""What models.toml says about one model, as values. Knows nothing of TOML, pip, hubs or folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from softchat.prompt.tags import ThinkTags

_TINY = 300e6  # bytes of a model that nobody takes for a real one
_PART = re.compile(r"(?s)(.+)-([0-9]{5})-of-([0-9]{5})\.gguf")


def part_of(name: str) -> tuple[str, int, int] | None:
    """What all parts of a split model are called, which part this is, and of how many.

    `m-00002-of-00003.gguf` is (`m`, 2, 3); the file of a model in one piece is None.
    """
    split = _PART.fullmatch(name)
    return (split[1], int(split[2]), int(split[3])) if split else None


def parts_of(name: str) -> tuple[str, ...]:
    """The names of all files of the model that begins with the file `name`, itself included."""
    split = part_of(name)
    if split is None:
        return (name,)
    stem, _, count = split
    return tuple(f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSource:
    """A file that is on disk already and stays where it is."""

    path: Path

    @property
    def file(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def size(self) -> int:
        """0: nobody says it before the file is looked at."""
        return 0

    def describes(self, path: Path) -> bool:
        """Whether the file at `path` is the one that this source gives."""
        try:
            return self.path.samefile(path)
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """A file known by its content, wherever it comes from."""

    file: str
    """Its path where it comes from, `/` between folders."""
    sha256: str
    size: int
    """Bytes."""

    @property
    def basename(self) -> str:
        """The name it goes by on disk."""
        return PurePosixPath(self.file).name

    def describes(self, path: Path) -> bool:
        """Whether the file at `path` has this name and size (its content is not read)."""
        try:
            return path.name == self.basename and path.stat().st_size == self.size
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource(PinnedFile):
    """A file inside a wheel, which pip gets from whatever index it is set up for."""

    package: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource(PinnedFile):
    """A file behind an https address."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A file of a repository on the Hugging Face Hub, or the files of a split model."""

    repository: str
    """`organisation/name`."""
    file: str
    """Its path in the repository, `/` between folders; of a split model the first part."""
    revision: str = "main"
    """A branch, or 40 hex digits that pin a commit."""
    sha256: str = ""
    """Empty: the one that the hub names. It is always empty for a split model."""
    size: int = 0
    """Bytes; 0: what the hub says."""

    @property
    def basename(self) -> str:
        """The name it goes by on disk."""
        return PurePosixPath(self.file).name

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all its parts in the repository."""
        return parts_of(self.file)

    def describes(self, path: Path) -> bool:
        """Whether the file at `path` has this name, and this size or the repository's name above.

        The hub's own cache and LM Studio have such folders. Its content is not read.
        """
        if path.name != self.basename:
            return False
        if self.size:
            try:
                return path.stat().st_size == self.size
            except OSError:
                return False
        cached = "models--" + self.repository.replace("/", "--")
        return cached in path.parts or f"/{self.repository}/" in path.as_posix()


Source = WheelSource | UrlSource | HubSource | PathSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of models.toml."""

    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""
    source: Source
    gigabytes: float = 0.0
    """About how large it is, for those who ask before it is fetched; 0: not said."""
    tags: ThinkTags | None = None
    """How its thinking is opened and closed; None: as its chat template says."""
    context: int = 0
    """Tokens of context, unless the user asks for others; 0: as for any other model."""
    system: str = ""
    """The system prompt of a user who gives none; empty: none at all."""
    lora: Path | None = None
    """A LoRA adapter that belongs to it."""
    merge: bool = False
    """Whether file and adapter are made one, to be faster: see `engine.merge`."""
    defaults: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Settings by name, each one checked by `softchat.settings.check`."""

    @property
    def told_size(self) -> float:
        """Bytes, exactly or about, before the file is here; 0: not said."""
        return self.source.size or self.gigabytes * 1e9

    @property
    def caution(self) -> str:
        """What somebody who did not choose it should know of it; or nothing."""
        if not 0 < self.told_size < _TINY:
            return ""
        return "a tiny model, for trying things on"
