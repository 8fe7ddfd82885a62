"""Send what obskit itself has to send, on one connection that is kept.

This is made of the standard library, so that no hook of ours or of others sees it; whoever calls
it observes nothing meanwhile. Proxies of the environment are not asked, and no redirect is
followed. To import it is to import ssl: do so when there is something to send.
"""

from __future__ import annotations

import base64
import http.client
import io
import socket
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

MOST_READ = 64 * 1024


class Answer:
    """What came back: the status, the headers in lower case, the beginning of the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """Talk to one server; not for several threads at once.

    Args:
        url: Its base URL; user and password in there are sent as basic authentication.
        timeout: Most seconds for a whole exchange, however slowly the answer drips in.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        split = urlsplit(url)
        self.path = split.path.rstrip("/")
        self.timeout = timeout
        self._secure = split.scheme.lower() == "https"
        self._host, self._port = split.hostname or "", split.port
        self._headers = {"Host": split.netloc.rpartition("@")[2]}
        if split.username is not None:
            pair = f"{unquote(split.username)}:{unquote(split.password or '')}"
            encoded = base64.b64encode(pair.encode()).decode()
            self._headers["Authorization"] = f"Basic {encoded}"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send *body* to *path* below the base URL and return the answer.

        Raises:
            OSError: It could not be sent, or nothing came back in time; also
                `http.client.HTTPException` where what came back is no HTTP.
        """
        deadline = monotonic() + self.timeout
        kept = self._connection
        if kept is not None and not _is_closed(kept.sock):
            try:
                return self._exchange(kept, path, body, headers, deadline)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # who keeps a connection may close it at any time
        self.close()
        self._connection = self._connect(deadline)
        return self._exchange(self._connection, path, body, headers, deadline)

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=_left(deadline))
        connection.connect()
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Answer:
        try:
            connection.sock.settimeout(_left(deadline))
            connection.response_class = _reading_until(deadline)
            connection.request("POST", self.path + path, body, {**self._headers, **headers})
            response = connection.getresponse()
            content = response.read(MOST_READ)
            found = {name.lower(): value for name, value in response.getheaders()}
            if response.will_close or not response.isclosed():
                self.close()
            return Answer(response.status, found, content)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Leave the connection to the process that this one was forked from."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            # To close a secure one properly would say so to the server.
            socket.close(connection.sock.detach())


def _is_closed(sock: Any) -> bool:
    """Tell whether the server has closed, or sent what nobody has asked for."""
    if sock is None:
        return True
    try:
        sock.settimeout(0)
        return bool(sock.recv(1) or True)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError as error:
        # What an idle secure connection says instead.
        return type(error).__name__ not in ("SSLWantReadError", "SSLWantWriteError")


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Incoming(io.RawIOBase):
    """Read from a socket until the time for all of it is up."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _reading_until(deadline: float) -> Any:
    def make(sock: socket.socket, *arguments: Any, **options: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *arguments, **options)
        response.fp.close()
        response.fp = io.BufferedReader(_Incoming(sock, deadline))
        return response

    return make
