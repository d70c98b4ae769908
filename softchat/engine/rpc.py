"""llama.cpp's RPC back end: a model's layers on other machines, or this machine's devices for them.

It is compiled into llama.cpp only if that is asked for (`GGML_RPC`). Its functions are looked up
through libllama itself: llama-cpp-python installs each library under three names, and a second copy
would have a registry of its own, in which nobody looks for devices.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from softchat.base.files import shown_size
from softchat.base.waiting import wake_with
from softchat.engine.devices import to_serve
from softchat.engine.gguf import load_ggml
from softchat.engine.library import llama_cpp
from softchat.engine.servers import greet
from softchat.engine.threads import default_threads
from softchat.errors import ServerError, SoftchatError, UsageError

BUILD = (
    'CMAKE_ARGS="-DGGML_RPC=ON" pip install --force-reinstall --no-deps --no-cache-dir '
    "llama-cpp-python"
)
_DEAD_S = 20  # a server that has been silent for so long, though it should answer, has gone
_LOOK_S = 5.0  # how often clients are looked for
_ADDING_S = 10.0  # for a server to say what devices it has
_LOADING_S = 120.0  # for a server to go on with a model that it is given
_DECODING_S = 600  # for a server to have computed its layers of a batch
_registered: set[str] = set()


def is_built() -> bool:
    """Whether llama.cpp was compiled with it."""
    return bool(llama_cpp.llama_supports_rpc())


def check_built() -> None:
    """Raise UsageError unless `is_built`."""
    if not is_built():
        raise UsageError(
            "this llama-cpp-python can't reach other machines: it was built without GGML_RPC",
            hint=f"build it anew: {BUILD}",
        )


def use_servers(servers: Sequence[str]) -> None:
    """Make the devices of these servers devices of llama.cpp in this process, for good.

    Raises:
        UsageError: see `check_built`.
        ServerError: one of them does not answer.

    """
    if not servers:
        return
    check_built()
    for server in servers:
        greet(server)
    lib = _library()
    for server in servers:
        if server in _registered:
            continue
        with no_silence([server], _ADDING_S):
            found = lib.ggml_backend_rpc_add_server(server.encode())
        if not found:
            raise ServerError(f"{server} offers no device", hint="see what it printed")
        _registry().ggml_backend_register(found)
        _registered.add(server)


def serve(address: str, devices: Sequence[int], *, n_threads: int, cache: str | None) -> None:
    """Serve one client after another at HOST:PORT. Returns only if that can't be done.

    Args:
        address: an IPv4 address of this machine, and a port.
        devices: native handles, see `devices.to_serve`.
        n_threads: of a device that is the processor.
        cache: a folder for large tensors, so that they need not be sent again; None: none.

    """
    check_built()
    array = (ctypes.c_void_p * len(devices))(*devices)
    folder = os.fsencode(cache) if cache else None
    _library().ggml_backend_rpc_start_server(
        address.encode(), folder, n_threads, len(devices), array
    )


@contextmanager
def no_silence(servers: Sequence[str], patience_s: float = _LOADING_S) -> Iterator[None]:
    """While this lasts, hang up on servers with which nothing is exchanged for so long.

    ggml waits without end. When it is hung up on it aborts its process, as if the server had gone.
    Only where the system tells what connections carry.
    """
    over = threading.Event()
    if servers and sys.platform == "linux":
        arguments = (servers, patience_s, over)
        threading.Thread(target=_hang_up, args=arguments, name="silence", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _hang_up(servers: Sequence[str], patience_s: float, over: threading.Event) -> None:
    carried, since = bytes_carried(servers), time.monotonic()
    while not over.wait(min(1.0, patience_s / 4)):
        if (now := bytes_carried(servers)) != carried or now is None:
            carried, since = now, time.monotonic()
        elif time.monotonic() - since > patience_s:
            for connection in _connections(servers):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            return


def guard(servers: Sequence[str] = (), *, port: int = 0) -> None:
    """Have connections that are open now end when the machine at the other end has vanished.

    Else whoever waits for one that was switched off would wait for ever. Nor is a server's answer
    waited for without end.

    Args:
        servers: those to these, each HOST:PORT.
        port: or those from clients of a server on this port.

    """
    options: list[tuple[int, str, int | bytes]] = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _DEAD_S // 2),
        (socket.IPPROTO_TCP, "TCP_KEEPALIVE", _DEAD_S // 2),  # macOS's name of the same
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _DEAD_S // 4),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 2),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _DEAD_S * 1000),
    ]
    if servers:
        options.append((socket.SOL_SOCKET, "SO_RCVTIMEO", struct.pack("ll", _DECODING_S, 0)))
    for connection in _connections(servers, port):
        for level, name, value in options:
            if hasattr(socket, name):
                with suppress(OSError):
                    connection.setsockopt(level, getattr(socket, name), value)


def check_connections(servers: Sequence[str]) -> None:
    """Raise ServerError if a server that this process is connected to has hung up."""
    alive = set()
    for connection in _connections(servers):
        try:
            connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            alive.add(connection.getpeername())
        except OSError:
            continue
    lost = [server for server in servers if _address(server) not in alive]
    if lost:
        raise ServerError(f"{' and '.join(lost)} has gone", hint="the model is loaded again")


def bytes_carried(servers: Sequence[str]) -> int | None:
    """Bytes that have gone both ways over the open connections; None where it can't be told."""
    if sys.platform != "linux":
        return None
    total = 0
    for connection in _connections(servers):
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
        if len(told) < 136:
            return None
        total += sum(struct.unpack_from("<2Q", told, 120))  # tcpi_bytes_acked and _received
    return total


def _connections(servers: Sequence[str], port: int = 0) -> Iterator[socket.socket]:
    """This process's connections to these servers, or from this port of its own.

    Each is good until the next.
    """
    peers = {_address(server) for server in servers}
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # numbers, not paths
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            copy = os.dup(int(name))
        except OSError:  # closed meanwhile
            continue
        with socket.socket(fileno=copy) as connection:
            try:
                peer, own = connection.getpeername(), connection.getsockname()
            except OSError:  # it listens, or has no other end any more
                continue
            if peer in peers or (port and isinstance(own, tuple) and own[1] == port):
                yield connection


def _address(server: str) -> tuple[str, int]:
    host, _, number = server.rpartition(":")
    with suppress(OSError):
        host = socket.gethostbyname(host)
    return host, int(number)


@functools.cache
def _library() -> ctypes.CDLL:
    rpc = load_ggml("ggml-rpc")
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    rpc.ggml_backend_rpc_add_server.restype = pointer
    rpc.ggml_backend_rpc_add_server.argtypes = [ctypes.c_char_p]
    rpc.ggml_backend_rpc_start_server.restype = None
    rpc.ggml_backend_rpc_start_server.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, size, size, ctypes.POINTER(pointer),
    ]  # fmt: skip
    return rpc


@functools.cache
def _registry() -> ctypes.CDLL:
    lib = load_ggml("ggml")
    lib.ggml_backend_register.restype = None
    lib.ggml_backend_register.argtypes = [ctypes.c_void_p]
    return lib


def main() -> None:
    """Serve as the first line of stdin says, until that ends. What there is to say is printed.

    The first line says, as JSON, what is offered, or why nothing is.
    """
    wake_with(0)
    how = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="end", daemon=True).start()
    try:
        check_built()
        offered = to_serve(how["devices"])
    except SoftchatError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}), flush=True)
        return
    offers = [f"{one.name} ({one.description}), {shown_size(one.free)} free" for one, _ in offered]
    print(json.dumps({"offers": offers}), flush=True)
    port = int(how["address"].rpartition(":")[2])
    threading.Thread(target=_guard_clients, args=[port], name="guard", daemon=True).start()
    serve(
        how["address"],
        [handle for _, handle in offered],
        n_threads=how["n_threads"] or default_threads(),
        cache=how["cache"],
    )


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def _guard_clients(port: int) -> None:
    # Else a client whose machine vanished would be waited for, and keep all others out.
    while True:
        time.sleep(_LOOK_S)
        guard(port=port)
