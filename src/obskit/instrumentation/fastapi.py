"""Requests and websocket connections that FastAPI serves; background tasks are Starlette's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from obskit import context
from obskit.instrumentation import _served
from obskit.instrumentation._applications import serves_asgi
from obskit.instrumentation._asgi import Scope
from obskit.instrumentation._drive import around
from obskit.instrumentation._served import MARK, Served
from obskit.observation import is_suppressed


@serves_asgi("fastapi.applications", "FastAPI.__call__")
def template(scope: Scope, served: Served) -> str | None:
    """Return the path of the route that matched, with the prefixes of included routers."""
    route = scope.get("route")
    included = scope.get("fastapi")
    chosen = included.get("effective_route_context") if isinstance(included, dict) else None
    if chosen is None or chosen.original_route is not route:
        chosen = route
    methods = getattr(chosen, "methods", None)
    if methods and scope.get("method", "GET") not in methods:
        return None
    return getattr(chosen, "path_format", None)


@around("fastapi.telemetry._asgi", "NativeTelemetry.enabled")
def enabled(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer without the tracing, which is ours: it alone is no reason to go the long way."""
    here = context.get()
    config = instance.config
    if here is None or not here.unit.running or is_suppressed() or config["tracer_provider"]:
        return wrapped(*args, **kwargs)
    return wrapped.__func__(_silent(instance))  # type: ignore[attr-defined]


@around("fastapi.telemetry._asgi", "NativeTelemetry.__call__")
def telemetry(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Keep FastAPI's own metrics and logs, and leave the one SERVER span to us."""
    scope = kwargs.get("scope")
    if scope is None or MARK not in scope or not instance.config["tracing"]:
        return wrapped(*args, **kwargs)
    if instance.config["tracer_provider"] is not None:
        _served.offer(scope[MARK], instance.config["tracer_provider"])
    return wrapped.__func__(_silent(instance), *args, **kwargs)  # type: ignore[attr-defined]


def _silent(instance: Any) -> Any:
    """Return *instance* without its tracing; made once, the application's own is untouched."""
    silent = instance.__dict__.get("_obskit_silent")
    if silent is None:
        silent = copy.copy(instance)
        silent.config = {**instance.config, "tracing": False}
        instance._obskit_silent = silent
    return silent
