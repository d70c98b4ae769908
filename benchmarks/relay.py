"""A network between two ports of this machine, as slow as one likes: for figures without a network.

    python benchmarks/relay.py TO_PORT [--delay-ms 1] [--mbit 100]

Prints the port that it listens at, and passes on what comes there. Each byte arrives later by the
delay (one way), and no faster than the bandwidth. Two threads a direction, which take a little of a
core.
"""

from __future__ import annotations

import argparse
import queue
import socket
import threading
import time

CHUNK = 1 << 16
Chunks = queue.SimpleQueue[tuple[float, bytes]]


def main() -> None:
    """Relay until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("to", type=int)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--mbit", type=float, default=0.0, help="0: as fast as it goes")
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", given.to))
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe(one, other, given.delay_ms / 1e3, given.mbit * 1e6 / 8)


def pipe(source: socket.socket, sink: socket.socket, delay_s: float, rate: float) -> None:
    """Pass on what the source says, later and slower, in threads of its own."""
    chunks: Chunks = queue.SimpleQueue()

    def take() -> None:
        free_at = 0.0  # when the line has carried what came before
        while data := receive(source):
            now = time.perf_counter()
            free_at = max(free_at, now) + (len(data) / rate if rate else 0.0)
            chunks.put((free_at + delay_s, data))
        chunks.put((0.0, b""))

    def give() -> None:
        while True:
            due, data = chunks.get()
            wait(due)
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)  # closing would not end the other thread's wait
                    return
                sink.sendall(data)
            except OSError:
                return

    for work in (take, give):
        threading.Thread(target=work, daemon=True).start()


def receive(source: socket.socket) -> bytes:
    """What comes next; nothing at the end, however it ends."""
    try:
        return source.recv(CHUNK)
    except OSError:
        return b""


def wait(until: float) -> None:
    """Sleep, and the last 0.1 ms awake: a sleep wakes that much late."""
    while (left := until - time.perf_counter()) > 0:
        if left > 2e-4:
            time.sleep(left - 1e-4)


if __name__ == "__main__":
    main()
