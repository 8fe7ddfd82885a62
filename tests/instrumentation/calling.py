"""Call applications as servers do, without one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]


class Call:
    """One ASGI call: what the application was sent and what it has sent.

    After the last message the client is gone, unless it *stays*.
    """

    def __init__(self, scope: Message, messages: Iterable[Message], *, stays: bool = False) -> None:
        self.scope = scope
        self.sent: list[Message] = []
        self._messages = list(messages)
        self._stays = stays

    async def receive(self) -> Message:
        """Hand over the next message, or what comes after the last one."""
        if self._messages:
            return self._messages.pop(0)
        if self._stays:
            await asyncio.Event().wait()
        kind = "http" if self.scope["type"] == "http" else "websocket"
        return {"type": f"{kind}.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what the application sends."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        return next(one["status"] for one in self.sent if one["type"] == "http.response.start")

    def header(self, name: str) -> list[str]:
        """Return all values that the response has under *name*."""
        start = next(one for one in self.sent if "headers" in one)
        return [value.decode() for key, value in start["headers"] if key.decode().lower() == name]


def scope(
    path: str = "/", method: str = "GET", headers: Iterable[tuple[str, str]] = (), **more: Any
) -> Message:
    """Return the scope of an HTTP request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


async def call(
    app: Callable[..., Awaitable[None]],
    *args: Any,
    messages: Iterable[Message] = ({"type": "http.request", "body": b"", "more_body": False},),
    **kwargs: Any,
) -> Call:
    """Call *app* with the request of a client who waits for the answer; return what came of it."""
    one = Call(scope(*args, **kwargs), messages, stays=True)
    await app(one.scope, one.receive, one.send)
    return one


def environ(
    path: str = "/", method: str = "GET", headers: Iterable[tuple[str, str]] = (), **more: Any
) -> dict[str, Any]:
    """Return the environ of an HTTP request."""
    from io import BytesIO

    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers},
        **more,
    }


class Answer:
    """What a WSGI application answers, taken as a server takes it."""

    def __init__(self, app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []
        self.starts = 0
        self.body = app(environ, self.start)

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Be the server's start_response."""
        self.status, self.headers = status, headers
        self.starts += 1
        return self.written.append

    def read(self) -> bytes:
        """Take everything and close."""
        try:
            return b"".join(self.body)
        finally:
            self.close()

    def close(self) -> None:
        """Close the body, if it can be."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    def header(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name]
