"""A man in the middle before an RPC server: it passes on what both say, but for one answer."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

DEVICE_COUNT, GET_ALIGNMENT, BUFFER_BASE, GET_TENSOR = 15, 1, 3, 8
"""Commands of ggml-rpc."""


class Liar:
    """Stands at an address of its own.

    Args:
        server: whom it asks.
        command: to which command's answer something is done.
        lie: what becomes of the bytes of that answer; None: nothing is answered any more.
        after: so many such answers are passed on as they are.

    """

    def __init__(
        self,
        server: str,
        command: int,
        lie: Callable[[bytes], bytes] | None = None,
        *,
        after: int = 0,
    ) -> None:
        self._server, self._command, self._lie, self._left = server, command, lie, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self.stalled = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hang up on all."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                host, _, port = self._server.rpartition(":")
                server = socket.create_connection((host, int(port)))
                self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        lies = threading.Event()
        threading.Thread(target=self._answer, args=(server, client, lies), daemon=True).start()
        with suppress(OSError, EOFError):
            while True:
                head = _read(client, 9)
                command, size = struct.unpack("<BQ", head)
                if command == self._command:
                    if self._left == 0:
                        lies.set()
                    self._left -= self._left > 0
                server.sendall(head)
                while size:
                    part = _read(client, min(size, 1 << 20))
                    server.sendall(part)
                    size -= len(part)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket, lies: threading.Event) -> None:
        with suppress(OSError, EOFError):
            while True:
                head = _read(server, 8)
                body = _read(server, struct.unpack("<Q", head)[0])
                if lies.is_set():
                    if self._lie is None:
                        self.stalled.set()
                        return
                    body = self._lie(body)
                client.sendall(head + body)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
