"""Answer scrapes inside of a web application: an ASGI app, a WSGI app, and what both say."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple

from obskit import health
from obskit.metrics.exposition import render

SMALLEST_GZIP = 1024
TEXT = "text/plain; charset=utf-8"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
StartResponse = Callable[..., Any]


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


def answer(method: str, accept: str | None, accept_encoding: str | None) -> Answer:
    """Return the response to a scrape; it never raises."""
    reply = _answer(method, accept, accept_encoding)
    return reply if method != "HEAD" else reply._replace(body=b"")


def _answer(method: str, accept: str | None, accept_encoding: str | None) -> Answer:
    if method not in ("GET", "HEAD"):
        refusal = text(405, "Method Not Allowed", "Metrics can only be read: use GET or HEAD.\n")
        refusal.headers.append(("Allow", "GET, HEAD"))
        return refusal
    try:
        content_type, body = render(accept)
    except Exception as error:
        health.internal_error("metrics.render", error)
        return text(500, "Internal Server Error", "The metrics could not be rendered.\n")
    headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
    if len(body) >= SMALLEST_GZIP and accepts_gzip(accept_encoding):
        body = gzip.compress(body, compresslevel=6, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(body))))
    return Answer(200, "OK", headers, body)


def text(status: int, reason: str, message: str) -> Answer:
    """Return a response of plain text."""
    body = message.encode()
    length = ("Content-Length", str(len(body)))
    return Answer(status, reason, [("Content-Type", TEXT), length], body)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell whether an Accept-Encoding header allows gzip."""
    for item in (accept_encoding or "").lower().split(","):
        coding, _, quality = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def metrics_app() -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI application that answers scrapes under whatever path it is mounted.

    Use it where a port of its own is not wanted: ``app.mount("/metrics", metrics_app())``.
    With several workers any of them answers for all.
    """
    return _serve_asgi


async def _serve_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
    else:
        await _respond(scope, send)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _respond(scope: Scope, send: Send) -> None:
    headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
    accept, encoding = (headers.get(name, b"") for name in (b"accept", b"accept-encoding"))
    asked = scope["method"], accept.decode("latin-1"), encoding.decode("latin-1")
    status, _, answered, body = await _outside_of_the_loop(asked)
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in answered]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _outside_of_the_loop(asked: tuple[str, str | None, str | None]) -> Answer:
    """Render in a thread, so that a large exposition holds up no request."""
    import asyncio  # not above: it brings ssl along, which gevent must patch before

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # another kind of loop, such as trio's
        return answer(*asked)
    return await loop.run_in_executor(None, answer, *asked)


def metrics_wsgi_app() -> Callable[[Mapping[str, Any], StartResponse], Iterable[bytes]]:
    """Return a WSGI application that answers scrapes under whatever path it is mounted.

    Use it where a port of its own is not wanted. With several workers any answers for all.
    """
    return _serve_wsgi


def _serve_wsgi(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    status, reason, headers, body = answer(
        environ.get("REQUEST_METHOD", "GET"),
        environ.get("HTTP_ACCEPT"),
        environ.get("HTTP_ACCEPT_ENCODING"),
    )
    start_response(f"{status} {reason}", headers)
    return [body]
