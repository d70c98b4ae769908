"""A hub on loopback, and the storage that it sends to; both can misbehave.

Only the addresses are served that the real client asks for: the file of a repository at a
revision, and the storage's copy of it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Served:
    """What is served, and how; then who asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By `ORG/REPO/FILE`, or on a storage by path."""
    claims: dict[str, str] = field(default_factory=dict)
    """Headers that say other than what is true; an empty one is left out."""
    later: dict[str, str] = field(default_factory=dict)
    """Such headers from the second answer on."""
    storage: str = ""
    """Where the hub sends for the content; empty: it gives it itself."""
    cut_after: int = 0
    """Bytes of each answer's content, then the connection breaks; 0: never."""
    cuts: int = 10**9
    """How often that happens."""
    ranges: bool = True
    """Whether a part can be asked for."""
    status: int = 200
    """Other than 200: the answer to everything."""
    pause: threading.Event | None = None
    """What each answer waits for when half of it is out."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path, and headers in lower case."""


def handler_of(served: Served):
    """A class that answers as `served` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            """Write nothing."""

        def do_HEAD(self):
            self.answer(with_content=False)

        def do_GET(self):
            self.answer(with_content=True)

        def answer(self, *, with_content):
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.asked.append((self.command, self.path, headers))
            way = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/([^?]+)(\?.*)?", self.path)
            name = f"{way[1]}/{way[2]}" if way else self.path
            content = served.files.get(name)
            if served.status != 200 or content is None:
                self.refuse(served.status if served.status != 200 else 404)
                return
            said = {
                "ETag": '"' + hashlib.sha256(content).hexdigest() + '"',
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(content)),
            } | served.claims
            if len(served.asked) > 1:
                said |= served.later
            if served.storage and way:
                said |= {"Location": served.storage + self.path, "Content-Length": "0"}
                said["X-Linked-Etag"] = said.pop("ETag")
                self.send(302, said)
                return
            self.content(content, said, headers.get("range", ""), with_content)

        def content(self, content, said, wanted, with_content):
            start = re.fullmatch(r"bytes=(\d+)-", wanted)
            status = 200
            if start and served.ranges:
                status, first = 206, int(start[1])
                said["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                content = content[first:]
            self.send(status, said | {"Content-Length": str(len(content))})
            if not with_content:
                return
            if served.cut_after and served.cuts and len(content) > served.cut_after:
                served.cuts -= 1
                self.wfile.write(content[: served.cut_after])
                self.close_connection = True
                return
            half = len(content) // 2
            self.wfile.write(content[:half])
            if served.pause is not None:
                self.wfile.flush()
                served.pause.wait(60)
            self.wfile.write(content[half:])

        def refuse(self, status):
            codes = {401: "RepoNotFound", 403: "GatedRepo", 404: "EntryNotFound"}
            self.send(status, {"X-Error-Code": codes.get(status, ""), "Content-Length": "0"})

        def send(self, status, headers):
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

    return Handler


@contextmanager
def serving(served: Served, *, context=None):
    """The address where it is served; over TLS with an SSL context."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args):
            """A client that was killed is no error of the server's."""

    server = Server(("127.0.0.1", 0), handler_of(served))
    scheme = "http"
    if context is not None:
        scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        if served.pause is not None:
            served.pause.set()
        server.shutdown()
        thread.join()
        server.server_close()
