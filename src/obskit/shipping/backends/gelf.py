"""Graylog, in its Extended Log Format (GELF) 1.1.

Sent: by HTTP (``gelf+http://``) ``POST /gelf``, one message a request, or with ``bulk=1``, for
inputs with "bulk receiving", one a line; by TCP (``gelf+tcp://``, ``gelf+tls://``) messages that
end in a zero byte, never compressed; by UDP (``gelf+udp://``) one or several datagrams each.
Promised: by HTTP 202 means accepted; it is no word about whether the message can be read. By TCP
and UDP nobody answers: best effort.
Limits: by HTTP Graylog takes 64 KiB a request, by TCP 2 MiB a message, by UDP 128 datagrams of at
most ``datagram=`` bytes (1420; 8154 in a local network), compressed where that helps. A message
that is larger is refused.
Contract: Graylog's "GELF Payload Specification", "GELF Inputs"; limits as in its transports.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable, Sequence
from time import monotonic

import orjson

from obskit.schemas import gelf
from obskit.shipping import verdict
from obskit.shipping.backends import ACKNOWLEDGED, BEST_EFFORT, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.backends.stream import OverTcp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

PATH = "/gelf"
_HEADERS = {"Content-Type": "application/json"}
_MAGIC, _HEAD, _MOST_CHUNKS = b"\x1e\x0f", 12, 128
_DATAGRAM = 1420
_MOST_TCP = 2 * 1024 * 1024 - 1
_TOO_LARGE = Verdict(REFUSED, "event too large")
_GZIP = 31


def encode(body: bytes) -> bytes:
    """Return a line as a message; times are as exact as a number can be."""
    return orjson.dumps(gelf.encode(reading.record(body)))


class Http(OverHttp):
    """One input by HTTP."""

    kind = "line"
    promise = ACKNOWLEDGED

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._exchange = Exchange(target, PATH)
        self._is_bulk = target.flag("bulk")
        # Graylog's limit is for a request, and a message is larger than its line.
        self.most_bytes = 40 * 1024 if self._is_bulk else 1024 * 1024
        self.most_entries = 500

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch*: in one request, or one after the other as far as the time allows."""
        if self._is_bulk:
            return self._post(b"\n".join([encode(entry.body) for entry in batch]), seconds)
        return _each(batch, seconds, lambda entry, left: self._post(encode(entry.body), left))

    def _post(self, body: bytes, seconds: float) -> Verdict:
        return self._exchange.judge(self._exchange.post(PATH, body, seconds, _HEADERS))


class Tcp(OverTcp):
    """One input by TCP."""

    kind = "line"
    promise = BEST_EFFORT
    most_bytes = 1024 * 1024
    most_entries = 2000

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Write *batch* to the connection."""
        messages = [encode(entry.body) for entry in batch]
        refused = [(i, _TOO_LARGE) for i, one in enumerate(messages) if len(one) > _MOST_TCP]
        try:
            data = b"".join([one + b"\0" for one in messages if len(one) <= _MOST_TCP])
            if data:
                self._stream.write(data, seconds)
        except OSError as error:
            return verdict.of_error(error)
        return verdict.of_items(len(batch), refused)


class Udp:
    """One input by UDP."""

    kind = "line"
    promise = BEST_EFFORT
    most_bytes = 256 * 1024
    most_entries = 500

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._place = (target.host, target.port)
        self._size = min(target.number("datagram", _DATAGRAM), 65507)
        self._is_compressed = target.flag("gzip", True)
        self._socket: socket.socket | None = None

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send the datagrams of *batch*."""
        return _each(batch, seconds, self._send)

    def _send(self, entry: Entry, seconds: float) -> Verdict:
        pieces = self._pieces(encode(entry.body))
        if not pieces:
            return _TOO_LARGE
        try:
            if self._socket is None:
                self._socket = self._connected()
            self._socket.settimeout(seconds)
            for piece in pieces:
                self._socket.send(piece)
        except OSError as error:
            # What an earlier datagram met with is heard at the next one.
            self.close()
            return verdict.of_error(error)
        return ALL_TAKEN

    def _pieces(self, message: bytes) -> list[bytes]:
        """Return the datagrams of a message; none if it needs too many."""
        if len(message) > self._size and self._is_compressed:
            message = zlib.compress(message, 1, _GZIP)
        if len(message) <= self._size:
            return [message]
        room = self._size - _HEAD
        count = -(-len(message) // room)
        if count > _MOST_CHUNKS:
            return []
        head = _MAGIC + os.urandom(8)
        return [
            head + bytes((number, count)) + message[number * room : (number + 1) * room]
            for number in range(count)
        ]

    def _connected(self) -> socket.socket:
        family, kind, protocol, _, place = socket.getaddrinfo(*self._place, type=socket.SOCK_DGRAM)[
            0
        ]
        made = socket.socket(family, kind, protocol)
        try:
            made.connect(place)
        except BaseException:
            made.close()
            raise
        return made

    def forget(self) -> None:
        """Leave the socket to the parent, after a fork."""
        self.close()

    def close(self) -> None:
        """Close the socket."""
        found, self._socket = self._socket, None
        if found is not None:
            found.close()


def _each(
    batch: Sequence[Entry], seconds: float, send: Callable[[Entry, float], Verdict]
) -> Verdict:
    """Send one entry after the other, until one is to be sent again; those after it are, too."""
    deadline = monotonic() + seconds
    items: list[tuple[int, Verdict]] = []
    for index, entry in enumerate(batch):
        left = deadline - monotonic()
        found = send(entry, left) if left > 0 else Verdict(AGAIN, "timeout")
        if found.kind == AGAIN:
            items += [(later, found) for later in range(index, len(batch))]
            break
        if found.kind != TAKEN:
            items.append((index, found))
    return verdict.of_items(len(batch), items)


def make(target: Target, facts: Facts) -> Http | Tcp | Udp:
    """Return the backend that *target* describes."""
    if target.scheme == "udp":
        return Udp(target)
    return Tcp(target) if target.scheme in ("tcp", "tls") else Http(target)
