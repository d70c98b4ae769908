"""Two RPC servers on loopback, and tiny models. Without GGML_RPC these tests are skipped."""

from __future__ import annotations

import re
import resource
import socket
from contextlib import closing
from pathlib import Path

import pytest

from softchat.engine.rpc import is_built
from softchat.talk.worker.process import is_isolated
from softchat.talk.worker.rpc_process import RpcServer
from tests import tiny


def pytest_collection_modifyitems(items):
    """Skip what needs a server where llama.cpp can be none, or a crash would end the tests."""
    if is_built() and is_isolated({}):
        return
    for item in items:
        if item.path.parent.name == "rpc":
            item.add_marker(pytest.mark.skip(reason="llama.cpp is built without GGML_RPC"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Servers:
    """Servers by address; each is started when it is asked for first, and again if it has died."""

    def __init__(self):
        self._ports = [free_port(), free_port()]
        self._running: dict[str, RpcServer] = {}

    def take(self, count: int) -> tuple[str, ...]:
        """The addresses of so many of them, which run."""
        addresses = tuple(f"127.0.0.1:{port}" for port in self._ports[:count])
        for address in addresses:
            self.start(address)
        return addresses

    def start(self, address: str) -> None:
        if address not in self._running:
            port = int(address.rpartition(":")[2])
            self._running[address] = RpcServer("127.0.0.1", port, n_threads=1)

    def kill(self, address: str) -> None:
        self._running.pop(address).close()

    def process(self, address: str) -> int:
        return self._running[address].pid

    def close(self) -> None:
        for server in self._running.values():
            server.close()


@pytest.fixture(scope="session")
def servers():
    with closing(Servers()) as both:
        yield both


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", letters=tiny.ASCII)


@pytest.fixture
def limited_server(tmp_path):
    """A server whose process gets hardly more memory than it has when it begins to serve."""
    port = free_port()
    server = RpcServer("127.0.0.1", port, n_threads=1)
    status = Path(f"/proc/{server.pid}/status").read_text()
    has = int(re.search(r"VmSize:\s*(\d+) kB", status)[1]) << 10
    resource.prlimit(server.pid, resource.RLIMIT_AS, (has + (1 << 17), has + (1 << 17)))
    with closing(server):
        yield f"127.0.0.1:{port}"
