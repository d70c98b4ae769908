"""Whether a server answers: all that can stand at the other end, without llama.cpp."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import closing, suppress

import pytest

from softchat.engine import servers
from softchat.engine.servers import gone, greet, is_of_servers
from softchat.errors import ServerError


@pytest.fixture
def standing():
    """Something that listens, and does this with each connection: its address."""
    listeners, kept, threads = [], [], []

    def stands(act):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                act(connection)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield stands
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)  # what waits there wakes up
    for thread in threads:
        thread.join()
    for one in listeners + kept:
        one.close()


def answer(*version, size=28):
    return struct.pack("<Q3Bx24x", size, *version)


def devices(count):
    return struct.pack("<QI", 4, count)


def test_a_server_says_its_version(standing):
    """To a greeting of 33 bytes, however the answer is cut; and then how many devices it has."""
    heard = []

    def act(connection):
        heard.append(connection.recv(100))
        for byte in answer(7, 1, 2):
            connection.sendall(bytes([byte]))
        heard.append(connection.recv(100))
        connection.sendall(devices(2))

    assert greet(standing(act)) == "7.1.2"
    assert heard == [
        b"\x0e" + struct.pack("<Q", 24) + bytes(24),
        b"\x0f" + struct.pack("<Q", 0),
    ]


def test_a_server_that_does_not_know_the_second_question(standing):
    """May hang up: it is of another version, which ggml finds out."""

    def act(connection):
        connection.sendall(answer(1, 0, 0))
        connection.shutdown(socket.SHUT_WR)

    assert greet(standing(act)) == "1.0.0"


def test_more_devices_than_there_are(standing):
    """ggml would make room for each of them."""
    address = standing(lambda one: one.sendall(answer(7, 0, 0) + devices(2**32 - 1)))
    with pytest.raises(ServerError, match=f"{address} says that it has 4294967295 devices"):
        greet(address)


def test_one_that_drips(standing):
    """The time is for all of the answer, not for each byte."""

    def act(connection):
        with suppress(OSError):
            for byte in answer(7, 0, 0):
                connection.sendall(bytes([byte]))
                time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(ServerError, match=r"does not answer within 0\.5 s"):
        greet(standing(act), patience_s=0.5)
    assert time.monotonic() - began < 2.5  # and not 3.6


def test_one_that_greets_and_is_silent_then(standing):
    """Is as good as one that is silent from the start."""
    with pytest.raises(ServerError, match="does not answer within"):
        greet(standing(lambda one: one.sendall(answer(7, 0, 0))), patience_s=0.5)


@pytest.mark.parametrize(
    "act",
    [
        lambda one: one.close(),
        lambda one: one.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" + b"x" * 40),
        lambda one: (one.sendall(b"HTTP/1.1 400 Bad"), one.shutdown(socket.SHUT_WR)),
        lambda one: one.sendall(answer(7, 0, 0, size=4)),
    ],
)
def test_something_else_at_the_port(standing, act):
    """It is refused by its address, whether it talks or hangs up."""
    address = standing(act)
    with pytest.raises(ServerError, match=f"what listens at {address} is no RPC server"):
        greet(address)


def test_one_that_is_silent(standing):
    """Is not waited for longer than asked: it may have another client."""
    address = standing(lambda one: None)
    with pytest.raises(ServerError, match="does not answer within") as caught:
        greet(address, patience_s=1.0)  # a busy machine takes a while to connect
    assert "one client at a time" in caught.value.hint


def test_nobody(monkeypatch):
    """No server, or no such machine: the address, and where to start one."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServerError, match=f"no server at 127.0.0.1:{port}: connection refused"):
        greet(f"127.0.0.1:{port}")
    with pytest.raises(ServerError, match="no machine is known as nowhere"):
        greet("nowhere.invalid:1")

    def late(*_):
        raise TimeoutError

    monkeypatch.setattr(servers.socket, "create_connection", late)
    with pytest.raises(ServerError, match="does not answer within 5 s"):
        greet("127.0.0.1:1")


def test_who_has_gone_is_named(standing):
    """Of several servers the one that does not answer; if all do, one of them."""
    there = standing(lambda one: one.sendall(answer(7, 0, 0) + devices(1)))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        away = f"127.0.0.1:{listener.getsockname()[1]}"
    said = "llama.cpp died of SIGABRT: ggml-rpc.cpp:459: Remote RPC server crashed"
    assert is_of_servers(said)
    assert not is_of_servers("llama.cpp died of SIGKILL")
    assert gone([there, away], said).message == f"{away} has gone"
    assert gone([there], said).message == f"{there} had gone, or stalled; it answers again"
    assert "another version" in gone([there], "ggml-rpc.cpp:1: RPC handshake failed").message
