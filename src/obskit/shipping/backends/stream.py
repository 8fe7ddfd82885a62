"""Write to one TCP connection that nobody answers on; secure if that is wanted."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING

from obskit.shipping.backends.exchange import tls
from obskit.shipping.target import Target

if TYPE_CHECKING:
    from obskit.http import Tls

_PIECE = 64 * 1024


class Stream:
    """The connection to one server, opened when there is something to write.

    Args:
        host: Its name.
        port: Its port.
        tls: How it is checked; None for a connection that is not secure.
    """

    def __init__(self, host: str, port: int, tls: Tls | None) -> None:
        self._place = (host, port)
        self._tls = tls
        self._socket: socket.socket | None = None

    def write(self, data: bytes, seconds: float) -> None:
        """Write all of *data* within *seconds*.

        Raises:
            OSError: It could not be written, or the server closed meanwhile. What of it has
                arrived is not known.
        """
        from obskit.http import is_closed, left

        deadline = monotonic() + seconds
        try:
            if self._socket is None or is_closed(self._socket):
                self.close()
                self._socket = self._connected(deadline)
            for start in range(0, len(data), _PIECE):
                self._socket.settimeout(left(deadline))
                self._socket.sendall(data[start : start + _PIECE])
            if is_closed(self._socket):
                raise ConnectionResetError("closed by the server")
        except BaseException:
            self.close()
            raise

    def _connected(self, deadline: float) -> socket.socket:
        from obskit.http import left

        context = None if self._tls is None else self._tls.context()
        plain = socket.create_connection(self._place, left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return plain
            return context.wrap_socket(plain, server_hostname=self._place[0])
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """Close the connection; what is written next opens another."""
        found, self._socket = self._socket, None
        if found is not None:
            found.close()

    def forget(self) -> None:
        """Leave the connection to the process that this one was forked from."""
        found, self._socket = self._socket, None
        if found is not None:
            # To close a secure one properly would say so to the server.
            socket.close(found.detach())


class OverTcp:
    """What backends that write to a connection have in common."""

    def __init__(self, target: Target) -> None:
        self.url = target.url
        secure = tls(target) if target.scheme == "tls" else None
        self._stream = Stream(target.host, target.port, secure)

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork."""
        self._stream.forget()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
