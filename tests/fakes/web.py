"""A server for HTTP/1.1 that is strict about what it reads and misbehaves when it is told to."""

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from urllib.parse import parse_qs, urlsplit

from tests.fakes.faults import RETRY_AFTER, STATUSES
from tests.services.ports import reserve_port

DRIP_SECONDS = 0.05


class Request:
    """One request; *body* is decompressed."""

    def __init__(self, method, target, headers, body, size):
        self.method, self.headers, self.body, self.size = method, headers, body, size
        self.path = urlsplit(target).path
        self.query = {k: v[-1] for k, v in parse_qs(urlsplit(target).query).items()}

    @property
    def type(self):
        """The media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


class Reply:
    """One answer."""

    def __init__(self, status, body=b"", **headers):
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if not isinstance(body, bytes):
            self.headers.setdefault("content-type", "application/json")

    def encoded(self):
        """Return it as it is sent."""
        lines = [f"HTTP/1.1 {self.status} X", f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head if self.status == 204 else head + self.body


class BadRequestError(Exception):
    """It is no HTTP that a server has to understand."""


class Listener:
    """A port that is listened on, that can be closed and opened again."""

    def __init__(self, faults, serve, tls=None):
        self.faults, self.serve, self.tls = faults, serve, tls
        self.port = reserve_port()
        self.connections, self.open = 0, set()
        self.over = threading.Event()
        self.socket = None
        faults.listen = self.attend
        self.attend()

    def attend(self):
        """Listen, or do not."""
        if self.faults.is_refusing and self.socket is not None:
            self.shut()
        elif not self.faults.is_refusing and self.socket is None and not self.over.is_set():
            self.socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
            threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()

    def shut(self):
        """Close the port and what came in by it."""
        listening, self.socket = self.socket, None
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self.drop()

    def drop(self):
        """Close all connections."""
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def accept(self, listening):
        """Serve each connection in a thread."""
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        """Serve one connection."""
        self.open.add(connection)
        try:
            if self.tls is not None:
                self.open.discard(connection)
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.open.add(connection)
            self.serve(connection)
        except (OSError, ssl.SSLError):
            pass
        finally:
            self.open.discard(connection)
            connection.close()

    def stop(self):
        """Close all."""
        self.over.set()
        if self.socket is not None:
            self.shut()


class Web:
    """Answers requests with what *product* says.

    A product has ``answer(request) -> Reply`` and ``refusal(status, path) -> Reply``, which is
    how it says 401, 413 and so on; ``special(name, request) -> Reply`` for faults of its own.
    """

    def __init__(self, product, faults, tls=None):
        self.product, self.faults = product, faults
        self.requests = []
        self.lock = threading.Lock()
        self.listener = Listener(faults, self.serve, tls)

    def serve(self, connection):
        """Answer until the client has gone, or a fault ends it."""
        stream = connection.makefile("rb")
        while not self.listener.over.is_set():
            try:
                request = read(stream)
            except BadRequestError as error:
                connection.sendall(Reply(400, str(error).encode()).encoded())
                return
            if request is None or not self.answer(connection, request):
                return

    def answer(self, connection, request):
        """Tell whether the connection goes on."""
        fault = self.faults.next()
        if fault == "hang":
            self.listener.over.wait(30)
            return False
        if fault == "cut before":
            return False
        if fault == "babble":
            connection.sendall(b"220 smtp.example ready\r\n")
            return False
        with self.lock:
            self.requests.append(request)
            reply = self.reply(fault, request)
        if fault == "cut after acceptance":
            return False
        encoded = reply.encoded()
        if fault == "half answer":
            connection.sendall(encoded[: len(encoded) - max(1, len(reply.body) // 2)])
            return False
        if fault == "drip":
            for index in range(len(encoded)):
                connection.sendall(encoded[index : index + 1])
                time.sleep(DRIP_SECONDS)
            return True
        connection.sendall(encoded)
        return True

    def reply(self, fault, request):
        """Return what is answered."""
        if fault in STATUSES:
            reply = self.product.refusal(int(fault[:3]), request)
            if fault.endswith("Retry-After"):
                reply.headers["retry-after"] = str(RETRY_AFTER)
            return reply
        if fault == "nonsense":
            return Reply(200, b"<html>Please log in</html>", content_type="text/html")
        if fault in ("partial", "260"):
            return self.product.special(fault, request)
        return self.product.answer(request)


def read(stream):
    """Return the next request; None at the end."""
    line = stream.readline()
    if not line:
        return None
    words = line.decode().split()
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise BadRequestError("no request line")
    headers = {}
    while (text := stream.readline().strip().decode("latin-1")) != "":
        name, colon, value = text.partition(":")
        if not colon or name.lower() in headers:
            raise BadRequestError(f"header {name} twice, or none")
        headers[name.lower()] = value.strip()
    if "host" not in headers:
        raise BadRequestError("no host")
    if "transfer-encoding" in headers or not headers.get("content-length", "").isdecimal():
        raise BadRequestError("chunked, or of unknown length")
    size = int(headers["content-length"])
    body = stream.read(size)
    if len(body) != size:
        return None
    return Request(words[0], words[1], headers, decompressed(body, headers), size)


def decompressed(body, headers):
    """Return a body as it was before it was compressed."""
    encoding = headers.get("content-encoding", "identity")
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise BadRequestError(f"encoding {encoding}")
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise BadRequestError("no gzip") from None
