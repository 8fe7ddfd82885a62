"""The engine for ASGI: one observation for each request, from scope to the last body event."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from types import MethodType
from typing import Any

from obskit import clock, health, propagation
from obskit.conventions import http_server, websocket_server
from obskit.instrumentation import _answer, _served, _wire
from obskit.instrumentation._drive import ALWAYS, Switch
from obskit.instrumentation._served import MARK, SPOKEN, Served, Template, fail, finish
from obskit.observation import is_suppressed, leave, start

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
# An application as its class has it.
Serve = Callable[[Any, Scope, Receive, Send], Awaitable[Any]]
Engine = Callable[[App, Scope, Receive, Send, tuple[Template, ...], str], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


def serving(
    call: Serve,
    switch: Switch,
    templates: tuple[Template, ...],
    library: str,
    others: Mapping[str, Engine],
) -> Serve:
    """Return what stands in for *call*, the method of an application, and observes requests.

    It is one function that does all, and takes three arguments: uvicorn calls an application
    without any to find out whether it is a factory, and believes what does not raise TypeError.
    What is no HTTP request goes to the engine that *others* have for its type.
    """

    async def serve(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
        if MARK in scope:
            scope[MARK].templates += templates
            return await call(self, scope, receive, send)
        if not switch.on or is_suppressed():
            return await call(self, scope, receive, send)
        if scope["type"] != "http":
            engine = others.get(scope["type"])
            if engine is None:
                return await call(self, scope, receive, send)
            return await engine(MethodType(call, self), scope, receive, send, templates, library)
        served = begin(scope, templates, library)
        if served is None:
            return await call(self, scope, receive, send)

        async def receive_on() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                served.gone = True
            return message

        async def send_on(message: Message) -> None:
            message = _sent(served, scope, receive, message)
            try:
                await send(message)
            except OSError:
                served.gone = True
                raise

        try:
            await call(self, scope, receive_on, send_on)
        except BaseException as error:
            _note_end(served, scope, receive)
            fail(served, error)
            raise
        work = served.observation
        if not work.finished:
            _end_unanswered(served, scope, receive)
        leave(work)
        return None

    return serve


def serve(
    app: App,
    scope: Scope,
    receive: Receive,
    send: Send,
    templates: tuple[Template, ...],
    library: str,
) -> Awaitable[None]:
    """Call *app* for an HTTP request and observe it."""
    return serving(_call, ALWAYS, templates, library, {})(app, scope, receive, send)


def _call(app: App, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    return app(scope, receive, send)


def begin(scope: Scope, templates: tuple[Template, ...], library: str) -> Served | None:
    """Start the observation of *scope*; None if that fails, then it is served unobserved."""
    try:
        wire = _wire.latest
        if wire.generation != propagation.generation:
            wire = _wire.current()
        names = wire.scope_names
        found = [
            (names[key], value.decode("latin-1")) for key, value in scope["headers"] if key in names
        ]
        headers = dict(found)
        if len(headers) < len(found):
            headers = joined(found)
        client = scope.get("client")
        peer = client[0] if client else None
        if scope["type"] == "http":
            work = http_server(scope.get("method", ""), scope["path"], headers, peer, library)
        else:
            work = websocket_server(scope["path"], headers, peer, library)
        start(work)
        if work.previous is not None:
            _served.clear_leaks(work.previous)
        served = scope[MARK] = Served(work, wire, templates)
        return served
    except Exception as error:
        health.internal_error("asgi.begin", error)
        return None


def joined(found: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers of which some came several times; their values are joined."""
    headers: dict[str, str] = {}
    for name, text in found:
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


def _sent(served: Served, scope: Scope, receive: Receive, message: Message) -> Message:
    """Note what is sent; return *message* with our headers in it, if it is the start."""
    try:
        kind = message["type"]
        if kind == "http.response.body":
            if not served.trailers and not message.get("more_body", False):
                _note_end(served, scope, receive)
                finish(served)
        elif kind == "http.response.start":
            status = served.observation.status = message["status"]
            if message.get("trailers", False):
                served.trailers = True
            if status >= 500:
                # Frameworks answer while they handle the error that they answer for.
                served.blame(served.blamed or sys.exc_info()[1], status)
            return {**message, "headers": answered(served, message.get("headers") or ())}
        elif _is_last(kind, message, served.trailers):
            _note_end(served, scope, receive)
            finish(served)
    except Exception as error:
        health.internal_error("asgi.send", error)
    return message


def _end_unanswered(served: Served, scope: Scope, receive: Receive) -> None:
    """End the observation of a request whose application returned before the response ended."""
    _note_end(served, scope, receive)
    error = None
    if not served.gone:
        if served.observation.status is None:
            served.observation.status = 500
        error = RuntimeError("the application returned before the end of its response")
    finish(served, error)


def _note_end(served: Served, scope: Scope, receive: Receive) -> None:
    """Note what is known at the end.

    It comes before the last bytes are out: who has them all finds the request counted.
    """
    if not served.routed:
        served.find_route(scope)
    owner = getattr(receive, "__self__", None)
    if owner is not None and not served.gone:
        served.gone = _has_left(owner)


def answered(served: Served, headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return *headers* of a response with ours in place of any that have the same names."""
    wire, work = served.wire, served.observation
    here = work.context
    known = wire.known_bytes
    out = [pair for pair in headers if not known[pair[0]]]
    if here is not None:
        unit = here.unit
        if wire.says_id:
            out.append((wire.correlation_bytes, unit.correlation_id.encode()))
        if unit.trusted and (unit.correlation_source in SPOKEN or wire.cause in work.carrier):
            cause = clock.header()
            if cause is not None:
                out.append((wire.cause_bytes, cause.encode()))
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
    """Tell whether *message*, which is no plain body, is the last one."""
    if kind == "http.response.zerocopysend":
        return not trailers and not message.get("more_body", False)
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return kind == "http.response.pathsend"


def _has_left(owner: object) -> bool:
    """Look whether the server knows that the client is gone.

    An application that does not listen is not told. uvicorn and gunicorn keep it beside the
    ``receive`` that they hand out, whose *owner* this is.
    """
    if getattr(owner, "disconnected", False) is True:
        return True
    return getattr(getattr(owner, "protocol", None), "_closed", False) is True
