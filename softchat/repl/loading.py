"""The model of a session: loaded in the background, exchanged, and loaded again when it dies.

So the prompt is there at once; whatever needs the model waits for it. Knows no turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from softchat.base.interrupt import Interrupt
from softchat.errors import DecodeAbortedError, ServerError, SoftchatError, WorkerDiedError
from softchat.models import Located
from softchat.talk.backend import Backend

_RESTARTS = 2  # of a model that dies, without a turn completed between
_LOOK_S = 0.05  # how soon a Ctrl-C ends the waiting for a model

OpenBackend = Callable[[Located, Callable[[], bool]], Backend]


class SessionModel:
    """The model that a session has now.

    Args:
        found: the one to begin with.
        open_backend: loads a model.
        interrupt: Ctrl-C: it ends the waiting for a model, not its loading.

    """

    def __init__(self, found: Located, open_backend: OpenBackend, interrupt: Interrupt) -> None:
        self.found = found
        self.backend: Backend | None = None
        """What answers; None: nobody has waited for it yet, or it has died."""
        self._open_backend, self._interrupt = open_backend, interrupt
        self._left = False
        self._deaths = 0  # of workers, since a turn was completed
        self._wanted = object()  # the latest load; those before it are given up
        self._loading = self._load()

    def _load(self) -> Future[Backend]:
        # A thread that ends, no pool: the OpenMP workers of a second thread that stays halve the
        # speed of the first one's.
        future: Future[Backend] = Future()
        found, wanted = self.found, object()
        self._wanted = wanted

        def cancelled() -> bool:
            # Ctrl-C stops a turn, not the loading: that goes on behind the prompt.
            given_up = self._left or wanted is not self._wanted
            return given_up or (self.backend is not None and self._interrupt.pressed)

        def load() -> None:
            try:
                future.set_result(self._open_backend(found, cancelled))
            except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
                future.set_exception(error)

        threading.Thread(target=load, name="load", daemon=True).start()
        return future

    @property
    def loading(self) -> bool:
        """Whether it is still being loaded."""
        return not self._loading.done()

    @property
    def n_ctx(self) -> int:
        """Positions of context; 0 while it is being loaded, and if it can't be."""
        failed = self.loading or self._loading.exception() is not None
        return 0 if failed else self._loading.result().info.n_ctx

    def take(self) -> Backend:
        """What answers, when it is there.

        Raises:
            ModelError: it can't be loaded.
            DecodeAbortedError: the user did not want to wait; the loading goes on.

        """
        if self.backend is None:
            self.backend = self._waited()
        return self.backend

    def _waited(self) -> Backend:
        while True:
            try:
                return self._loading.result(timeout=_LOOK_S)
            except TimeoutError:
                if self._interrupt.pressed:
                    self._interrupt.pressed = False
                    raise DecodeAbortedError("stopped; the model goes on loading") from None

    def try_servers_again(self) -> None:
        """If a server was not there when the model was to be loaded: it may be there now."""
        if self.backend is not None or self.loading:
            return
        if isinstance(self._loading.exception(), ServerError):
            self.load()

    def load(self) -> None:
        """Begin to load it, again. Another load that is under way is given up."""
        before = self._loading
        self._loading = self._load()

        def let_go(done: Future[Backend]) -> None:
            if not done.exception():
                with suppress(SoftchatError):
                    done.result().close()

        before.add_done_callback(let_go)

    def drop(self) -> None:
        """Let go of what answers now; wait for it first if it is still being loaded."""
        with suppress(SoftchatError):
            self._loading.result().close()
        self.backend = None

    def change(self, found: Located) -> None:
        """Have another model; if it can't be loaded, this one as before.

        Raises:
            ModelError: it can't be loaded.

        """
        before = self.found
        self.drop()
        try:
            self.found = found
            self.load()
            self.take()
        except BaseException:  # a Ctrl-C too
            self.found = before
            self.load()
            raise
        self._deaths = 0

    def completed(self) -> None:
        """A turn is completed: what dies now has not died in a row."""
        self._deaths = 0

    @contextmanager
    def outliving(self, lost: Callable[[], str]) -> Iterator[None]:
        """A worker that dies in here is replaced, behind the prompt, if that may help.

        Args:
            lost: what has gone with it, in words.

        Raises:
            WorkerDiedError: it died; the hint says what happens now.

        """
        try:
            yield
        except WorkerDiedError as error:
            self.backend = None
            if isinstance(error, ServerError):  # no fault of the model's; the next turn loads it
                self._fail(error)
                error.hint = f"what was said is kept; {error.hint}"
                raise
            self._deaths += 1
            if self._deaths > _RESTARTS:
                self._fail(error)
                error.hint = "it was loaded again in vain; /model NAME loads it, or another one"
            else:
                self.load()
                error.hint = "what was said is kept, and the model is loaded again; just go on"
                error.hint += lost()
            raise

    def _fail(self, error: SoftchatError) -> None:
        self._loading = Future()
        self._loading.set_exception(error)

    def close(self) -> None:
        """Free it."""
        self._left = True  # a model that is still loading stops
        with suppress(SoftchatError):
            self._loading.result().close()
