"""RPC servers of llama.cpp by address: whether one is there and answers. Loads no llama.cpp.

ggml's own client aborts the process where a server does not answer, and says no reason: so each is
asked here first, with a time limit. The question is the greeting of ggml's protocol
(ggml/src/ggml-rpc): a command's number, a length, and what the client can do beside TCP: nothing.
Then how many devices it has, as ggml makes room for all of them.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Sequence

from softchat.base.text import natural, one_line
from softchat.errors import ServerError, UsageError

PORT = 50052  # ggml's own
PATIENCE_S = 5.0  # for a connection, and for the answer to the greeting
_HELLO, _CAPABILITIES = 14, 24  # a command's number; bytes
_GREETING = struct.pack("<BQ", _HELLO, _CAPABILITIES) + bytes(_CAPABILITIES)
_ANSWER = struct.Struct(f"<Q3Bx{_CAPABILITIES}x")  # length, version
_COUNT = struct.pack("<BQ", 15, 0)  # how many devices has it?
_DEVICES = struct.Struct("<QI")  # length, how many
_MOST_DEVICES = 64
_START = "on that machine: softchat rpc-server"


def read_servers(text: str) -> tuple[str, ...]:
    """`HOST[:PORT],…` as the addresses that ggml takes.

    Raises:
        UsageError: one is none, or is there twice.

    """
    found: list[str] = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = one.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or (colon and not _is_port(port)):
            raise UsageError(
                f"{one_line(one)} is no address of a server",
                hint=f"HOST:PORT, with a name or an IPv4 address; without PORT it is {PORT}",
            )
        found.append(f"{host}:{int(port) if colon else PORT}")
        if found.count(found[-1]) > 1:
            raise UsageError(f"{found[-1]} is named twice", hint="each server once")
    if text.strip() and not found:
        raise UsageError(f"rpc '{one_line(text)}' names no server", hint="HOST[:PORT],…")
    return tuple(found)


def _is_port(text: str) -> bool:
    return 0 < (natural(text) or 0) < 65536


def greet(server: str, *, patience_s: float = PATIENCE_S) -> str:
    """The version of the protocol that the server at this address speaks.

    Raises:
        ServerError: there is none, or it does not answer in time.

    """
    host, _, port = server.rpartition(":")
    try:
        address = socket.gethostbyname(host)  # ggml knows IPv4 only
    except (OSError, UnicodeError) as error:
        raise ServerError(f"no machine is known as {host}", hint="is its name right?") from error
    try:
        connection = socket.create_connection((address, int(port)), patience_s)
    except TimeoutError as error:
        raise ServerError(
            f"{server} does not answer within {patience_s:g} s",
            hint="is that machine on, and does its firewall let this port through?",
        ) from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ServerError(f"no server at {server}: {why}", hint=_START) from error
    with connection:
        return _greeted(connection, server, patience_s)


def _greeted(connection: socket.socket, server: str, patience_s: float) -> str:
    until = time.monotonic() + patience_s
    try:
        answer = _asked(connection, _GREETING, _ANSWER.size, until)
        length, *version = _ANSWER.unpack(answer) if answer else (0,)
        is_one = length == _ANSWER.size - 8
        count = _asked(connection, _COUNT, _DEVICES.size, until) if is_one else b""
    except TimeoutError as error:
        raise ServerError(
            f"{server} takes connections and does not answer within {patience_s:g} s",
            hint="a server has one client at a time: another may be using it; or it is none",
        ) from error
    if not is_one:
        raise ServerError(
            f"what listens at {server} is no RPC server of llama.cpp, or of quite another version",
            hint=f"{_START}, from the same softchat and llama-cpp-python",
        )
    if count and (devices := _DEVICES.unpack(count)[1]) > _MOST_DEVICES:
        raise ServerError(
            f"{server} says that it has {devices} devices",
            hint=f"{_MOST_DEVICES} are the most that softchat takes from one",
        )
    return ".".join(map(str, version))


def _asked(connection: socket.socket, question: bytes, size: int, until: float) -> bytes:
    """An answer of so many bytes; none if it hangs up. Raises TimeoutError at `until`."""
    answer = b""
    try:
        connection.sendall(question)
        while len(answer) < size:
            connection.settimeout(max(0.001, until - time.monotonic()))
            more = connection.recv(size - len(answer))
            if not more:
                return b""
            answer += more
    except TimeoutError:
        raise
    except OSError:  # it has hung up
        return b""
    return answer


def is_of_servers(message: str) -> bool:
    """Whether a process has died of a server, by what it died with: ggml's RPC client aborts."""
    return "ggml-rpc" in message


def of_servers(hint: str, servers: Sequence[str]) -> str:
    """The hint, with that it may be these servers' doing."""
    return f"{hint}; or {_listed(servers, ' or ')} answers wrongly" if servers else hint


def gone(servers: Sequence[str], message: str) -> ServerError:
    """The error that a process died of whose last words were these."""
    if "handshake failed" in message:
        return ServerError(
            f"{_listed(servers)}: one of them speaks another version of llama.cpp's RPC"
            if len(servers) > 1
            else f"{servers[0]} speaks another version of llama.cpp's RPC",
            hint="the same softchat and llama-cpp-python must be on all machines",
        )
    lost = unreachable(servers)
    if lost:
        return ServerError(f"{_listed(lost)} has gone", hint=f"{_START}; then just go on")
    return ServerError(
        f"{_listed(servers, ' or ')} had gone, or stalled; it answers again",
        hint="just go on",
    )


def _listed(servers: Sequence[str], between: str = " and ") -> str:
    return between.join(servers)


def unreachable(servers: Sequence[str], *, patience_s: float = 1.0) -> list[str]:
    """Those of these servers that can't be used now."""
    found = []
    for server in servers:
        try:
            greet(server, patience_s=patience_s)
        except ServerError:
            found.append(server)
    return found
