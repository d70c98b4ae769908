"""The backend in a worker process; and what else a worker is asked, as to read a header."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from softchat.engine.servers import gone, is_of_servers, of_servers
from softchat.engine.shortage import CLOSE, is_shortage, way_out
from softchat.errors import (
    DecodeAbortedError,
    ModelRefusedError,
    ServerError,
    SoftchatError,
    WorkerDiedError,
)
from softchat.events import Event, Finished, ModelInfo
from softchat.settings import Settings
from softchat.talk.backend import Backend, ChatRequest, Room
from softchat.talk.load import Load
from softchat.talk.worker.process import NOT_STOPPED, Worker

if TYPE_CHECKING:
    from softchat.engine.describe import Description


_GRACE_S = 20.0  # for a decode on servers to stop


class WorkerBackend(Backend):
    """A model that a worker loads, and answers with.

    Args:
        worker: one that has loaded nothing yet. It is closed with the backend.
        load: the model, and how.
        cancelled: True stops loading.

    Raises:
        ModelRefusedError: as `LlamaEngine`, or its file has killed the worker.
        ServerError: a server does not answer, or has gone meanwhile.
        DecodeAbortedError: `cancelled` said so.

    """

    def __init__(
        self, worker: Worker, load: Load, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self.worker = worker

        def left() -> bool:
            if cancelled():  # a worker that has nothing yet need not be asked to stop
                raise DecodeAbortedError("stopped while loading the model")
            return False

        worker.model = str(load.path)
        self._servers = load.placement.servers
        if self._servers:
            worker.grace_s = _GRACE_S
        try:
            loaded = worker.call("load", load=load.to_dict(), cancelled=left)
        except ServerError:
            worker.close()
            raise
        except WorkerDiedError as error:
            raise while_loading(error, load) from error
        except BaseException:
            worker.close()
            raise
        self._scale = float(loaded["scale"])
        info = loaded["info"]
        lists = {name: tuple(info[name]) for name in ("loras", "devices")}
        self._info = ModelInfo(**info | lists)
        self._note = str(loaded["note"])

    @property
    def info(self) -> ModelInfo:
        """Name, architecture and sizes."""
        return self._info

    @property
    def scale(self) -> float:
        """What the worker has proven."""
        return self._scale

    @property
    def note(self) -> str:
        """As the worker's engine has it."""
        return self._note

    @property
    def used(self) -> int:
        """Positions that the model's memory held when the last turn ended."""
        return self.worker.used

    def check(self) -> None:
        """Raise WorkerDiedError if the worker has ended, or lost a server that it needs."""
        with self._naming_servers():
            self.worker.check()
            if self._servers:
                try:
                    self.worker.call("servers", servers=self._servers)
                except ServerError:
                    self.worker.close()
                    raise

    @contextmanager
    def _naming_servers(self) -> Iterator[None]:
        """A worker that a server took along has died of that: which server, is said."""
        try:
            yield
        except ServerError:
            raise
        except WorkerDiedError as error:
            hung = NOT_STOPPED in error.message
            if self._servers and (hung or is_of_servers(error.message)):
                raise gone(self._servers, error.message) from error
            raise

    def ask(
        self,
        question: ChatRequest,
        settings: Settings,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        answer_now: Callable[[], bool] = lambda: False,
        keys: Callable[[], str] | None = None,
    ) -> Iterator[Event]:
        """Run a turn. See `Backend`."""
        whole = False
        try:
            with self._naming_servers():
                for event in self.worker.request(
                    "ask",
                    question=asdict(question),
                    settings=settings.to_dict(),
                    by_hand=keys is not None,
                    cancelled=cancelled,
                    answer_now=answer_now,
                    keys=keys,
                ):
                    whole = isinstance(event, Finished)
                    yield event
        except WorkerDiedError:
            if not whole:  # else nothing is lacking, and the next turn is told
                raise

    def room(self, question: ChatRequest, settings: Settings) -> Room:
        """What the context would have to hold for this turn. See `Backend`."""
        asked, chosen = asdict(question), settings.to_dict()
        with self._naming_servers():
            needed = self.worker.call("room", question=asked, settings=chosen)
        return Room(**needed)

    def close(self) -> None:
        """End the worker."""
        self.worker.close()


def describe(worker: Worker, path: Path) -> Description:
    """What the header of this file says, see `engine.describe`; the worker loads nothing.

    Raises:
        ModelRefusedError: as there, or the header has killed the worker.

    """
    from softchat.engine.describe import Description

    worker.model = str(path)
    try:
        values = worker.call("describe", path=str(path))
    except WorkerDiedError as error:
        hint = CLOSE if is_shortage(error.message) else error.hint
        raise ModelRefusedError(error.message, hint=hint) from error
    worker.model = ""
    return Description(**values | {"types": tuple(values["types"])})


def pace(worker: Worker, load: Load) -> tuple[float, float]:
    """What `pace.soft_to_bare` measures of this model, which is not kept.

    Raises:
        ModelRefusedError: it can't be loaded, or its file has killed the worker.

    """
    worker.model = str(load.path)
    try:
        ratio, bare = worker.call("pace", load=load.to_dict())
    except WorkerDiedError as error:
        raise ModelRefusedError(error.message, hint=_hint(error, load)) from error
    return ratio, bare


def while_loading(error: WorkerDiedError, load: Load) -> SoftchatError:
    """What a process has died of that loaded this: a server, too little memory, or the file."""
    if is_of_servers(error.message):
        return gone(load.placement.servers, error.message)
    return ModelRefusedError(error.message, hint=_hint(error, load))


def in_use(error: WorkerDiedError, load: Load) -> SoftchatError:
    """What a process has died of that had loaded this."""
    if is_of_servers(error.message):
        return gone(load.placement.servers, error.message)
    return WorkerDiedError(error.message, hint=_hint(error, load))


def _hint(error: WorkerDiedError, load: Load) -> str:
    """A way out; where memory ended, with how much is needed: another worker reads the header."""
    if not is_shortage(error.message):
        return of_servers(error.hint, load.placement.servers)
    try:
        with closing(Worker()) as other:
            return str(other.call("needs", load=load.to_dict()))
    except SoftchatError:
        return way_out(load.path.stat().st_size)
