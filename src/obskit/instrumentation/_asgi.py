"""The engine for ASGI: one observation for each request, from scope to the last body event."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from obskit import clock, conventions, health, observation
from obskit.instrumentation import _answer, _served, _wire
from obskit.instrumentation._served import MARK, Served, Template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


async def serve(
    app: App, scope: Scope, receive: Receive, send: Send, template: Template, library: str
) -> None:
    """Call *app* for an HTTP request and observe it."""
    served = begin(scope, template, library)
    if served is None:
        await app(scope, receive, send)
        return
    work = served.observation
    trailers = False

    async def receive_on() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            served.gone = True
        return message

    async def send_on(message: Message) -> None:
        nonlocal trailers
        try:
            kind = message["type"]
            if kind == "http.response.start":
                trailers = message.get("trailers", False)
                message = _start(served, message)
            elif _is_last(kind, message, trailers):
                _note_end(served, scope, receive)
                _served.finish(served)
        except Exception as error:
            health.internal_error("asgi.send", error)
        try:
            await send(message)
        except OSError:
            served.gone = True
            raise

    try:
        await app(scope, receive_on, send_on)
    except BaseException as error:
        _note_end(served, scope, receive)
        _served.fail(served, error)
        raise
    if not work.finished:
        _end_unanswered(served, scope, receive)
    observation.leave(work)


def begin(scope: Scope, template: Template, library: str) -> Served | None:
    """Start the observation of *scope*; None if that fails, then it is served unobserved."""
    try:
        wire = _wire.current()
        headers = pick(scope["headers"], wire.scope_names)
        client = scope.get("client")
        peer = client[0] if client else None
        if scope["type"] == "http":
            work = conventions.http_server(
                scope.get("method", ""), scope["path"], headers, peer, library
            )
        else:
            work = conventions.websocket_server(scope["path"], headers, peer, library)
        served = _served.begin(work, headers, wire, template)
        scope[MARK] = served
        return served
    except Exception as error:
        health.internal_error("asgi.begin", error)
        return None


def pick(headers: Headers, names: dict[bytes, str]) -> dict[str, str]:
    """Return those of *headers* that have one of *names*, as text; several are joined."""
    picked: dict[str, str] = {}
    for key, value in headers:
        name = names.get(key)
        if name is None:
            continue
        text = value.decode("latin-1")
        picked[name] = f"{picked[name]},{text}" if name in picked else text
    return picked


def _start(served: Served, message: Message) -> Message:
    """Note the status; return *message* with our headers in it, whatever the application set."""
    status: int = message["status"]
    served.observation.status = status
    if status >= 500:
        # Frameworks answer while they handle the error that they answer for.
        served.blame(sys.exc_info()[1], status)
    return {**message, "headers": answered(served, message.get("headers") or ())}


def answered(served: Served, headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return *headers* of a response with ours in place of any that have the same names."""
    wire = served.wire
    replaced = wire.replaced_bytes
    out = [pair for pair in headers if pair[0].lower() not in replaced]
    here = served.observation.context
    if here is not None:
        if wire.says_id:
            out.append((wire.correlation_bytes, here.unit.correlation_id.encode("latin-1")))
        if served.is_ours:
            cause = clock.header()
            if cause is not None:
                out.append((wire.cause_bytes, cause.encode("latin-1")))
            _append_timing(served, out)
    return out


def _append_timing(served: Served, out: list[tuple[bytes, bytes]]) -> None:
    cached = ""
    for name, value in out:
        if name.lower() == b"cache-control":
            cached += value.decode("latin-1").lower()
    timing = _answer.timing(served, cached)
    if timing is not None:
        out.append((b"server-timing", timing.encode("latin-1")))


def _is_last(kind: str, message: Message, trailers: bool) -> bool:
    if kind == "http.response.body" or kind == "http.response.zerocopysend":
        return not trailers and not message.get("more_body", False)
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return kind == "http.response.pathsend"


def _note_end(served: Served, scope: Scope, receive: Receive) -> None:
    """Note what is known at the end.

    It comes before the last bytes are out: who has them all finds the request counted.
    """
    if not served.routed:
        served.find_route(scope)
    if not served.gone:
        served.gone = _has_left(receive)


def _end_unanswered(served: Served, scope: Scope, receive: Receive) -> None:
    """End the observation of a request whose application returned before the response ended."""
    _note_end(served, scope, receive)
    work = served.observation
    error = None
    if not served.gone:
        if work.status is None:
            work.status = 500
        error = RuntimeError("the application returned before the end of its response")
    _served.finish(served, error)


def _has_left(receive: Receive) -> bool:
    """Look whether the server knows that the client is gone.

    An application that does not listen is not told. uvicorn and gunicorn keep it beside the
    ``receive`` that they hand out.
    """
    owner = getattr(receive, "__self__", None)
    if owner is None:
        return False
    if getattr(owner, "disconnected", False) is True:
        return True
    return getattr(getattr(owner, "protocol", None), "_closed", False) is True
