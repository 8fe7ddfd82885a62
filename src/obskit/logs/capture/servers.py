"""Know when a server writes an access line of a request that has a summary line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from obskit.logs.capture.handlers import summarised

# What instrumentation leaves in the scope or environ of a request that it observes.
MARK = "obskit"

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class LibraryHook(NamedTuple):
    """A method of a library that is to be wrapped once the library is imported."""

    module: str
    path: str
    wrapper: Wrapper


def gunicorn_access(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``Logger.access(resp, req, environ, request_time)``."""
    return _marked(wrapped, args[2:3], args, kwargs)


def werkzeug_request(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call ``WSGIRequestHandler.log_request(code, size)``."""
    return _marked(wrapped, (getattr(instance, "environ", None),), args, kwargs)


def _marked(
    wrapped: Callable[..., Any],
    requests: tuple[Any, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    token = summarised.set(has_mark(*requests))
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


HOOKS: tuple[LibraryHook, ...] = (
    LibraryHook("gunicorn.glogging", "Logger.access", gunicorn_access),
    LibraryHook("hypercorn.logging", "Logger.access", hypercorn_access),
    LibraryHook("werkzeug.serving", "WSGIRequestHandler.log_request", werkzeug_request),
)
