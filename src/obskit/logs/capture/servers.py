"""Know to which request a server, or an event loop, is about to write a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from typing import Any

from obskit import propagation
from obskit.logs.capture.handlers import summarised
from obskit.logs.capture.streams import LineStream
from obskit.record import Record

# What instrumentation leaves in the scope or environ of a request that it observes.
MARK = "obskit.served"

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class LibraryHook(Record):
    """A method of a library that is to be wrapped once the library is imported."""

    module: str
    path: str
    wrapper: Wrapper


def gunicorn_access(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``Logger.access(resp, req, environ, request_time)``."""
    token = summarised.set(has_mark(*args[2:3]) or _is_answered_by_us(*args[:1]))
    try:
        return wrapped(*args, **kwargs)
    finally:
        summarised.reset(token)


def werkzeug_request(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``WSGIRequestHandler.log_request(code, size)``."""
    token = summarised.set(has_mark(getattr(instance, "environ", None)))
    try:
        return wrapped(*args, **kwargs)
    finally:
        summarised.reset(token)


def django_close(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``ServerHandler.close()`` of ``runserver``: in it the access line is written."""
    token = summarised.set(has_mark(getattr(instance, "environ", None)))
    try:
        return wrapped(*args, **kwargs)
    finally:
        summarised.reset(token)


def hypercorn_access(
    wrapped: Callable[..., Awaitable[None]],
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Awaitable[None]:
    """Call ``await Logger.access(scope, response, request_time)``."""

    async def access() -> None:
        token = summarised.set(has_mark(*args[:1]))
        try:
            await wrapped(*args, **kwargs)
        finally:
            summarised.reset(token)

    return access()


def has_mark(request: Any = None) -> bool:
    """Tell whether the request with this scope or environ was observed."""
    return isinstance(request, Mapping) and MARK in request


def _is_answered_by_us(response: Any = None) -> bool:
    """Tell whether the answer to an ASGI request was observed.

    gunicorn's own worker for ASGI makes a new environ for its access line, so nothing is left
    of the scope; the header that each observed answer has says as much.
    """
    if type(response).__name__ != "ASGIResponseInfo":
        return False
    name = propagation.policy().correlation_header.lower()
    return any(str(key).lower() == name for key, _ in getattr(response, "headers", ()))


def task_error(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``loop.default_exception_handler(context)`` in the operation of the task that failed.

    Nobody waited for it, so it is found when memory is cleaned up, in the midst of anything.
    Where the task does not tell (before Python 3.12, and futures), it belongs to no operation.
    """
    about: Any = args[0] if args else {}
    task = about.get("task") or about.get("future") if isinstance(about, dict) else None
    if task is None:
        return wrapped(*args, **kwargs)
    get_context = getattr(task, "get_context", None)
    there = Context() if get_context is None else get_context().copy()
    return there.run(wrapped, *args, **kwargs)


def celery_says(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``safe_say(msg, f)``, which writes to the descriptor of a stream: here to the stream."""
    stream = args[1] if len(args) > 1 else kwargs.get("f")
    if not args or not isinstance(stream, LineStream):
        return wrapped(*args, **kwargs)
    stream.write(f"{args[0]}\n")
    return stream.flush()


HOOKS: tuple[LibraryHook, ...] = (
    LibraryHook("celery.apps.worker", "safe_say", celery_says),
    LibraryHook("gunicorn.glogging", "Logger.access", gunicorn_access),
    LibraryHook("hypercorn.logging", "Logger.access", hypercorn_access),
    LibraryHook("werkzeug.serving", "WSGIRequestHandler.log_request", werkzeug_request),
    LibraryHook("django.core.servers.basehttp", "ServerHandler.close", django_close),
    LibraryHook("asyncio.base_events", "BaseEventLoop.default_exception_handler", task_error),
    LibraryHook("uvloop", "Loop.default_exception_handler", task_error),
)
