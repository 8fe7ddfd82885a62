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
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from obskit.record import Record

MOST_READ = 64 * 1024
# More than this goes out piece by piece over TLS, where the time for all of it is not kept else.
_PIECE = 64 * 1024
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Tls(Record):
    """How a server is checked, and how we say who we are: paths of PEM files.

    Without *ca* the authorities of the system are believed; *insecure* believes everybody; *cert*
    is our own certificate, *key* its key where that is in a file of its own.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return a new context; the files are read now, so that renewed ones count.

        Raises:
            OSError: A file cannot be read, or is none of that kind.
        """
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            # Without a password at hand OpenSSL would ask for one at the terminal, and wait.
            context.load_cert_chain(self.cert, self.key or None, password=lambda: b"")
        return context


class Answer:
    """What came back: the status, the headers in lower case, the beginning of the body.

    *whole* tells whether that was all of the body: neither cut off by the server nor too long.
    """

    __slots__ = ("body", "headers", "status", "whole")

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, whole: bool = True
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.whole = whole


class Client:
    """Talk to one server; not for several threads at once.

    Args:
        url: Its base URL; user and password in there are sent as basic authentication.
        timeout: Most seconds for a whole exchange, however slowly the answer drips in.
        credential: Returns headers to send along; asked before each request, so that a token
            may be renewed. What it raises comes out of the request.
        tls: How a secure server is checked; Python's own defaults if it is None.
        most_read: Most bytes of the body of an answer that are read.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 10.0,
        credential: Callable[[], Mapping[str, str]] | None = None,
        tls: Tls | None = None,
        most_read: int = MOST_READ,
    ) -> None:
        split = urlsplit(url)
        self.path = split.path.rstrip("/")
        self.timeout = timeout
        self._credential, self._tls, self._most_read = credential, tls, most_read
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
        return self.request("POST", path, body, headers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NOTHING,
    ) -> Answer:
        """Do as `post` does, with another method."""
        deadline = monotonic() + self.timeout
        own = {} if self._credential is None else self._credential()
        asked = (method, self.path + path, body, {**self._headers, **own, **headers})
        kept = self._connection
        if kept is not None and not is_closed(kept.sock):
            try:
                return self._exchange(kept, asked, deadline)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # who keeps a connection may close it at any time
        self.close()
        self._connection = self._connect(deadline)
        return self._exchange(self._connection, asked, deadline)

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._secure:
            context = None if self._tls is None else self._tls.context()
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=left(deadline), context=context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=left(deadline))
        connection.connect()
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        asked: tuple[str, str, bytes | None, dict[str, str]],
        deadline: float,
    ) -> Answer:
        method, path, body, headers = asked
        try:
            connection.sock.settimeout(left(deadline))
            connection.response_class = _reading_until(deadline)
            sent: bytes | Iterable[bytes] | None = body
            if body is not None and self._secure and len(body) > _PIECE:
                headers = {**headers, "Content-Length": str(len(body))}
                sent = _pieces(body, connection.sock, deadline)
            connection.request(method, path, sent, headers)
            response = connection.getresponse()
            content = response.read(self._most_read)
            unread = response.length or len(content) >= self._most_read
            whole = response.isclosed() or not unread
            found = {name.lower(): value for name, value in response.getheaders()}
            if response.will_close or not response.isclosed():
                self.close()
            return Answer(response.status, found, content, whole)
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


def is_closed(sock: Any) -> bool:
    """Tell whether the server has closed *sock*, or sent what nobody has asked for."""
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


def left(deadline: float) -> float:
    """Return the seconds until *deadline*.

    Raises:
        TimeoutError: None are left.
    """
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def _pieces(body: bytes, sock: socket.socket, deadline: float) -> Iterator[bytes]:
    for start in range(0, len(body), _PIECE):
        sock.settimeout(left(deadline))
        yield body[start : start + _PIECE]


class _Incoming(io.RawIOBase):
    """Read from a socket until the time for all of it is up.

    It reads by the file that the response has made of the socket: that keeps the socket open for
    the rest of the body where the server has said that it will close.
    """

    def __init__(self, sock: socket.socket, file: io.RawIOBase, deadline: float) -> None:
        self._sock = sock
        self._file = file
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(left(self._deadline))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _reading_until(deadline: float) -> Any:
    def make(sock: socket.socket, *arguments: Any, **options: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *arguments, **options)
        file = response.fp.detach()
        response.fp = io.BufferedReader(_Incoming(sock, file, deadline))
        return response

    return make
