"""The folder of fetched files, private to the user. Knows nothing of where a file comes from.

A file's final name holds part of its sha256 and appears only when the whole content has been
written to disk and has that size and sha256. So whoever finds the name can trust it without
reading the file again, and an entry that changes never meets the old file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from softchat.base.files import make_private
from softchat.errors import ModelRefusedError
from softchat.models.entry import PinnedFile
from softchat.models.folders import models_folder

_WORKSPACE = ".tmp-"
_STALE_S = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The fetched files under one folder."""

    root: Path

    def path_of(self, file: PinnedFile) -> Path:
        """Where the file is kept, be it there or not."""
        return self.root / file.sha256[:16] / file.basename

    def find(self, file: PinnedFile) -> Path | None:
        """The kept file, if it is there and still has its size."""
        path = self.path_of(file)
        return path if file.describes(path) else None

    def keep(self, file: PinnedFile, chunks: Iterable[bytes]) -> Path:
        """Write the chunks to disk and, if they are this very file, give them its final name.

        Raises:
            ModelRefusedError: they are too many, too few or others.
            OSError: they cannot be written.

        """
        with self._written(_at_most(file, chunks)) as (part, size, sha256):
            if size < file.size:
                raise _differs(file, f"it ends after {size} of {file.size} bytes")
            if sha256 != file.sha256:
                raise _differs(file, f"its sha256 is {sha256}, not {file.sha256}")
            return self._place(part, file)

    def keep_new(self, name: str, chunks: Iterable[bytes]) -> PinnedFile:
        """Keep a file called `name` of which nothing is known yet; what it turned out to be.

        Raises:
            OSError: it cannot be written.

        """
        with self._written(chunks) as (part, size, sha256):
            file = PinnedFile(file=name, sha256=sha256, size=size)
            self._place(part, file)
            return file

    @contextmanager
    def _written(self, chunks: Iterable[bytes]) -> Iterator[tuple[Path, int, str]]:
        """The chunks in a file that goes unless it is moved, with its size and sha256."""
        digest = hashlib.sha256()
        size = 0
        with (
            self.workspace() as folder,
            tempfile.NamedTemporaryFile(dir=folder, delete=False) as part,
        ):
            for chunk in chunks:
                size += len(chunk)
                part.write(chunk)
                digest.update(chunk)
            part.flush()
            os.fsync(part.fileno())
            part.close()
            yield Path(part.name), size, digest.hexdigest()

    def _place(self, part: Path, file: PinnedFile) -> Path:
        final = self.path_of(file)
        make_private(final.parent)
        os.replace(part, final)  # noqa: PTH105  # atomic, also when two do it at once
        return final

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder of one's own on the same disk, gone afterwards whatever happens."""
        make_private(self.root)
        self._sweep()
        folder = Path(tempfile.mkdtemp(prefix=_WORKSPACE, dir=self.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def free(self) -> int:
        """Bytes free on the store's disk."""
        make_private(self.root)
        return shutil.disk_usage(self.root).free

    def _sweep(self) -> None:
        # What a killed process left. A day spares those who are still at work.
        for folder in self.root.glob(f"{_WORKSPACE}*"):
            with suppress(OSError):  # another's, gone just now
                if time.time() - folder.stat().st_mtime > _STALE_S:
                    shutil.rmtree(folder, ignore_errors=True)


def default_store(environ: Mapping[str, str]) -> Store:
    """The user's store: under SOFTCHAT_HOME, else where the system keeps caches."""
    return Store(root=models_folder(environ))


def _at_most(file: PinnedFile, chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > file.size:
            raise _differs(file, f"it is longer than {file.size} bytes")
        yield chunk


def _differs(file: PinnedFile, how: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"what was fetched is not the {file.basename} of models.toml: {how}",
        hint="nothing was kept; is the index or mirror to be trusted, and models.toml right?",
    )
