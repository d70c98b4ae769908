"""Models that other programs have put on this disk. Reads folders and manifests, no model.

    hub/ORG/REPO/FILE.gguf        the Hugging Face cache: HF_HUB_CACHE, HF_HOME/hub,
                                  XDG_CACHE_HOME/huggingface/hub
    lmstudio/ORG/REPO/FILE.gguf   LM Studio: ~/.lmstudio/models, ~/.cache/lm-studio/models
    ollama/NAME:TAG               Ollama: OLLAMA_MODELS, ~/.ollama/models

Names, folders and manifests are untrusted: what does not look like a model of that program is
passed over, and nothing outside its folder is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from softchat.models.folders import expand, is_file

LOCAL = ("hub/", "lmstudio/", "ollama/")  # what their names begin with
_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LATER_PART = re.compile(r"-(?!00001)[0-9]{5}-of-[0-9]{5}\.gguf$")
_NO_MODEL = re.compile(r"(^|[-._])(mmproj|lora|vocab)([-._]|$)", re.IGNORECASE)
_LONGEST_MANIFEST = 1 << 20  # bytes; a real one has a few thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model file that another program owns."""

    name: str
    """What `-m` takes."""
    path: Path
    size: int
    """Bytes, of the first file of a split model."""


def local_models(environ: Mapping[str, str]) -> list[LocalModel]:
    """All that are found, by name."""
    found = [*_hub(environ), *_lm_studio(), *_ollama(environ)]
    return sorted(found, key=lambda model: model.name)


def _hub(environ: Mapping[str, str]) -> Iterator[LocalModel]:
    caches = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = expand(environ.get("HF_HOME") or f"{caches}/huggingface")
    cache = expand(environ["HF_HUB_CACHE"]) if environ.get("HF_HUB_CACHE") else home / "hub"
    seen = set()
    for path in _ggufs(cache, "models--*/snapshots/*"):
        repository, _, _revision, *inside = path.relative_to(cache).parts
        name = "/".join(["hub", *repository.removeprefix("models--").split("--", 1), *inside])
        if name not in seen:  # several revisions: any of them is a model of this name
            seen.add(name)
            yield from _model(name, path)


def _lm_studio() -> Iterator[LocalModel]:
    seen = set()
    for folder in (expand("~/.lmstudio/models"), expand("~/.cache/lm-studio/models")):
        for path in _ggufs(folder, "*/*"):
            name = "/".join(["lmstudio", *path.relative_to(folder).parts])
            if name not in seen:
                seen.add(name)
                yield from _model(name, path)


def _ollama(environ: Mapping[str, str]) -> Iterator[LocalModel]:
    root = expand(environ.get("OLLAMA_MODELS") or "~/.ollama/models")
    manifests = root / "manifests"
    for path in _sorted(manifests, "*/*/*/*"):
        _, namespace, model, tag = path.relative_to(manifests).parts
        owner = "" if namespace == "library" else f"{namespace}/"
        digest = _ollama_digest(path)
        if digest is not None:
            blob = root / "blobs" / digest.replace(":", "-")
            yield from _model(f"ollama/{owner}{model}:{tag}", blob)


def _ollama_digest(manifest: Path) -> str | None:
    try:
        if manifest.stat().st_size > _LONGEST_MANIFEST:
            return None
        layers = json.loads(manifest.read_bytes())["layers"]
        digests = [layer["digest"] for layer in layers if layer["mediaType"] == _OLLAMA_MODEL]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # Only a digest names a blob: nothing else can lead out of the folder.
    good = [d for d in digests if isinstance(d, str) and _DIGEST.fullmatch(d)]
    return good[0] if good else None


def _ggufs(folder: Path, below: str) -> Iterator[Path]:
    for path in _sorted(folder, f"{below}/**/*.gguf"):
        if not _LATER_PART.search(path.name) and not _NO_MODEL.search(path.stem):
            yield path


def _sorted(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except (OSError, ValueError):
        return []


def _model(name: str, path: Path) -> Iterator[LocalModel]:
    if is_file(path) and name.isprintable():
        with suppress(OSError):
            yield LocalModel(name=name, path=path, size=path.stat().st_size)
