"""The worker: takes one request after another, and sends what comes of it.

It ends when its parent does, however that ends: a thread waits for the end of what the parent
writes. Nothing that native code prints gets onto the wire, which only this module can write to.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from softchat.base.waiting import wake_with
from softchat.errors import SoftchatError
from softchat.events import to_dict
from softchat.prompt.sandbox import start
from softchat.talk.worker.wire import read_request, values_of, write_line

if TYPE_CHECKING:
    from softchat.settings import Settings
    from softchat.talk.backend import Backend, ChatRequest

_RARELY = 100_000  # allocations between two looks for garbage


def main() -> None:
    """Serve the process that started this one, until it ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what was said
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says what is to be stopped
    wake_with(0)
    gc.set_threshold(_RARELY)
    wire = os.dup(1)
    os.dup2(2, 1)  # native code prints to what it takes for stdout
    server = _Server(wire)
    threading.Thread(target=server.listen, name="listen", daemon=True).start()
    # While the parent still reads its flags: numpy and llama.cpp take as long to import.
    with suppress(SoftchatError):  # told to whoever asks for a model
        import softchat.engine.llama
        import softchat.talk.local
        import softchat.talk.open  # noqa: F401

    start()  # it imports jinja2 while the model is loaded; before, three would share two cores
    while True:
        server.answer(server.requests.get())


class _Server:
    """The model, once it is loaded, and the request that is being answered.

    Args:
        wire: the file descriptor to write to.

    """

    def __init__(self, wire: int) -> None:
        self.requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._wire = wire
        self._number = 0  # of the request that is being answered
        self._stopped = 0  # the last one that is to be stopped
        self._hurried = 0  # the last one whose answer is wanted now
        self._keys: deque[tuple[int, str]] = deque()  # each with the request that it is for
        self._backend: Backend | None = None

    def listen(self) -> None:
        """Take in what the parent writes; at its end, end."""
        with open(0, "rb", closefd=False) as lines:
            for line in lines:
                message = json.loads(line)
                if "stop" in message:
                    self._stopped = message["stop"]
                elif "answer" in message:
                    self._hurried = message["answer"]
                elif "key" in message:
                    self._keys.append((message["of"], message["key"]))
                else:
                    self.requests.put(message)
        os._exit(0)

    def cancelled(self) -> bool:
        """Whether the request that is being answered is to be stopped."""
        return self._stopped >= self._number

    def answer_now(self) -> bool:
        """Whether the request that is being answered is to think no more."""
        return self._hurried >= self._number

    def key(self) -> str:
        """The next key that was pressed for the request that is being answered; or nothing."""
        while self._keys:
            number, key = self._keys.popleft()
            if number == self._number:
                return key
        return ""

    def answer(self, request: dict[str, Any]) -> None:
        """Do what is asked, and send what comes of it."""
        self._number = request["number"]
        try:
            came = {"result": self._do(request)}
        except SoftchatError as error:
            came = {"error": values_of(error)}
        except Exception:  # noqa: BLE001  # the parent raises it
            came = {"bug": traceback.format_exc()}
        used = self._backend.used if self._backend else 0
        self._send({"done": self._number, "used": used, **came})

    def _do(self, request: dict[str, Any]) -> Any:  # noqa: ANN401  # whatever JSON holds
        match request["do"]:
            case "load":
                return self._load(request["load"])
            case "room":
                return asdict(self._loaded.room(*_asked(request)))
            case "ask":
                return self._ask(request)
            case other:
                return _WITHOUT_BACKEND[other](request)

    @property
    def _loaded(self) -> Backend:
        assert self._backend is not None, "nothing is loaded"
        return self._backend

    def _ask(self, request: dict[str, Any]) -> None:
        for event in self._loaded.ask(
            *_asked(request),
            cancelled=self.cancelled,
            answer_now=self.answer_now,
            keys=self.key if request.get("by_hand") else None,
        ):
            self._send(to_dict(event))

    def _load(self, values: dict[str, Any]) -> dict[str, Any]:
        from softchat.talk.load import Load
        from softchat.talk.open import open_backend

        self._backend = open_backend(Load.read(values), cancelled=self.cancelled)
        gc.freeze()
        one = self._backend
        return {"info": asdict(one.info), "scale": one.scale, "note": one.note}

    def _send(self, message: dict[str, Any]) -> None:
        try:
            write_line(self._wire, message)
        except BrokenPipeError:  # the parent has gone
            os._exit(0)


def _asked(request: dict[str, Any]) -> tuple[ChatRequest, Settings]:
    """The question of a request, and the settings."""
    from softchat.settings import resolve

    return read_request(request["question"]), resolve({}, request["settings"])


def _build(servers: list[str]) -> dict[str, Any]:
    """The llama.cpp that is installed."""
    from softchat.engine.system import build

    return asdict(build(servers))


def _described(path: str) -> dict[str, Any]:
    """What the header of a file says."""
    from softchat.engine.describe import describe

    return asdict(describe(Path(path)))


def _pace(values: dict[str, Any]) -> tuple[float, float]:
    """How fast a model thinks here."""
    from softchat.talk.pace import soft_to_bare

    return soft_to_bare(Path(values["path"]), values["name"])


def _check_servers(servers: list[str]) -> None:
    """Whether the servers that a model is on are still there."""
    from softchat.engine.rpc import check_connections

    check_connections(servers)


def _needs(values: dict[str, Any]) -> str:
    """How much memory a model needs."""
    from softchat.engine.describe import memory_hint
    from softchat.talk.load import Load

    load = Load.read(values)
    return memory_hint(load.path, load.n_ctx, load.n_ctx_most, load.placement.cache_type)


_WITHOUT_BACKEND: dict[str, Callable[[dict[str, Any]], Any]] = {
    "build": lambda request: _build(request.get("servers", [])),
    "describe": lambda request: _described(request["path"]),
    "pace": lambda request: _pace(request["load"]),
    "needs": lambda request: _needs(request["load"]),
    "servers": lambda request: _check_servers(request["servers"]),
}
"""What a worker can be asked before it has loaded anything."""
