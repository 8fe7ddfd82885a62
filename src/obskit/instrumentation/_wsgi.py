"""The engine for WSGI: one observation for each request, from environ to the end of its body."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from obskit import clock, context, health, propagation
from obskit.clock import current as position
from obskit.context import get as attached_context
from obskit.conventions import http_server
from obskit.instrumentation import _answer, _served, _wire
from obskit.instrumentation._drive import ALWAYS, Switch
from obskit.instrumentation._served import MARK, SPOKEN, Place, Served, Template, fail, finish
from obskit.instrumentation._served import leave as keep
from obskit.observation import is_suppressed, leave, start

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
# An application as its class has it.
Serve = Callable[[Any, Environ, StartResponse], Iterable[bytes]]

_ABSENT: Any = object()
_END: Any = object()

# By how applications spell them.
_codes: dict[str, int] = {}
_MOST_CODES = 200
# Answers without a body.
_BARE = frozenset({*range(200), 204, 304})


def serving(call: Serve, switch: Switch, template: Template, library: str) -> Serve:
    """Return what stands in for *call*, the method of an application, and observes requests.

    The context stays attached until the server closes the body: so its access line, which it
    writes in between, has the ID.
    """
    templates = (template,)

    def serve(self: Any, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not switch.on or is_suppressed():
            return call(self, environ, start_response)
        if MARK in environ:
            return call(self, environ, partial(_start_within, environ, template, start_response))
        served = begin(environ, templates, library)
        if served is None:
            return call(self, environ, start_response)

        def start(status: str, headers: Headers, exc_info: Any = _ABSENT) -> Any:
            try:
                headers = _started(served, environ, status, headers)
            except Exception as error:
                health.internal_error("wsgi.start", error)
            if exc_info is _ABSENT:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        try:
            body = call(self, environ, start)
        except BaseException as error:
            _fail(served, environ, error)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if wrapper is not None and is_file(body, wrapper):
            # Servers let the system send it, and know it by its type: that must stay.
            finish(served)
            keep(served)
            return body
        return (_kinds.get(type(body)) or _kind_for(type(body)))(served, environ, body)

    return serve


def serve(
    app: App, environ: Environ, start_response: StartResponse, template: Template, library: str
) -> Iterable[bytes]:
    """Call *app* for a request and observe it."""
    return serving(_call, ALWAYS, template, library)(app, environ, start_response)


def _call(app: App, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return app(environ, start_response)


def begin(environ: Environ, templates: tuple[Template, ...], library: str) -> Served | None:
    """Start the observation of *environ*; None if that fails, then it is served unobserved."""
    try:
        wire = _wire.latest
        if wire.generation != propagation.generation:
            wire = _wire.current()
        names = wire.environ_names
        headers = {names[key]: environ[key] for key in environ.keys() & names.keys()}
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if not path.isascii():
            path = decoded(path)
        method, peer = environ["REQUEST_METHOD"], environ.get("REMOTE_ADDR") or None
        work = http_server(method, path, headers, peer, library)
        start(work)
        if work.previous is not None:
            _served.clear_leaks(work.previous)
        served = environ[MARK] = Served(work, wire, templates)
        return served
    except Exception as error:
        health.internal_error("wsgi.begin", error)
        return None


def decoded(path: str) -> str:
    """Return *path* as text: WSGI hands its bytes over as Latin-1."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _start_within(
    environ: Environ, template: Template, start_response: StartResponse, *args: Any, **kwargs: Any
) -> Any:
    """Be the ``start_response`` of an application within one; perhaps it knows the route."""
    try:
        served: Served = environ[MARK]
        found = template(environ, served)
        if found:
            served.route(found)
    except Exception as error:
        health.internal_error("instrumentation.route", error)
    return start_response(*args, **kwargs)


def _started(served: Served, environ: Environ, status: str, headers: Headers) -> Headers:
    """Note how a response starts; return *headers* with ours in place of any of the same names."""
    wire, work = served.wire, served.observation
    code = work.status = _codes.get(status) or _code_of(status)
    if code >= 500:
        served.blame(served.blamed or sys.exc_info()[1], code)
    elif served.blamed is not None:
        served.blamed = None
    served.find_route(environ)
    if code in _BARE or environ["REQUEST_METHOD"] == "HEAD":
        served.expected = 0
    out, known = [*headers], wire.known
    for pair in headers:
        meaning = known[pair[0]]
        if meaning is not None:
            if meaning:
                out.remove(pair)
            elif served.expected is None and pair[1].isdecimal():
                served.expected = int(pair[1])
    here = work.context
    if here is not None:
        unit = here.unit
        if wire.says_id:
            out.append((wire.header, unit.correlation_id))
        if unit.trusted and (unit.correlation_source in SPOKEN or wire.cause in work.carrier):
            _append_for_callers(served, out)
    return out


def _code_of(status: str) -> int:
    code = int(status[:3])
    if len(_codes) < _MOST_CODES:
        _codes[status] = code
    return code


def _append_for_callers(served: Served, out: Headers) -> None:
    cached = "".join(value.lower() for name, value in out if name.lower() == "cache-control")
    cause, timing = clock.header(), _answer.timing(served, cached)
    if cause is not None:
        out.append((served.wire.policy.cause_header, cause))
    if timing is not None:
        out.append(("Server-Timing", timing))


def is_file(body: object, wrapper: object) -> bool:
    """Tell whether *body* is what the server's *wrapper* for files has made."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(body, "read")


def _chunks(served: Served, environ: Environ, body: Iterable[bytes]) -> Iterator[bytes]:
    """Yield nothing once, to be begun, and then *body*, in the context of its served.

    A generator is the cheapest to advance, and to have told when it is lost, which one that
    has begun is.
    """
    handed_over, here = attached_context(), served.observation.context
    served.place = (handed_over, position())
    unit = None if here is None else here.unit
    iterator: Iterator[bytes] | None = None
    try:
        yield b""
        while True:
            attached, outside = attached_context(), None
            if attached is not handed_over and (attached is None or attached.unit is not unit):
                outside = _enter(served)
            try:
                if iterator is None:
                    iterator = iter(body)
                chunk = next(iterator, _END)
            except BaseException as error:
                _fail(served, environ, error)
                raise
            else:
                if chunk is _END:
                    # Who has all bytes finds it counted; the access line has the ID still.
                    work = served.observation
                    if not work.finished:
                        finish(served)
                    if unit is not None and work.previous is None:
                        # As most are left here, see there.
                        unit.running = False
                    else:
                        keep(served)
                    return
            finally:
                if outside is not None:
                    _exit(served, outside)
            if served.expected is not None:
                served.expected -= len(chunk)
                if served.expected <= 0:
                    # A client that knows its length has it all before the server asks for more.
                    finish(served)
            yield chunk
    except GeneratorExit:
        _lose(served)
        raise


class Body:
    """The body of a response.

    The environ leads to the `Served`, which must not lead to its body: one that is lost by a
    middleware is to be gone at once.
    """

    def __init__(self, served: Served, environ: Environ, body: Iterable[bytes]) -> None:
        self._served = served
        self._environ = environ
        self._body = body
        self._chunks = _chunks(served, environ, body)
        next(self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def __next__(self) -> bytes:
        return next(self._chunks)

    def __getattr__(self, name: str) -> Any:
        """Return what else the application's own object has: some callers know its class."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._body, name)

    def close(self) -> None:
        """Close what the application has returned, and leave the request.

        The server may have given it up before its body was exhausted.
        """
        served, attached, outside = self._served, attached_context(), None
        here = served.observation.context
        if attached is not here and (
            attached is None or here is None or attached.unit is not here.unit
        ):
            outside = _enter(served)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                try:
                    close()
                except BaseException as error:
                    _fail(served, self._environ, error)
                    raise
            if not served.observation.finished:
                _give_up(served)
            if served.failed:
                # Servers close before they write their line about the error.
                keep(served)
            else:
                leave(served.observation)
        finally:
            if outside is not None:
                _exit(served, outside)


def _give_up(served: Served) -> None:
    """End the observation of a response that the server asks for no more of."""
    served.gone = served.expected is None or served.expected > 0
    finish(served)


def _fail(served: Served, environ: Environ, error: BaseException) -> None:
    """End the observation by an error that goes to the server."""
    served.failed = True
    served.find_route(environ)
    fail(served, error)


def _lose(served: Served) -> None:
    """Leave the request whose body was lost by a middleware that answers otherwise."""
    here = served.observation.context
    if here is None or not here.unit.running:
        return
    try:
        outside = _enter(served)
        try:
            if not served.observation.finished:
                _give_up(served)
            leave(served.observation)
        finally:
            _exit(served, outside)
    except Exception as error:
        health.internal_error("wsgi.lost", error)


def _enter(served: Served) -> Place:
    """Go to a request from another thread or task, or from behind one that went before."""
    outside = context.get(), clock.current()
    context.attach(served.place[0])
    clock.attach(served.place[1])
    return outside


def _exit(served: Served, outside: Place) -> None:
    served.place = (context.get(), clock.current())
    context.attach(outside[0])
    clock.attach(outside[1])


# What is asked of classes alone: some servers derive the Content-Length from a body's length.
_SPECIAL = ("__len__", "__bytes__", "__contains__", "__getitem__", "__setitem__", "__delitem__")
_MOST_KINDS = 100
_kinds: dict[type, type[Body]] = {}


def _kind_for(kind: type) -> type[Body]:
    """Return the `Body` for bodies of a *kind*: with the special methods that they have."""
    methods = {
        name: lambda self, *args, name=name: getattr(self._body, name)(*args)
        for name in _SPECIAL
        if getattr(kind, name, None) is not None
    }
    if len(_kinds) >= _MOST_KINDS:
        _kinds.clear()
    _kinds[kind] = type("Body", (Body,), methods) if methods else Body
    return _kinds[kind]
