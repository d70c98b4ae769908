"""What a step costs on RPC servers: 1, 2 and 4 of them on loopback, then behind slow networks.

    python benchmarks/rpc.py MODEL.gguf [--steps 24] [--repeats 3] [--part servers|networks]

Starts the servers itself, each with one thread. The networks are relays of `benchmarks/relay.py`:
real ones would need a kernel with netem. Prints a row for each case.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from softchat.bench import measure_machines
from softchat.talk.worker.rpc_process import RpcServer

RELAY = Path(__file__).with_name("relay.py")
NETWORKS = ((0.1, 1000), (1.0, 1000), (10.0, 1000), (0.1, 100), (1.0, 100), (10.0, 100))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["servers", "networks"])
    given = parser.parse_args()
    with ExitStack() as stack:
        count = 2 if given.part == "networks" else 4
        servers = [stack.enter_context(served()) for _ in range(count)]
        if given.part != "networks":
            show("loopback", given, servers)
        for delay_ms, mbit in NETWORKS if given.part != "servers" else ():
            with ExitStack() as relays:
                behind = [
                    relays.enter_context(relayed(server, delay_ms, mbit)) for server in servers[:2]
                ]
                show(f"{delay_ms:g} ms one way, {mbit} Mbit/s", given, behind)


def show(name: str, given: argparse.Namespace, servers: Sequence[str]) -> None:
    """Measure with these servers, and print a row for each number of them."""
    report = measure_machines(
        given.model,
        given.model.stem,
        servers,
        steps=given.steps,
        repeats=given.repeats,
        n_threads=1,
    )
    print(f"{name}: a step here {report.local_step_ms:.1f} ms", flush=True)
    for count, one in report.by_servers.items():
        print(
            f"  {count} servers: {one.step_ms:.1f} ms a step ({one.step_to_local:.2f} of the speed "
            f"here), prompt {one.prompt_to_local:.2f}, {one.bytes_a_step} bytes a step",
            flush=True,
        )


@contextmanager
def served() -> Iterator[str]:
    """A server on loopback: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with closing(RpcServer("127.0.0.1", port, n_threads=1)):
        yield f"127.0.0.1:{port}"


@contextmanager
def relayed(server: str, delay_ms: float, mbit: float) -> Iterator[str]:
    """A server behind a network: its address."""
    port = server.rpartition(":")[2]
    command = [sys.executable, str(RELAY), port, f"--delay-ms={delay_ms}", f"--mbit={mbit}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout
        yield f"127.0.0.1:{relay.stdout.readline().strip()}"
        relay.kill()


if __name__ == "__main__":
    main()
