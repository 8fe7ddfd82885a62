"""Fixtures for tests of what is sent.

``server``
    A small Zipkin that misbehaves as told: set ``server.mode`` to "ok", to a status, or to one of
    "hang" (takes the request, never answers), "deaf" (accepts, never reads), "drip" (one byte of
    the answer every 50 ms), "drop" (closes without an answer), "babble" (no HTTP), "refuse".
    It has ``url``, ``spans`` (decoded, of the batches that it took), ``batches`` (their sizes),
    ``requests`` (headers), ``statuses`` (answered first, one a request), ``poison`` (a name that
    makes a batch a bad one), ``headers`` (of its answers).

``said``
    The lines that a sender has said, as (message, fields).
"""

import contextlib
import gzip
import json
import socket
import socketserver
import threading
import time

import pytest

from obskit import health
from tests.services.ports import reserve_port


class Server(socketserver.ThreadingTCPServer):
    """The server of one test."""

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", reserve_port()), Handler)
        self.mode = "ok"
        self.spans, self.batches, self.requests, self.statuses = [], [], [], []
        self.headers, self.poison, self.connections = {}, None, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.over = threading.Event()

    def take(self, headers, body):
        """Return the status of a batch, and keep what is taken."""
        if self.statuses:
            return self.statuses.pop(0)
        if isinstance(self.mode, int):
            return self.mode
        assert headers["content-encoding"] == "gzip"
        spans = json.loads(gzip.decompress(body))
        if self.poison and any(span["name"] == self.poison for span in spans):
            return 400
        self.spans += spans
        self.batches.append(len(spans))
        return 202

    def handle_error(self, request, client_address):
        """Say nothing: clients of these tests vanish."""


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        """Answer until the client has gone."""
        self.server.connections += 1
        while not self.server.over.is_set():
            if self.server.mode == "deaf":
                self.server.over.wait()
                return
            line = self.rfile.readline()
            if not line:
                return
            headers = {}
            while (text := self.rfile.readline().strip()) != b"":
                name, _, value = text.decode().partition(": ")
                headers[name.lower()] = value
            body = self.rfile.read(int(headers["content-length"]))
            self.server.requests.append(headers | {":line": line.decode().strip()})
            if not self.answer(headers, body):
                return

    def answer(self, headers, body):
        """Tell whether the connection goes on."""
        mode = self.server.mode
        if mode == "hang":
            self.server.over.wait()
            return False
        if mode == "drop":
            return False
        if mode == "babble":
            self.wfile.write(b"220 smtp ready\r\n")
            return False
        status = self.server.take(headers, body)
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.server.headers.items())
        answer = f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{extra}\r\n".encode()
        if mode == "drip":
            for one in answer:
                self.wfile.write(bytes([one]))
                time.sleep(0.05)
        else:
            self.wfile.write(answer)
        return True


@pytest.fixture
def server():
    """Give a server that runs."""
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield one
        one.over.set()
        one.shutdown()
        thread.join(5)


@pytest.fixture
def nobody():
    """Give the URL of a port that refuses."""
    return f"http://127.0.0.1:{reserve_port()}"


@pytest.fixture
def said():
    """Give the list of what is said; counts are as new before and after."""
    health.reset()
    yield []
    health.reset()


@pytest.fixture
def silent():
    """Give the URL of a port that takes connections in the kernel, and nobody accepts them."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        one.listen(1)
        yield f"http://127.0.0.1:{one.getsockname()[1]}"
