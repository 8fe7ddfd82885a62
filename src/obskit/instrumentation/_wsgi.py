"""The engine for WSGI: one observation for each request, from environ to the end of its body."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from obskit import clock, context, conventions, health, observation
from obskit.instrumentation import _answer, _served, _wire
from obskit.instrumentation._served import MARK, Served, Template

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
T = TypeVar("T")


def serve(
    app: App, environ: Environ, start_response: StartResponse, template: Template, library: str
) -> Iterable[bytes]:
    """Call *app* for a request and observe it.

    The context stays attached until the server closes the body: so its access line, which it
    writes in between, has the ID.
    """
    served = _begin(environ, template, library)
    if served is None:
        return app(environ, start_response)
    response = Response(served, environ)
    try:
        body = app(environ, response.starter(start_response))
    except BaseException as error:
        response.fail(error)
        raise
    return response.hand_over(body)


def _begin(environ: Environ, template: Template, library: str) -> Served | None:
    try:
        wire = _wire.current()
        headers = {name: environ[key] for key, name in wire.environ_names if key in environ}
        work = conventions.http_server(
            environ["REQUEST_METHOD"],
            path_of(environ),
            headers,
            environ.get("REMOTE_ADDR") or None,
            library,
        )
        served = _served.begin(work, headers, wire, template)
        environ[MARK] = served
        return served
    except Exception as error:
        health.internal_error("wsgi.begin", error)
        return None


def serve_within(
    app: App, environ: Environ, start_response: StartResponse, template: Template
) -> Iterable[bytes]:
    """Call *app* for a request that is observed already; perhaps it knows the route."""

    def start(*args: Any, **kwargs: Any) -> Any:
        _name_route(environ, template)
        return start_response(*args, **kwargs)

    return app(environ, start)


def _name_route(environ: Environ, template: Template) -> None:
    try:
        served: Served = environ[MARK]
        found = template(environ, served)
        if found:
            served.route(found)
    except Exception as error:
        health.internal_error("instrumentation.route", error)


def path_of(environ: Environ) -> str:
    """Return the path of a request as text: WSGI hands over its bytes as Latin-1."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


class Response:
    """What is known of a response on its way."""

    __slots__ = ("environ", "expected", "failed", "sent", "served")

    def __init__(self, served: Served, environ: Environ) -> None:
        self.served = served
        self.environ = environ
        self.sent = 0
        self.failed = False
        self.expected: int | None = None

    def starter(self, start_response: StartResponse) -> StartResponse:
        """Return a ``start_response`` that notes the status and puts our headers in."""

        def start(status: str, headers: Headers, *rest: Any, **named: Any) -> Any:
            try:
                headers = self._start(status, headers)
            except Exception as error:
                health.internal_error("wsgi.start", error)
            return start_response(status, headers, *rest, **named)

        return start

    def _start(self, status: str, headers: Headers) -> Headers:
        code = int(status[:3])
        served = self.served
        served.observation.status = code
        if code >= 500:
            served.blame(served.error or sys.exc_info()[1], code)
        elif served.error is not None:
            served.error = None
        served.find_route(self.environ)
        if code < 200 or code == 204 or code == 304 or self.environ["REQUEST_METHOD"] == "HEAD":
            self.expected = 0
        return self._answered(headers)

    def _answered(self, headers: Headers) -> Headers:
        """Return *headers* with ours in place of any that have the same names."""
        served = self.served
        wire, here = served.wire, served.observation.context
        out: Headers = []
        cached = ""
        for pair in headers:
            name = pair[0].lower()
            if name == "content-length" and self.expected is None and pair[1].isdecimal():
                self.expected = int(pair[1])
            elif name == "cache-control":
                cached += pair[1].lower()
            if name not in wire.replaced:
                out.append(pair)
        if here is not None:
            if wire.says_id:
                out.append((wire.policy.correlation_header, here.unit.correlation_id))
            if served.is_ours:
                out += _for_callers(served, cached)
        return out

    def hand_over(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return *body* so that its end is noticed."""
        if is_file(body, self.environ.get("wsgi.file_wrapper")):
            # Servers let the system send it, and know it by its type: that must stay.
            self.end()
            return body
        return SizedBody(self, body) if isinstance(body, Sized) else Body(self, body)

    def passes(self, size: int) -> None:
        """Note that the server gets *size* bytes; with the last of them the response is over.

        A client that knows its length has it all before the server asks for more.
        """
        self.sent += size
        if self.expected is not None and self.sent >= self.expected:
            _served.finish(self.served)

    def end(self) -> None:
        """End the observation; whoever has all bytes finds it counted.

        The context stays for the server's access line.
        """
        _served.finish(self.served)
        _served.leave(self.served)

    def fail(self, error: BaseException) -> None:
        """End the observation by an error that goes to the server."""
        self.failed = True
        self.served.find_route(self.environ)
        _served.fail(self.served, error)

    def close(self) -> None:
        """Leave the request, which the server may have given up before its body was exhausted."""
        work = self.served.observation
        if not work.finished:
            self.served.gone = self.expected is None or self.sent < self.expected
            _served.finish(self.served)
        if self.failed:
            # Servers close before they write their line about the error.
            _served.leave(self.served)
        else:
            observation.leave(work)


def is_file(body: object, wrapper: object) -> bool:
    """Tell whether *body* is what the server's *wrapper* for files has made."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(body, "read")


def _for_callers(served: Served, cached: str) -> Headers:
    cause, timing = clock.header(), _answer.timing(served, cached)
    out = [] if cause is None else [(served.wire.policy.cause_header, cause)]
    return out if timing is None else [*out, ("Server-Timing", timing)]


class Body:
    """The body of a response; each step runs in the context of its request."""

    __slots__ = ("_body", "_iterator", "_place", "_response", "_unit")

    def __init__(self, response: Response, body: Iterable[bytes]) -> None:
        self._response = response
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        here = response.served.observation.context
        self._unit = None if here is None else here.unit
        self._place = (context.get(), clock.current())

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        attached = context.get()
        if attached is None or attached.unit is not self._unit:
            chunk = self._elsewhere(self._next)
        else:
            chunk = self._next()
        self._response.passes(len(chunk))
        return chunk

    def _next(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            self._response.end()
            raise
        except BaseException as error:
            self._response.fail(error)
            raise

    def close(self) -> None:
        """Close what the application has returned, and leave the request."""
        attached = context.get()
        if attached is None or attached.unit is not self._unit:
            self._elsewhere(self._close)
        else:
            self._close()

    def _close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            try:
                close()
            except BaseException as error:
                self._response.fail(error)
                raise
        self._response.close()

    def __del__(self) -> None:
        """Leave the request whose body was lost by a middleware that answers otherwise."""
        if self._unit is not None and self._unit.running:
            try:
                self._elsewhere(self._response.close)
            except Exception as error:
                health.internal_error("wsgi.lost", error)

    def _elsewhere(self, step: Callable[[], T]) -> T:
        """Do a step from another thread or task, or behind one that went before."""
        outer, position = context.get(), clock.current()
        context.attach(self._place[0])
        clock.attach(self._place[1])
        try:
            return step()
        finally:
            self._place = (context.get(), clock.current())
            context.attach(outer)
            clock.attach(position)


class SizedBody(Body):
    """A body of known length: some servers derive the Content-Length from it."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
