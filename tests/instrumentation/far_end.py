"""The far end of outgoing calls: servers on loopback that keep what they are sent.

``far_end``
    Answers as the path says: ``/to/<url>`` redirects there, ``/status/<number>``,
    ``/slow`` once `FarEnd.go_on` is set, ``/drip`` with the half of its body before that,
    ``/drop`` not at all, ``/drop-first`` not the first time, ``/echo`` with what it was sent.

``tls_far_end``
    The same behind TLS; `CERTIFICATE` is the authority to trust.

``proxy``
    Makes tunnels (CONNECT), forwards everything else, and keeps what it was sent.
"""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from obskit import propagation
from obskit.propagation.inbound import Boundary

CERTIFICATE = str(Path(__file__).with_name("loopback.pem"))
PATIENCE = 20.0


class FarEnd(ThreadingHTTPServer):
    """Keep path and headers of each request in *seen*, and the bodies in *bodies*."""

    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler], scheme: str = "http") -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.scheme = scheme
        self.seen: list[tuple[str, Any]] = []
        self.bodies: list[bytes] = []
        self.peers: list[Any] = []
        self.go_on = threading.Event()
        if scheme == "https":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(CERTIFICATE)
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"{self.scheme}://{self.address}"

    @property
    def foreign(self) -> str:
        """The same by another name, which `only_localhost_is_foreign` makes a foreign one."""
        return f"{self.scheme}://localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that leave."""


class Handler(BaseHTTPRequestHandler):
    """Answer as the path says."""

    protocol_version = "HTTP/1.1"
    server: FarEnd

    def do_GET(self) -> None:
        server, path = self.server, self.path.partition("?")[0]
        server.seen.append((self.path, self.headers))
        server.peers.append(self.client_address)
        server.bodies.append(self._body())
        if path == "/drop" or (path == "/drop-first" and len(server.seen) == 1):
            self.close_connection = True
            return
        if path == "/slow":
            server.go_on.wait(PATIENCE)
        status = int(path[8:]) if path.startswith("/status/") else 200
        content = server.bodies[-1] if path == "/echo" else b"fine"
        self.send_response(302 if path.startswith("/to/") else status)
        if path.startswith("/to/"):
            self.send_header("Location", self.path[4:])
        self.send_header("Obskit-Cause", "1.9.00f067aa0ba902b7-4")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if path == "/drip":
            self.wfile.write(content[:2])
            self.wfile.flush()
            server.go_on.wait(PATIENCE)
            content = content[2:]
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Proxy(Handler):
    """Pass on to where it is told."""

    def do_CONNECT(self) -> None:
        self.server.seen.append((self.path, self.headers))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as far:
            self.send_response(200)
            self.end_headers()
            _pump(self.connection, far)
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers))
        target = urlsplit(self.path)
        far = HTTPConnection(target.hostname or "", target.port, timeout=PATIENCE)
        far.request(self.command, target.path or "/", headers=dict(self.headers))
        answer = far.getresponse()
        content = answer.read()
        far.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _pump(one: socket.socket, other: socket.socket) -> None:
    others = {one: other, other: one}
    while True:
        ready, _, _ = select.select(list(others), (), (), PATIENCE)
        for sender in ready:
            data = sender.recv(65536)
            if not data:
                return
            others[sender].sendall(data)
        if not ready:
            return


@contextlib.contextmanager
def serving(server: FarEnd) -> Iterator[FarEnd]:
    """Serve in a thread while the block runs."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    """Give a server and what it has seen."""
    with serving(FarEnd(Handler)) as server:
        yield server


@pytest.fixture
def tls_far_end() -> Iterator[FarEnd]:
    """Give a server behind TLS."""
    with serving(FarEnd(Handler, "https")) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[FarEnd]:
    """Give a proxy."""
    with serving(FarEnd(Proxy)) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of what accepts connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


class _OneForeign(Boundary):
    def _is_internal_host(self, host: str) -> bool:
        return not host.startswith("localhost")


@pytest.fixture
def only_localhost_is_foreign() -> None:
    """Let ``localhost`` be a host of strangers, and ``127.0.0.1`` one of ours."""
    propagation.configure(propagation.Policy(boundary=_OneForeign()))
