"""What flags say about the model: which, found or fetched with a bar; how it is loaded."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from softchat.base.files import shown_size
from softchat.base.text import message_line, one_line
from softchat.base.written import refuse_inside, refuse_same
from softchat.cli import warn
from softchat.cli.options import Loading, TalkLoading, given
from softchat.cli.resume import log_files, sessions_folder
from softchat.config.file import Config, file_named, load_config
from softchat.config.layers import Layers
from softchat.engine.protocol import ANY_CONTEXT, Lora
from softchat.engine.threads import busy_note, default_threads
from softchat.errors import ModelNotFoundError, SoftchatError, UsageError
from softchat.models import Located, find_model
from softchat.models.catalogue import own_file, shipped_file
from softchat.models.folders import (
    config_file,
    expand,
    history_file,
    is_file,
    prompt_cache_folder,
)
from softchat.models.locate import HUB
from softchat.models.progress import OnProgress, Progress

if TYPE_CHECKING:
    import typer

    from softchat.engine.describe import Description
    from softchat.engine.devices import Device
    from softchat.engine.llama import LlamaEngine
    from softchat.models.entry import ModelEntry
    from softchat.models.locate import Agree
    from softchat.settings import Settings
    from softchat.talk.backend import Backend
    from softchat.talk.load import Load
    from softchat.talk.worker.process import Worker

_LARGEST_SCALE = 100  # of an adapter; logits of one that is far larger are no numbers any more
_TEMPLATE = 512  # tokens that a chat template may add


def agreed(entry: ModelEntry) -> bool:
    """Whether the user wants so much to be fetched; in a pipe nobody can say so."""
    import typer

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    size = shown_size(entry.told_size)
    return typer.confirm(one_line(f"Fetch {entry.name} ({size})?"), err=True)


def tell_of_hub(spec: str | None, *, quiet: bool = False) -> None:
    """Tell people that the hub is asked: its client tries for half a minute without a network."""
    if spec and spec.startswith(HUB) and sys.stderr.isatty() and not quiet:
        print(f"asking the hub for {one_line(spec)}…", file=sys.stderr)


def find(
    spec: str | None,
    *,
    config: Config | None = None,
    quiet: bool = False,
    agree: Agree = agreed,
    place: str = "",
) -> Located:
    """The model that `spec` names; None is the user's default one. Raises as `find_model` does.

    `place` is where the user has named it, for a message; empty: on the command line.
    """
    own = config.model if config and spec is None else None
    if config and own is not None:
        place = config.source.origin("model")
    elif spec and spec == os.environ.get("SOFTCHAT_MODEL"):
        place = place or "SOFTCHAT_MODEL"
    tell_of_hub(spec, quiet=quiet)
    with progress_bar(quiet=quiet) as progress:
        try:
            found = find_model(own if spec is None else spec, progress=progress, agree=agree)
            if found.note and not quiet:
                note(found.note)
            return found
        except ModelNotFoundError as error:
            if not place:
                raise
            raise ModelNotFoundError(f"{place}: {error.message}", hint=error.hint) from error


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[OnProgress]:
    """Draws a fetch on stderr, from when there is something to draw."""
    with ExitStack() as stack:
        yield _Bar(stack, quiet=quiet).show


def user_config() -> Config:
    """The user's config.toml; a damaged one is told on stderr. Raises as `load_config` does."""
    return load_config(os.environ, warn=warn)


class Backends:
    """Opens models to talk with, each in a process of its own, so that no model can end this one.

    The first process is started at once, and imports what it needs while this one does other
    things. With SOFTCHAT_WORKER=0, for debugging, and on Windows the models are in this process.

    Args:
        early: a process that has been started already.

    """

    def __init__(self, early: Worker | None = None) -> None:
        from softchat.talk.worker.process import is_isolated

        self._isolated = is_isolated(os.environ)
        self._idle = early or self._new()

    def open(
        self,
        found: Located,
        loading: Loading,
        *,
        n_ctx_most: int = ANY_CONTEXT,
        cancelled: Callable[[], bool],
    ) -> Backend:
        """The model, loaded and proven. Raises as `open_backend` does.

        Args:
            found: the model's file, and what suits it.
            loading: how the user wants it loaded; its `model` is what `found` is.
            n_ctx_most: see `load_of`.
            cancelled: True stops loading.

        """
        from softchat.talk.open import open_backend

        worker, self._idle = self._idle or self._new(), None
        how = load_of(found, loading, n_ctx_most=n_ctx_most)
        if isinstance(loading, TalkLoading) and loading.prompt_cache:
            how = replace(how, prompt_cache=prompt_cache_folder(os.environ))
        return open_backend(how, worker=worker, cancelled=cancelled)

    def describe(self, path: Path) -> Description:
        """What the header of a file says. Raises as `engine.describe` does."""
        self._idle = self._idle or self._new()
        if self._idle is not None:
            from softchat.talk.worker.remote import describe

            return describe(self._idle, path)
        from softchat.engine.describe import describe as describe_here

        return describe_here(path)

    def _new(self) -> Worker | None:
        if not self._isolated:
            return None
        from softchat.talk.worker.process import Worker

        return Worker()

    def close(self) -> None:
        """End a process that nobody has asked for. Backends are closed by whoever opened them."""
        if self._idle is not None:
            self._idle.close()


def devices_here(config: Config) -> tuple[Device, ...]:
    """Accelerators, and what servers offer; asks llama.cpp only where there may be some.

    A server that does not answer is told on stderr, and offers nothing.
    """
    from softchat.doctor.examine import look_at_build
    from softchat.engine.servers import read_servers
    from softchat.engine.system import is_accelerated

    servers = read_servers(str(os.environ.get("SOFTCHAT_RPC") or config.values.get("rpc", "")))
    if not servers and not is_accelerated():
        return ()
    try:
        found = look_at_build(os.environ, servers).devices
    except SoftchatError as error:
        warn(error.message)
        return ()
    return tuple(one for one in found if one.is_gpu)


def load_of(found: Located, loading: Loading, *, n_ctx_most: int = ANY_CONTEXT) -> Load:
    """What flags say about how this model is loaded, as one value.

    Args:
        found: the model's file, and what suits it.
        loading: how the user wants it loaded; its `model` is what `found` is.
        n_ctx_most: more positions of context than this are not needed, unless the user says how
            many.

    Raises:
        UsageError: an adapter that is named is not there.

    """
    from softchat.talk.load import Load

    return Load.of(
        found,
        n_ctx=loading.ctx,
        n_ctx_most=n_ctx_most,
        n_threads=loading.threads,
        placement=loading.placement,
        loras=_loras(loading.lora),
    )


def own_files(config: Config) -> tuple[Path, ...]:
    """Files that nothing else is written over, be they there or not.

    They say what there is and how it is used, as config.toml and models.toml do, or hold what was
    asked and typed.
    """
    ours = own_file(os.environ), shipped_file(), history_file(os.environ)
    return (*config.files, *ours, *log_files())


def refuse_own(out: Path | None, *, by: str) -> None:
    """Raise UsageError if what is written would be one of softchat's own files.

    For commands that need no settings: one whose config.toml says something wrong still works.
    """
    if out is None:
        return
    try:
        config = load_config(os.environ, warn=lambda _: None)
    except UsageError:
        config = Config(files=(config_file(os.environ),))
    refuse_same(out, *own_files(config), by=by)


def model_files(found: Located, loading: Loading) -> tuple[Path, ...]:
    """Files that a model comes from: its parts, its adapters, and both as one.

    Raises:
        SoftchatError: an adapter is not there.

    """
    load = load_of(found, loading)
    merged = load.merge.glob("*.gguf") if load.merge else ()
    return (*found.files, *(lora.path for lora in load.loras), *merged)


def prepare(
    context: typer.Context,
    loading: Loading,
    *,
    quiet: bool,
    outs: Mapping[str, Path | None] = MappingProxyType({}),
) -> tuple[Located, Loading, dict[str, object], str]:
    """The model that is meant, how it is loaded, the settings that suit it, the system prompt.

    For commands whose settings can have several values: flags and variables give all but those.

    Args:
        context: the command's.
        loading: what flags say of the model.
        quiet: nothing is told meanwhile.
        outs: the files that the command will write, each by its flag.

    Raises:
        SoftchatError: as `load_config` and `find_model` do; or a file would be written over that
            the model or its settings come from.

    """
    config = user_config()
    found = find(loading.model, config=config, quiet=quiet)
    used = (*own_files(config), *model_files(found, loading))
    for by, out in outs.items():
        refuse_inside(out, sessions_folder())
        refuse_same(out, file_named(context.params.get("system")), *used, by=by)
    layers = Layers(suits=config.suits(found), chosen=[given(context)])
    defaults: dict[str, object] = {}
    for source in layers.suits:
        defaults |= source.settings()
    return found, loading.after(layers), defaults, layers.value("system", "")


def enough(texts: Iterable[str], settings: Iterable[Settings]) -> int:
    """Positions that any of these runs can fill; a longer context would only cost memory and time.

    Args:
        texts: questions, each with its system prompt.
        settings: of the runs.

    """
    prompt = max(len(text.encode("utf-8", "replace")) for text in texts)  # a byte a token at least
    return prompt + _TEMPLATE + max(one.max_think + one.max_answer for one in settings)


def _loras(texts: list[str] | None) -> tuple[Lora, ...] | None:
    """The adapters that were named; None if the model's own are meant.

    Raises:
        UsageError: there is no such file, the scale is no number, or `none` is not alone.

    """
    if not texts:
        return None
    if "none" in texts and len(texts) > 1:
        hint = "--lora none alone; for a file of that name --lora ./none"
        raise UsageError("--lora none, and another --lora beside it", hint=hint)
    return () if texts == ["none"] else tuple(map(_lora, texts))


def _lora(text: str) -> Lora:
    name, equals, scale = text.rpartition("=")
    try:
        lora = Lora(path=expand(name), scale=float(scale)) if equals else Lora(path=expand(text))
    except ValueError:
        lora = Lora(path=expand(text))  # a file with = in its name
    if lora.path.is_dir():
        message = f"{lora.path} is a folder, not an adapter"
        raise UsageError(one_line(message), hint="--lora FILE or --lora FILE=0.5")
    if not is_file(lora.path):
        raise UsageError(f"no adapter {text}", hint="--lora FILE or --lora FILE=0.5")
    if not abs(lora.scale) <= _LARGEST_SCALE:  # NaN too
        most = f"it must be from -{_LARGEST_SCALE} to {_LARGEST_SCALE}"
        raise UsageError(f"the scale of {text} is {lora.scale:g}", hint=most)
    return lora


def tell_of_default(found: Located) -> None:
    """What to expect of a model that nobody has chosen: on a terminal, until a question is kept."""
    caution = found.entry.caution if found.entry else ""
    if caution and sys.stderr.isatty() and not any(sessions_folder().glob("*.json")):
        note(f"{found.name} is {caution}; 'softchat models' lists real ones")


def note(text: str) -> None:
    """Tell of something that its user may want to know, on stderr."""
    print(f"note: {message_line(text)}", file=sys.stderr)


def tell_of_load(engine: LlamaEngine, *, quiet: bool) -> None:
    """Tell of a model that was loaded what its user should know."""
    from softchat.talk.open import note_of

    if not quiet and (said := note_of(engine)):
        note(said)


@contextmanager
def told_if_slow(
    name: str, *, doing: str = "loading", quiet: bool = False, after_s: float = 1.0
) -> Iterator[None]:
    """Tell on a terminal that a model is being loaded, if that takes longer than people like.

    And why, where other programs have the machine's cores.
    """
    if quiet or not sys.stderr.isatty():
        yield
        return
    line = f"{doing} {one_line(name)}…"
    if note := busy_note(default_threads()):
        line += f"\n{note}"
    timer = threading.Timer(after_s, print, (line,), {"file": sys.stderr, "flush": True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a line that has begun is whole before anything else is written


class _Bar:
    """A bar on stderr for each stage, made when there is something to show."""

    def __init__(self, stack: ExitStack, *, quiet: bool) -> None:
        self._stack = stack
        self._quiet = quiet
        self._stage = ""

    def show(self, progress: Progress) -> None:
        if self._quiet:
            return
        if not sys.stderr.isatty():
            if progress.stage != self._stage:
                self._stage = progress.stage
                print(f"{progress.stage} the model…", file=sys.stderr)
            return
        if not self._stage:
            self._open()
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._task = self._bar.add_task(f"{progress.stage} the model", total=progress.total)
        self._bar.update(self._task, completed=progress.done, total=progress.total)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._bar = self._stack.enter_context(bar)
