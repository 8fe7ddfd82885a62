"""Middlewares of the user's own, good and broken: the answer is what it is without obskit."""

import sys

import pytest
from asgi_correlation_id import CorrelationIdMiddleware
from flask import Flask
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from obskit import context, instrumentation, observation
from tests.instrumentation.calling import Answer, Call, environ, scope

OURS = {"x-correlation-id", "obskit-cause", "server-timing"}
VALID = "0123456789abcdef0123456789abcdef"


async def fine(request: Request) -> Response:
    """Answer."""
    return PlainTextResponse("fine", headers={"x-own": "1"})


async def boom(request: Request) -> Response:
    """Fail."""
    raise LookupError("boom")


async def stream(request: Request) -> Response:
    """Answer in pieces."""

    async def chunks():
        for number in range(3):
            yield f"{number}"

    return StreamingResponse(chunks(), background=BackgroundTask(lambda: None))


ROUTES = [Route(f"/{one.__name__}", one) for one in (fine, boom, stream)]
PATHS = ["/fine", "/boom", "/stream", "/nowhere"]


class Swallowing(BaseHTTPMiddleware):
    """Answers 200 whatever happens."""

    async def dispatch(self, request, call_next):
        """Swallow."""
        try:
            return await call_next(request)
        except Exception:
            return PlainTextResponse("all is well")


class RaisingBehind(BaseHTTPMiddleware):
    """Fails when the answer is there."""

    async def dispatch(self, request, call_next):
        """Raise."""
        await call_next(request)
        raise ValueError("behind")


class Replacing(BaseHTTPMiddleware):
    """Reads the whole body and answers another one."""

    async def dispatch(self, request, call_next):
        """Replace."""
        response = await call_next(request)
        body = b"".join([chunk async for chunk in response.body_iterator])
        return Response(body.upper() + b"!", response.status_code, {"x-replaced": "1"})


class Unread(BaseHTTPMiddleware):
    """Answers without asking anybody."""

    async def dispatch(self, request, call_next):
        """Answer."""
        return PlainTextResponse("early", 418)


def pure(function):
    """Make a middleware class of a function of (app, scope, receive, send)."""

    class Pure:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await function(self.app, scope, receive, send)

    Pure.__name__ = function.__name__
    return Pure


@pure
async def twice(app, scope, receive, send):
    """Call the application two times."""
    await app(scope, receive, send)
    await app(scope, receive, send)


@pure
async def retrying(app, scope, receive, send):
    """Call the application again with a copy of the scope if it fails."""
    try:
        await app(dict(scope), receive, send)
    except LookupError:
        await app({**scope, "path": "/fine"}, receive, send)


STANDARD = {
    "type", "asgi", "http_version", "scheme", "method", "path", "raw_path", "root_path",
    "query_string", "headers", "client", "server", "app",
}  # fmt: skip


@pure
async def copying(app, scope, receive, send):
    """Hand on only what the standard names."""
    await app({name: scope[name] for name in scope.keys() & STANDARD}, receive, send)


@pure
async def stripping(app, scope, receive, send):
    """Take all headers off the request and off the answer."""

    async def bare(message):
        await send({**message, "headers": []} if message["type"].endswith("start") else message)

    await app({**scope, "headers": []}, receive, bare)


@pure
async def raising_in_send(app, scope, receive, send):
    """Fail behind the start of the answer."""

    async def failing(message):
        await send(message)
        if message["type"].endswith("start"):
            raise ValueError("in send")

    await app(scope, receive, failing)


@pure
async def raising_behind(app, scope, receive, send):
    """Fail when the whole answer is out."""
    await app(scope, receive, send)
    raise ValueError("behind")


@pure
async def talking_on(app, scope, receive, send):
    """Send more when the answer is over."""
    await app(scope, receive, send)
    await send({"type": "http.response.body", "body": b"more"})


@pure
async def silent(app, scope, receive, send):
    """Answer nothing at all."""


@pure
async def own_id(app, scope, receive, send):
    """Put IDs of its own on the answer, twice and in capitals."""

    async def named(message):
        if message["type"] == "http.response.start":
            headers = [
                *message["headers"],
                (b"X-Correlation-ID", b"mine"),
                (b"X-CORRELATION-ID", b""),
            ]
            message = {**message, "headers": headers}
        await send(message)

    await app(scope, receive, named)


@pure
async def mutating(app, scope, receive, send):
    """Change lists and messages that others hold."""

    async def changed(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"x-late", b"1"))
        await send(message)
        message.clear()

    scope["headers"] = list(scope["headers"])
    scope["headers"].clear()
    await app(scope, receive, changed)


@pure
async def forgetful(app, scope, receive, send):
    """Clear the context in the middle."""
    context.attach(None)
    await app(scope, receive, send)


MIDDLEWARES = [
    Swallowing, RaisingBehind, Replacing, Unread, twice, retrying, copying, stripping,
    raising_in_send, raising_behind, talking_on, silent, own_id, mutating, forgetful,
]  # fmt: skip


async def outcome(app, path):
    """Return the messages that were sent, and the error that the server gets."""
    headers = [("x-correlation-id", VALID), ("accept", "*/*")]
    one = Call(scope(path, headers=headers), [{"type": "http.request", "body": b""}])
    error, sent = None, []

    async def send(message):
        sent.append(dict(message))

    try:
        await app(one.scope, one.receive, send)
    except Exception as caught:
        error = (type(caught), str(caught))
    return sent, error


def bare(message):
    """Return *message* without the headers that are ours."""
    if "headers" not in message:
        return message
    kept = [pair for pair in message["headers"] if pair[0].decode().lower() not in OURS]
    return {**message, "headers": kept}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("outside", [False, True], ids=["added", "around"])
async def test_an_asgi_middleware_works_as_without_us(observed, broken, middleware, outside, path):
    """Same messages, same error, one header on each start of an answer, one observation."""
    app = Starlette(routes=ROUTES)
    if outside:
        app = middleware(app)
    else:
        app.add_middleware(middleware)
    instrumentation.uninstrument()
    expected = await outcome(app, path)
    assert observed == []
    instrumentation.instrument()
    sent, error = await outcome(app, path)

    assert (list(map(bare, sent)), error) == (list(map(bare, expected[0])), expected[1])
    served = [work for work in observed if work.kind is observation.Kind.SERVER]
    calls = {Unread: 0, silent: 0, retrying: 1 + (path == "/boom")}
    assert len(served) == (calls.get(middleware, 1) if outside else 1)
    if not outside:
        for message in sent:
            if message.get("type") == "http.response.start":
                names = [name.lower() for name, _ in message["headers"]]
                assert names.count(b"x-correlation-id") == 1
                assert (b"x-correlation-id", served[0].context.correlation_id.encode()) in message[
                    "headers"
                ]
    assert broken == {}
    follow, _ = await outcome(Starlette(routes=ROUTES), "/fine")
    assert (b"x-correlation-id", VALID.encode()) in follow[0]["headers"]
    assert context.get() is None


@pytest.mark.parametrize("name", ["X-Correlation-ID", "X-Request-ID"])
@pytest.mark.parametrize("given", [None, VALID, "not-a-uuid"])
async def test_asgi_correlation_id_may_stay(observed, name, given):
    """It appends its header; of ours there is one, and of its own it has what it had."""
    app = Starlette(routes=ROUTES)
    app.add_middleware(CorrelationIdMiddleware, header_name=name)
    headers = [] if given is None else [(name.lower(), given)]
    one = Call(scope("/fine", headers=headers), [{"type": "http.request", "body": b""}])
    await app(one.scope, one.receive, one.send)

    ids = one.header("x-correlation-id")
    assert ids == [observed[0].context.correlation_id]
    if given is not None:
        assert ids == [given]
    if name == "X-Request-ID":
        assert len(one.header("x-request-id")) == 1


def make_flask():
    """Return an application with a route for each kind of answer."""
    app = Flask("shop")
    app.testing = False

    @app.get("/fine")
    def fine():
        return "fine", {"x-own": "1"}

    @app.get("/boom")
    def boom():
        raise LookupError("boom")

    @app.get("/stream")
    def stream():
        return app.response_class(str(number) for number in range(3))

    @app.get("/broken")
    def broken():
        def chunks():
            yield "x"
            raise LookupError("in the body")

        return app.response_class(chunks())

    return app


def wsgi_twice(app, environ, start_response):
    """Call the application two times."""
    list(app(environ, start_response))
    return app(environ, start_response)


def wsgi_copying(app, environ, start_response):
    """Hand on only what is text."""
    known = {k: v for k, v in environ.items() if isinstance(v, str) or k.startswith("wsgi.")}
    return app(known, start_response)


def wsgi_starting_again(app, environ, start_response):
    """Start, think again, and start with what went wrong."""
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("second thoughts")
    except ValueError:
        start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"oops"]


def wsgi_starting_again_late(app, environ, start_response):
    """Start again with an error when the body is half out."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"half"
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    yield b"rest"


def wsgi_lazy(app, environ, start_response):
    """Start when the first chunk is asked for, with empty chunks before and between."""
    yield b""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from (b"", b"a", b"", b"b", b"")


def wsgi_listing(app, environ, start_response):
    """Take the whole body at once and close it twice."""
    body = app(environ, start_response)
    chunks = list(body)
    for _ in range(2):
        if hasattr(body, "close"):
            body.close()
    return chunks


def wsgi_peeking(app, environ, start_response):
    """Take one chunk and chain the rest, which loses the close."""
    body = iter(app(environ, start_response))
    first = next(body, b"")
    yield first
    yield from body


def wsgi_cutting(app, environ, start_response):
    """Close after the first chunk."""
    body = app(environ, start_response)
    first = next(iter(body), b"")
    if hasattr(body, "close"):
        body.close()
    return [first]


def wsgi_writing(app, environ, start_response):
    """Use the old way to send."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"returned"]


def wsgi_naming(app, environ, start_response):
    """Call by names, and put IDs of its own on the answer."""

    def named(status, headers, exc_info=None):
        headers = [*headers, ("X-Correlation-ID", "mine"), ("x-correlation-id", "")]
        return start_response(status, headers, exc_info)

    return app(environ, named)


def wsgi_swallowing(app, environ, start_response):
    """Answer 200 whatever happens."""
    try:
        return [b"".join(app(environ, start_response))]
    except Exception:
        start_response("200 OK", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"all is well"]


def wsgi_raising(app, environ, start_response):
    """Fail when the answer is there."""
    app(environ, start_response)
    raise ValueError("behind")


def wsgi_silent(app, environ, start_response):
    """Answer without a start."""
    return [b"no start"]


def wsgi_nothing(app, environ, start_response):
    """Return an iterable that is neither a list nor an iterator, and cannot be closed."""
    start_response("204 No Content", [])
    return ()


WSGI = [
    wsgi_twice, wsgi_copying, wsgi_starting_again, wsgi_starting_again_late, wsgi_lazy,
    wsgi_listing, wsgi_peeking, wsgi_cutting, wsgi_writing, wsgi_naming, wsgi_swallowing,
    wsgi_raising, wsgi_silent, wsgi_nothing,
]  # fmt: skip


def answered(app, path):
    """Return what a server gets: starts, bytes, error."""
    answer = Answer(lambda environ, start: (), {})
    error, chunks = None, []
    try:
        answer.body = app(environ(path, headers=[("x-correlation-id", VALID)]), answer.start)
        try:
            chunks.extend(answer.body)
        finally:
            answer.close()
    except Exception as caught:
        error = (type(caught), str(caught))
    theirs = [pair for pair in answer.headers if pair[0].lower() not in OURS]
    return (answer.status, answer.starts, theirs, chunks, answer.written, error), answer


@pytest.mark.parametrize("path", [*PATHS, "/broken"])
@pytest.mark.parametrize("middleware", WSGI, ids=lambda one: one.__name__.removeprefix("wsgi_"))
@pytest.mark.parametrize("outside", [False, True], ids=["added", "around"])
def test_a_wsgi_middleware_works_as_without_us(observed, broken, middleware, outside, path):
    """Same status, headers, chunks and error, one header of ours, one observation."""
    app = make_flask()
    if outside:
        around = lambda environ, start: middleware(app, environ, start)  # noqa: E731
    else:
        inner = app.wsgi_app
        app.wsgi_app = lambda environ, start: middleware(inner, environ, start)
        around = app
    instrumentation.uninstrument()
    expected, _ = answered(around, path)
    assert observed == []
    instrumentation.instrument()
    found, answer = answered(around, path)

    assert found == expected
    ids = answer.header("x-correlation-id")
    calls = {wsgi_starting_again: 0, wsgi_starting_again_late: 0, wsgi_lazy: 0,
             wsgi_writing: 0, wsgi_silent: 0, wsgi_nothing: 0}  # fmt: skip
    assert len(observed) == (calls.get(middleware, 1) if outside else 1)
    if not outside:
        if answer.starts:
            assert ids == [observed[0].context.correlation_id] == [VALID]
    assert broken == {}
    assert answered(make_flask(), "/fine")[1].header("x-correlation-id") == [VALID]
    assert context.get() is None
