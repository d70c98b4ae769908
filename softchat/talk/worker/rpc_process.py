"""An RPC server in a process of its own: started, watched, ended. Knows no terminal.

llama.cpp serves in a native loop that nothing but the end of its process ends, and what a client
sends may be the end of it. So the loop has a process, and whoever started that can still act.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from softchat.base.text import one_line
from softchat.engine.servers import greet
from softchat.errors import ServerError, SoftchatError, WorkerDiedError
from softchat.talk.worker.process import environment

_COMMAND = [sys.executable, "-P", "-c", "from softchat.talk.worker.rpc_process import main; main()"]
_CAME, _WENT = "Accepted client connection", "Client connection closed"  # as ggml says it
_OTHER = "another port: --port N"
_STARTS_S = 20.0  # for it to listen
_LOOK_S = 0.02  # how often that is looked at
_PASSING_S = 0.3  # a connection that is over sooner is a question whether anybody is there


class RpcServer:
    """A server that has begun to listen.

    Args:
        host: an IPv4 address of this machine.
        port: a free one.
        devices: by llama.cpp's names; none: those of the machine, or its processor.
        n_threads: of the processor; 0: its cores.
        cache: a folder for large tensors; None: none.

    Raises:
        ServerError: it can't serve; the message says why.

    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        devices: Sequence[str] = (),
        n_threads: int = 0,
        cache: str | None = None,
    ) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last = ""  # what it said last that is nothing else
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ),
            start_new_session=True,
        )
        how = {
            "address": f"{host}:{port}",
            "devices": list(devices),
            "n_threads": n_threads,
            "cache": cache,
        }
        self.pid = self._process.pid
        assert self._process.stdin  # as it was asked for
        self._process.stdin.write(json.dumps(how).encode() + b"\n")
        self._process.stdin.flush()
        threading.Thread(target=self._read, name="read", daemon=True).start()
        try:
            self.offers: tuple[str, ...] = tuple(self._beginning())
            """The devices that it has for clients, in words."""
            self.version = self._await("127.0.0.1" if host == "0.0.0.0" else host, port)
            """Of the protocol that it speaks."""
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(one_line(line.decode("utf-8", "replace").rstrip()))
        self._lines.put(None)

    def _beginning(self) -> list[str]:
        """What it offers; raises ServerError if it can't."""
        told: dict[str, Any] = {}
        while (line := self._lines.get()) is not None:
            try:
                told = json.loads(line)
                break
            except ValueError:  # what it died of is the last of this
                told = {"message": line} if line else told
        if "offers" not in told:
            message = told.get("message") or "the server does not start"
            raise ServerError(message, hint=told.get("hint") or "see 'softchat doctor'")
        return [str(one) for one in told["offers"]]

    def _await(self, host: str, port: int) -> str:
        """The version that it answers with, as soon as it listens."""
        until = time.monotonic() + _STARTS_S
        while True:
            try:
                version = greet(f"{host}:{port}")
            except ServerError:
                if self._process.poll() is not None:
                    raise ServerError(f"no server can be at {host}:{port}", hint=_OTHER) from None
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_S)
                continue
            for expected in (_CAME, _WENT):  # that was no client
                while self._lines.get() not in (expected, None):
                    pass
            return version

    def news(self) -> Iterator[str]:
        """What happens, as it does: a client comes, or leaves; or what llama.cpp complains of.

        Raises:
            WorkerDiedError: the process has ended.

        """
        waiting = serving = False
        while True:
            try:
                line = self._lines.get(timeout=_PASSING_S if waiting else None)
            except queue.Empty:
                waiting, serving = False, True
                yield "a client has come"
                continue
            if line is None:
                raise self._died()
            if line == _CAME:
                waiting = True
            elif line == _WENT:
                if serving:
                    yield "the client has left"
                waiting = serving = False
            elif line:
                self._last = line
                yield line

    def _died(self) -> WorkerDiedError:
        status = self._process.wait()
        why = f"status {status}"
        with suppress(ValueError):  # no signal has this number
            why = signal.Signals(-status).name
        said = f": {self._last}" if self._last else ""
        return WorkerDiedError(f"the server has ended ({why}){said}", hint="start it again")

    def close(self) -> None:
        """End it, whatever it does. Its client, if it has one, has no model then."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def why_taken(host: str, port: int) -> str:
    """Why no server can listen there; empty if one can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def main() -> None:
    """The process: serves as the first line of stdin says, or says why it can't."""
    try:
        from softchat.engine import rpc
    except SoftchatError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}), flush=True)
        return
    rpc.main()
