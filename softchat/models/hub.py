"""Models on the Hugging Face Hub: its own client fetches them into the cache that programs share.

So HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they always mean, and what another
program has fetched is not fetched twice. That client compares sizes; the sha256 is compared here.
Knows nothing of entries, or of what was verified before.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    get_session,
    hf_hub_download,
    hf_hub_url,
    scan_cache_dir,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import tqdm

from softchat.base.files import resolved
from softchat.base.text import one_line
from softchat.base.version import __version__
from softchat.errors import ModelNotFoundError, ModelRefusedError
from softchat.models.entry import HubSource
from softchat.models.progress import OnProgress, Progress, Stage
from softchat.models.url import refuse_plain
from softchat.models.verified import Part

_CHUNK = 1 << 22  # bytes
_SHOWN = 6  # names in a hint
_STALE_S = 24 * 60 * 60
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAMES = re.compile(r"[A-Za-z0-9_-]*")  # of blobs and snapshots: nothing that leads elsewhere
_UNFINISHED = "*." + "[0-9a-f]" * 8 + ".incomplete"  # no process goes on with another's
# ValueError: a name that the client finds wrong. RuntimeError: what its part in Rust raises.
_FAILURES = (httpx2.HTTPError, OSError, EntryNotFoundError, ValueError, RuntimeError)
_NAME: dict[str, Any] = {"library_name": "softchat", "library_version": __version__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a file should be, to check it by."""

    file: str
    sha256: str
    size: int
    here: bool
    """Whether the cache holds it already."""


def list_files(repository: str) -> dict[str, int]:
    """The GGUF files of a repository, with their sizes; of a split model the first part.

    Raises:
        ModelNotFoundError: there is no such repository, or no hub, or it has none.

    """
    _guard()
    try:
        tree = list(HfApi(**_NAME).list_repo_tree(repository, recursive=True))
    except _FAILURES as error:
        failed = _not_had(HubSource(repository=repository, file=""), "", error)
        failed.hint = failed.hint or "connect to a network; 'softchat models' lists what is here"
        raise failed from error
    sizes = {one.path: int(one.size) for one in tree if isinstance(one, RepoFile)}
    later = re.compile(r"-(?!00001)[0-9]{5}-of-[0-9]{5}\.gguf$")
    found = {
        name: size
        for name, size in sizes.items()
        if name.endswith(".gguf") and not later.search(name) and "mmproj" not in name.lower()
    }
    if not found:
        hint = "repositories with GGUF files often have -GGUF at the end of their name"
        raise ModelNotFoundError(one_line(f"there is no GGUF file in {repository}"), hint=hint)
    return found


def pick_file(repository: str, quant: str = "") -> tuple[str, int]:
    """The file of a repository with this quantisation, and its size.

    Without one it is the only file, or a Q4_K_M, or the smallest that has at least four bits.

    Raises:
        ModelNotFoundError: there is none, or the quantisation is of none of its files.

    """
    files = list_files(repository)
    wanted = [name for name in files if quant.lower() in name.lower()]
    if not wanted:
        has = ", ".join(sorted(files)[:_SHOWN])
        raise ModelNotFoundError(
            one_line(f"{repository} has no file with {quant} in its name"),
            hint=one_line(f"has: {has}"),
        )
    for usual in ("q4_k_m", "q4_k_s", "q4_0", "q5_k_m", "q8_0"):
        wanted = [name for name in wanted if usual in name.lower()] or wanted
        if len(wanted) == 1:
            break
    name = min(wanted, key=lambda one: (files[one], one))
    return name, files[name]


def look_up(source: HubSource) -> list[Claim]:
    """What the hub says of the files of this source; without a hub, what the cache holds.

    Raises:
        ModelNotFoundError: there is no such file, or no hub; the message is the reason alone.
        ModelRefusedError: it is not the file that models.toml describes.

    """
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # a bar is drawn meanwhile
    _guard()
    claims = [_claim(source, file) for file in source.files]
    for claim in claims:
        if source.sha256 and claim.sha256 != source.sha256:
            raise _differs(claim, f"it has the sha256 {claim.sha256}")
        if source.size and claim.size != source.size:
            raise _differs(claim, f"it has {claim.size} bytes")
    return claims


def download(source: HubSource, claims: Sequence[Claim], progress: OnProgress) -> list[Part]:
    """Fetch what the cache does not hold, and verify all of it.

    Raises:
        ModelNotFoundError: it can't be fetched; the message is the reason alone.
        ModelRefusedError: it is not what the hub says; it is taken out of the cache.

    """
    total = sum(claim.size for claim in claims)
    _sweep(source)
    told = _Told(progress, Stage.DOWNLOAD, total)
    paths = [_fetched(source, claim, told) for claim in claims]
    told = _Told(progress, Stage.VERIFY, total)
    homes = (resolved(Path(constants.HF_HUB_CACHE)), resolved(_folder(source)))
    for claim, path in zip(claims, paths, strict=True):
        if not any(resolved(path).is_relative_to(home) for home in homes):
            raise _differs(claim, "the cache holds a link to somewhere else under its name")
    return [_verified(claim, path, told) for claim, path in zip(claims, paths, strict=True)]


def missing_bytes(claims: Iterable[Claim]) -> int:
    """How much of it there is to fetch."""
    return sum(claim.size for claim in claims if not claim.here)


def cache_folder() -> Path:
    """The cache, or the folder above it that is there already."""
    folder = Path(constants.HF_HUB_CACHE).absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


def free_bytes() -> int:
    """Bytes free on the disk of the cache."""
    return shutil.disk_usage(cache_folder()).free


def remove(paths: Iterable[Path]) -> None:
    """Take these files out of the cache. What another revision shares with them stays."""
    wanted = set(paths)
    cache = scan_cache_dir()
    files = [
        file
        for repository in cache.repos
        for revision in repository.revisions
        for file in revision.files
        if file.file_path in wanted
    ]
    cache.delete_files(*files).execute()


class _Told:
    """Bytes of all the files of a source together, as they come."""

    def __init__(self, progress: OnProgress, stage: Stage, total: int) -> None:
        self._progress, self._stage, self._total = progress, stage, total
        self._before = self._done = 0

    def file_is_at(self, done: int) -> None:
        """So many bytes of the present file are there."""
        done = min(self._before + done, self._total)
        if done > self._done:  # the client's two bars, bytes come and bytes written, tell one story
            self._done = done
            self._progress(Progress(stage=self._stage, done=done, total=self._total))

    def file_is_whole(self, size: int) -> None:
        """The present file is done."""
        self._before += size
        self._done = max(self._done, self._before)


def _claim(source: HubSource, file: str) -> Claim:
    url = hf_hub_url(source.repository, file, revision=source.revision)
    try:
        said = get_hf_file_metadata(url, **_NAME)
    except _FAILURES as error:
        path = try_to_load_from_cache(source.repository, file, revision=source.revision)
        if not isinstance(path, str):
            raise _not_had(source, file, error) from error
        return _claim_of_cache(source, file, Path(path))
    etag, commit = said.etag or "", said.commit_hash or ""
    if not _SHA256.fullmatch(etag) or not _COMMIT.fullmatch(commit) or not said.size:
        raise ModelNotFoundError(
            f"{url} comes without a sha256, a commit or a size",
            hint="is HF_ENDPOINT a hub? a .gguf that is not in LFS can't be verified",
        )
    here = try_to_load_from_cache(source.repository, file, revision=commit)
    return Claim(file=file, sha256=etag, size=said.size, here=isinstance(here, str))


def _claim_of_cache(source: HubSource, file: str, path: Path) -> Claim:
    # The cache calls a blob by the sha256 that the hub gave; where it can't link, it copies.
    blob = path.readlink().name if path.is_symlink() else ""
    sha256 = blob if _SHA256.fullmatch(blob) else source.sha256
    if not sha256:
        raise ModelNotFoundError(
            f"nothing to verify {path.name} by without the hub",
            hint="go online once, or give its sha256 in models.toml",
        )
    return Claim(file=file, sha256=sha256, size=path.stat().st_size, here=True)


def _fetched(source: HubSource, claim: Claim, told: _Told) -> Path:
    try:
        path = hf_hub_download(
            source.repository,
            claim.file,
            revision=source.revision,
            tqdm_class=_bar(told.file_is_at),
            **_NAME,
        )
    except _FAILURES as error:
        raise _not_had(source, claim.file, error) from error
    told.file_is_whole(claim.size)
    return Path(path)


def _bar(report: Callable[[int], None]) -> type[tqdm]:
    class Bar(tqdm):
        """What the client draws a bar with; this one draws nothing."""

        def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401  # tqdm's own
            more["disable"] = True  # whoever listens to `report` draws
            super().__init__(*args, **more)  # type: ignore[no-untyped-call]  # theirs
            self.n = more.get("initial", 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            report(int(self.n))
            return None

    return Bar


def _verified(claim: Claim, path: Path, told: _Told) -> Part:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            told.file_is_at(size)
    told.file_is_whole(claim.size)
    if (size, digest.hexdigest()) != (claim.size, claim.sha256):
        remove([path])  # else it would be taken for right the next time
        how = f"{size} bytes with the sha256 {digest.hexdigest()}, not {claim.size} with"
        raise _differs(claim, f"it has {how} {claim.sha256}")
    return Part(path=str(path), sha256=claim.sha256, size=size)


def _guard() -> None:
    """Have the client's session refuse what it would follow or use as a name.

    It tells of each of its tries to connect: what became of them is told here.
    """
    logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)
    hooks = get_session().event_hooks
    if _refuse_names not in hooks["response"]:
        hooks["response"].append(_refuse_names)
        # A hub on plain http is the user's own choice (HF_ENDPOINT); to be led there is not.
        if constants.ENDPOINT.startswith("https://"):
            hooks["request"].append(refuse_plain)


def _refuse_names(response: httpx2.Response) -> None:
    # The client calls files and folders by what the hub says, and does not look at it.
    for header in ("ETag", "X-Linked-Etag", "X-Repo-Commit") * (response.request.method == "HEAD"):
        name = response.headers.get(header, "").removeprefix("W/").strip('"')
        if not _NAMES.fullmatch(name):
            message = one_line(f"the hub's {header} is {name}")
            raise ModelRefusedError(message, hint="is HF_ENDPOINT a hub that can be trusted?")


def _sweep(source: HubSource) -> None:
    # What a killed process left; a day without a write spares those who are still at work.
    for file in (_folder(source) / "blobs").glob(_UNFINISHED):
        with suppress(OSError):  # another's, gone just now
            if time.time() - file.stat().st_mtime > _STALE_S:
                file.unlink()


def _folder(source: HubSource) -> Path:
    return Path(constants.HF_HUB_CACHE, "models--" + source.repository.replace("/", "--"))


def _not_had(source: HubSource, file: str, error: Exception) -> ModelNotFoundError:
    repository = source.repository
    match error:
        case OfflineModeIsEnabled():
            reason, hint = "the hub is off (HF_HUB_OFFLINE)", "unset HF_HUB_OFFLINE once"
        case GatedRepoError():
            reason = f"{repository} is given to those who agree to its terms"
            hint = f"agree at {constants.ENDPOINT}/{repository}, and set HF_TOKEN"
        case RevisionNotFoundError():
            reason, hint = f"{repository} has no revision {source.revision}", "is it right?"
        case RepositoryNotFoundError():
            reason = f"there is no {repository} on the hub, or it is private"
            hint = "is the name right? a private one needs HF_TOKEN"
        case EntryNotFoundError() if not isinstance(error, FileNotFoundError):
            reason = f"there is no {file} in {repository}"
            hint = f"see {constants.ENDPOINT}/{repository}/tree/{source.revision}"
        case _:
            lines = str(error).strip().splitlines()
            reason = f"{constants.ENDPOINT}: {lines[0] if lines else type(error).__name__}"
            hint = ""
    return ModelNotFoundError(one_line(reason), hint=hint)


def _differs(claim: Claim, how: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"{claim.file} is not the file that it should be: {how}",
        hint="nothing was kept; is the hub to be trusted, and models.toml right?",
    )
