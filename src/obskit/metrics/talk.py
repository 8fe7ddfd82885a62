"""Speak HTTP with one scraper: one request, one answer, in a bounded time.

The standard library's server would do, but it waits for each byte anew, and its import takes
longer than all other work of this room.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from obskit import health, observation
from obskit.metrics.apps import Answer, answer, text

PATIENCE = 5.0
LONGEST_HEAD = 16_384
MOST_DRAINED = 65_536
REQUEST_WORDS = 3


class Request(NamedTuple):
    """What was asked for; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]


class Talk:
    """One connection, served in a thread of its own."""

    def __init__(self, connection: socket.socket, over: Callable[[Talk], None]) -> None:
        self.reading = True
        self._connection = connection
        self._over = over
        self._rendered = threading.Event()
        self.thread = threading.Thread(target=self._run, name="obskit-scrape", daemon=True)

    def hang_up(self) -> None:
        """End a conversation whose request has not come yet."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def rest(self, longest_wait: float) -> None:
        """Wait until the thread holds nothing that a fork must not find held."""
        if self.reading:
            self.hang_up()
        self._rendered.wait(longest_wait)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self) -> None:
        try:
            with observation.suppress(), self._connection:
                self._answer()
        except OSError:
            pass
        except Exception as error:
            health.internal_error("metrics.server", error)
        finally:
            self._rendered.set()
            self._over(self)

    def _answer(self) -> None:
        head = read_head(self._connection, PATIENCE)
        self.reading = False
        if head is None:
            return
        reply = respond(head)
        self._rendered.set()
        # The time out is for all of the answer: a scraper that reads slowly is left.
        self._connection.settimeout(PATIENCE)
        self._connection.sendall(reply)
        _say_goodbye(self._connection)


def read_head(connection: socket.socket, patience: float) -> bytes | None:
    """Return what *connection* sends up to the end of a request's headers.

    None if it ends before or takes longer than *patience* seconds; more bytes than allowed
    are returned as they are, without the end of the headers.
    """
    deadline = time.monotonic() + patience
    head = b""
    while not _is_complete(head) and len(head) <= LONGEST_HEAD:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        connection.settimeout(left)
        try:
            received = connection.recv(4096)
        except TimeoutError:
            return None
        if not received:
            return None
        head += received
    return head


def _is_complete(head: bytes) -> bool:
    return b"\r\n\r\n" in head or b"\n\n" in head


def _say_goodbye(connection: socket.socket) -> None:
    """Wait until the other side has the answer: closing over unread bytes would reset it."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1.0)
    drained = 0
    while drained < MOST_DRAINED and (received := connection.recv(4096)):
        drained += len(received)


def respond(head: bytes) -> bytes:
    """Return the bytes that answer a request with the bytes *head*."""
    request = parse(head)
    if request is None:
        return _encode(text(400, "Bad Request", "This is no HTTP request.\n"), "GET")
    return _encode(route(request.method, request.target, request.headers), request.method)


def parse(head: bytes) -> Request | None:
    """Return the request that *head* is the beginning of; None if it is none, or too long."""
    if not _is_complete(head):
        return None
    first, *lines = head.decode("latin-1").splitlines()
    words = first.split(" ")
    if len(words) != REQUEST_WORDS or not words[2].startswith("HTTP/1."):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            break
        headers[name.strip().lower()] = value.strip()
    return Request(words[0], words[1], headers)


def _encode(reply: Answer, method: str) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {reply.reason}", "Server: obskit", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if method == "HEAD" else head + reply.body


def route(method: str, target: str, headers: dict[str, str]) -> Answer:
    """Return the answer to a request of the metrics port."""
    path = target.partition("?")[0]
    if path.rstrip("/") == "/metrics":
        return answer(method, headers.get("accept"), headers.get("accept-encoding"))
    if path == "/":
        return text(200, "OK", "This is obskit. The metrics are at /metrics.\n")
    return text(404, "Not Found", "There is nothing here. The metrics are at /metrics.\n")
