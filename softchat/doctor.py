"""What a bug report needs to know of this machine and this softchat, and what is wrong with them.

Fetches nothing and changes nothing. Whatever is told goes through `Private` first: no name of the
user, no home folder, no value of a variable. Knows no terminal. llama.cpp is asked in workers, as
sessions do it: where it can't run, this goes on.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from softchat.base.version import __version__
from softchat.config.file import Config, load_config
from softchat.engine import system
from softchat.engine.shortage import CLOSE, is_shortage
from softchat.engine.system import Build
from softchat.engine.threads import default_threads
from softchat.errors import SoftchatError
from softchat.models import Located, find_model
from softchat.models.catalogue import own_file, user_catalogue
from softchat.models.fetch import installed
from softchat.models.folders import config_folder, is_file, models_folder, state_folder
from softchat.models.local import LOCAL
from softchat.models.locate import is_path
from softchat.models.machine import fits, memory_bytes
from softchat.models.store import default_store
from softchat.provenance import cpu_name
from softchat.talk.load import Load
from softchat.talk.worker.process import Worker, is_isolated
from softchat.talk.worker.remote import WorkerBackend, pace

_PACKAGES = (
    "llama-cpp-python", "numpy", "rich", "prompt-toolkit", "typer", "jinja2", "huggingface-hub",
)  # fmt: skip
# Variables that change what softchat does: their names are told, never their values.
_VARIABLES = re.compile(r"(SOFTCHAT|GGML|LLAMA|OMP|HF)_[A-Z0-9_]+|NO_COLOR|PAGER|INPUTRC")
# What makes a model several times slower if the processor has it and the build does not use it.
_WORTH_MUCH = {"AVX", "AVX2", "FMA", "F16C", "NEON", "DOTPROD"}
_LITTLE_ROOM = 64 << 20  # bytes
_SHORT_CONTEXT = 512  # positions, as many as the self-test has
_REBUILD = "pip install --force-reinstall --no-cache-dir --no-binary=:all: llama-cpp-python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong, and a way out."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found."""

    facts: Mapping[str, Mapping[str, Any]]
    """By topic, as JSON holds it; sizes in bytes."""
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        problems = [{"what": one.what, "hint": one.hint} for one in self.problems]
        return {**self.facts, "problems": problems}


def look_at_build(environ: Mapping[str, str]) -> Build:
    """What llama.cpp says of itself; in a worker, if it gets one.

    Raises:
        SoftchatError: the worker does not start, or dies.

    """
    if not is_isolated(environ):
        return system.build()
    with closing(Worker()) as worker:
        return Build.read(worker.call("build"))


def try_load(found: Located) -> None:
    """Have a worker load a model and prove it.

    Raises:
        SoftchatError: it is refused, or kills the worker.

    """
    with closing(Worker()) as worker:
        WorkerBackend(worker, Load.of(found, n_ctx=_SHORT_CONTEXT))


def try_steps(found: Located, environ: Mapping[str, str]) -> tuple[float, float]:
    """Soft step ÷ bare decode, and bare decodes a second; raises as `try_load`."""
    if is_isolated(environ):
        with closing(Worker()) as worker:
            return pace(worker, Load.of(found, n_ctx=_SHORT_CONTEXT))
    from softchat.talk.pace import soft_to_bare  # loads numpy and llama.cpp here

    return soft_to_bare(found.path, found.name)


def examine(
    environ: Mapping[str, str],
    *,
    build: Callable[[Mapping[str, str]], Build] = look_at_build,
    load: Callable[[Located], None] = try_load,
    self_test: Callable[[Located, Mapping[str, str]], tuple[float, float]] = try_steps,
) -> Report:
    """Look at everything.

    Args:
        environ: the variables.
        build: see `look_at_build`.
        load: see `try_load`.
        self_test: see `try_steps`.

    """
    problems: list[Problem] = []
    look = _Look(environ, problems, build, load, self_test)
    facts = {
        "versions": look.versions(),
        "machine": look.machine(),
        "cpu_features": look.cpu_features(),
        "devices": look.devices(),
        "folders": look.folders(),
        "settings": look.settings(),
        "worker": look.worker(),
        "default_model": look.default_model(),
    }
    private = Private(environ)
    return Report(
        facts=private.clean(facts),
        problems=tuple(
            Problem(what=private.clean(one.what), hint=private.clean(one.hint)) for one in problems
        ),
    )


class Private:
    """Takes out of texts what is nobody else's business: folders, names, values of variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        known: dict[str, str] = {}
        for name, value in environ.items():
            # Of values only paths are told at all, as the places where softchat keeps things.
            if os.sep in value and (_VARIABLES.fullmatch(name) or name.startswith("XDG_")):
                whole = os.path.expanduser(value)  # noqa: PTH111  # a text
                for text in (value, whole, os.path.abspath(whole), os.path.realpath(whole)):  # noqa: PTH100
                    known.setdefault(text, f"${name}")
        for home in _homes(environ):
            known[home] = "~"
        self._known = {text: name for text, name in known.items() if len(text) > 1}
        self._users = sorted(_users(environ), key=len, reverse=True)

    def clean(self, value: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
        """The value with every text in it made private."""
        if isinstance(value, str):
            for text in sorted(self._known, key=len, reverse=True):
                value = value.replace(text, self._known[text])
            for user in self._users:
                value = re.sub(rf"(?<=[/\\]){re.escape(user)}(?=$|[/\\\s])", "…", value)
            return value
        if isinstance(value, Mapping):
            return {key: self.clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(inner) for inner in value]
        return value


def _homes(environ: Mapping[str, str]) -> Iterator[str]:
    for home in (environ.get("HOME"), environ.get("USERPROFILE"), os.path.expanduser("~")):  # noqa: PTH111  # a text
        if home and len(home) > 1:
            yield home.rstrip("/\\")
            yield os.path.realpath(home)


def _users(environ: Mapping[str, str]) -> set[str]:
    names = {environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with suppress(OSError, KeyError):  # no such user in this container
        names.add(getpass.getuser())
    return names - {""}


class _Look:
    """The parts of an examination; each adds to the problems what is wrong."""

    def __init__(
        self,
        environ: Mapping[str, str],
        problems: list[Problem],
        build: Callable[[Mapping[str, str]], Build],
        load: Callable[[Located], None],
        self_test: Callable[[Located, Mapping[str, str]], tuple[float, float]],
    ) -> None:
        self._environ = environ
        self._problems = problems
        self._load, self._self_test = load, self_test
        self._config = Config()
        self._isolated = is_isolated(environ)
        self._build: Build | None = None
        """None: llama.cpp does not even start."""
        try:
            self._build = build(environ)
        except (SoftchatError, OSError) as error:
            without = "SOFTCHAT_WORKER=0 does without; a crash of llama.cpp ends softchat then"
            self._problem(
                f"the process that llama.cpp runs in does not start: {error}",
                CLOSE if is_shortage(str(error)) else without,
            )

    def _problem(self, what: str, hint: str) -> None:
        self._problems.append(Problem(what=what, hint=hint))

    def versions(self) -> dict[str, str]:
        found = {
            "softchat": __version__,
            "python": f"{platform.python_version()} ({platform.python_implementation()})",
            "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
            "ggml": self._build.version if self._build else "can't be told",
        }
        for package in _PACKAGES:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "not installed"
        return found

    def machine(self) -> dict[str, Any]:
        return {
            "cpu": cpu_name(),
            "cpus": os.cpu_count(),
            "threads": default_threads(),
            "memory": memory_bytes(),
            "memory_available": _available(),
        }

    def cpu_features(self) -> dict[str, Any]:
        """What the build uses, what more the processor has, and what it lacks."""
        used = self._build.features if self._build else None
        has = system.machine_features()
        if used is None or has is None:
            return {"used": used, "unused": None, "lacking": None}
        unused = [name for name in has if name not in used]
        # An x86 build names no ARM features, nor the other way round: nothing to compare.
        lacking = [name for name in used if name not in has]
        if lacking:
            self._problem(
                f"llama.cpp was built for a processor with {', '.join(lacking)}, this one has none",
                f"it will die of an illegal instruction; build it here: {_REBUILD}",
            )
        if slow := [name for name in unused if name in _WORTH_MUCH]:
            self._problem(
                f"llama.cpp was built without {', '.join(slow)}, which this processor has",
                f"it is several times slower than it could be; build it here: {_REBUILD}",
            )
        return {"used": used, "unused": unused, "lacking": lacking}

    def devices(self) -> dict[str, Any]:
        if self._build is None:
            return {"backends": None, "gpus": None}
        found = self._build.devices
        gpus = [one for one in found if one.is_gpu]
        if not gpus and self._environ.get("SOFTCHAT_GPU_LAYERS", "0") not in ("", "0"):
            self._problem(
                "SOFTCHAT_GPU_LAYERS is set, and llama.cpp has no GPU back end",
                "install a llama-cpp-python that is built for Metal or CUDA",
            )
        return {
            "backends": sorted({one.backend for one in found}),
            "gpus": [f"{one.name}: {one.description}" for one in gpus],
        }

    def folders(self) -> dict[str, Any]:
        models, state = models_folder(self._environ), state_folder(self._environ)
        for path in (state / "sessions", state / "history"):  # what was said, and typed
            self._check_private(path)
        return {
            "models": self._folder(models, "softchat can't keep what it fetches there"),
            "sessions": self._folder(state / "sessions", "no session can be saved"),
            "history": self._file(state / "history"),
        }

    def _folder(self, folder: Path, cost: str) -> dict[str, Any]:
        nearest = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110  # Path.exists may raise
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            self._problem(
                f"{nearest} can't be written: {cost}",
                "give yourself the right to, or let SOFTCHAT_HOME name another folder",
            )
        elif shutil.disk_usage(nearest).free < _LITTLE_ROOM:
            self._problem(
                f"the disk of {folder} is full: {cost}",
                "make room, or let SOFTCHAT_HOME name a folder on another disk",
            )
        files = {path: path.stat().st_size for path in folder.rglob("*") if is_file(path)}
        return {
            "path": str(folder),
            "files": len(files),
            "bytes": sum(files.values()),
            "models": sorted(path.name for path in files if path.suffix == ".gguf"),
        }

    def _file(self, file: Path) -> dict[str, Any]:
        there = os.path.exists(file)  # noqa: PTH110  # Path.exists may raise
        if there and not (is_file(file) and os.access(file, os.R_OK | os.W_OK)):
            self._problem(
                f"{file} is no file that can be read and written: what is typed is not remembered",
                "remove it, or give yourself the right to",
            )
        return {"path": str(file), "bytes": file.stat().st_size if is_file(file) else 0}

    def _check_private(self, path: Path) -> None:
        with suppress(OSError):  # not there
            if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                rights = "700" if path.is_dir() else "600"
                self._problem(f"others can look into {path}", f"chmod {rights} {path}")

    def settings(self) -> dict[str, Any]:
        """Where settings come from: files, and variables by their names."""
        own = [own_file(self._environ), config_folder(self._environ) / "config.toml"]
        files = ["models.toml of softchat", *(str(file) for file in own if is_file(file))]
        try:
            self._config = load_config(
                self._environ, warn=lambda message: self._problem(message, "mend it")
            )
        except SoftchatError as error:
            self._problem(error.message, error.hint)
        names = [name for name in sorted(self._environ) if _VARIABLES.fullmatch(name)]
        return {"folder": str(config_folder(self._environ)), "files": files, "variables": names}

    def worker(self) -> dict[str, Any]:
        """Whether llama.cpp gets a process of its own, and whether that starts."""
        starts = self._build is not None
        return {"on": self._isolated, "starts": starts if self._isolated else None}

    def default_model(self) -> dict[str, Any]:
        """Whether what is used without -m is here; if so, how fast it thinks, and is it exact."""
        try:
            return self._of_default()
        except SoftchatError as error:
            self._problem(error.message, error.hint)
            return {"name": None, "here": False}

    def _of_default(self) -> dict[str, Any]:
        catalogue = user_catalogue(self._environ)
        named, own = self._environ.get("SOFTCHAT_MODEL"), self._config.model
        spec = named or own or catalogue.default
        by = "SOFTCHAT_MODEL" if named else "config.toml" if own else "models.toml"
        if not spec.startswith(LOCAL) and not is_path(spec, catalogue):
            entry = catalogue.find(spec)
            if installed(entry, store=default_store(self._environ)) is None:
                size = int(entry.told_size)
                self._check_size(entry.name, size)
                return {"name": entry.name, "by": by, "here": False, "bytes": size}
        found = find_model(spec, environ=self._environ)  # it is here, so nothing is fetched
        size = found.path.stat().st_size
        told = {"name": found.name, "by": by, "here": True, "bytes": size}
        return told | self._tested(found) if self._check_size(found.name, size) else told

    def _check_size(self, name: str, size: int) -> bool:
        if fits(size, memory_bytes()) is False:
            self._problem(
                f"{name} needs more memory than this machine has",
                "choose a smaller one: softchat models use NAME",
            )
            return False
        return True

    def _tested(self, found: Located) -> dict[str, Any]:
        if self._build is None:
            return {}
        try:
            if self._isolated:  # as a session does it
                self._load(found)
            ratio, bare = self._self_test(found, self._environ)
        except SoftchatError as error:
            self._problem(f"self-test: {error.message}", error.hint)
            return {}
        return {"exact": True, "soft_to_bare": ratio, "bare_steps_per_s": bare}


def _available() -> int | None:
    """Bytes of memory that are free now, or could be; None where the system does not tell it."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
