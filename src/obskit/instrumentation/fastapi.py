"""Requests and websocket connections that FastAPI serves; background tasks are Starlette's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from obskit import context, health
from obskit.instrumentation import _served
from obskit.instrumentation._applications import serves_asgi
from obskit.instrumentation._asgi import Scope
from obskit.instrumentation._drive import Switch, instead
from obskit.instrumentation._served import MARK, Served
from obskit.observation import is_suppressed

_SILENT = "_obskit_silent"


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


@instead("fastapi.telemetry._asgi", "NativeTelemetry.enabled")
def enabled(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Answer without the tracing, which is ours: it alone is no reason to go the long way."""

    def replacement(self: Any) -> Any:
        asked = self
        try:
            here = context.get()
            if here is not None and here.unit.running and switch.on and not is_suppressed():
                if not self.config["tracer_provider"]:
                    asked = self.__dict__.get(_SILENT) or _silent(self)
        except Exception as error:
            health.internal_error("fastapi.telemetry", error)
        return original(asked)

    return replacement


@instead("fastapi.telemetry._asgi", "NativeTelemetry.__call__")
def telemetry(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Keep FastAPI's own metrics and logs, and leave the one SERVER span to us."""

    async def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
        called = self
        try:
            scope = kwargs.get("scope") if switch.on else None
            if scope is not None and MARK in scope and self.config["tracing"]:
                if self.config["tracer_provider"] is not None:
                    _served.offer(scope[MARK], self.config["tracer_provider"])
                called = self.__dict__.get(_SILENT) or _silent(self)
        except Exception as error:
            health.internal_error("fastapi.telemetry", error)
        return await original(called, *args, **kwargs)

    return replacement


def _silent(instance: Any) -> Any:
    """Return *instance* without its tracing; made once, the application's own is untouched."""
    silent = copy.copy(instance)
    silent.config = {**instance.config, "tracing": False}
    instance.__dict__[_SILENT] = silent
    return silent
