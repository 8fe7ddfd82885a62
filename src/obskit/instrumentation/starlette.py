"""Requests and websocket connections that Starlette serves, and its background tasks."""

from __future__ import annotations

from typing import Any

from obskit import context
from obskit.instrumentation._applications import routes, serves_asgi
from obskit.instrumentation._asgi import Scope
from obskit.instrumentation._drive import Call, Hook, wraps
from obskit.instrumentation._served import Served
from obskit.observation import Observation


@serves_asgi("starlette.applications", "Starlette.__call__")
def template(scope: Scope, served: Served) -> str | None:
    """Return nothing: the route itself says what it has matched."""
    return None


@routes("starlette.routing", "Route.handle")
@routes("starlette.routing", "WebSocketRoute.handle")
def route(instance: Any, scope: Scope, served: Served) -> str | None:
    """Return the template of a route; one that has not the method is none."""
    methods = getattr(instance, "methods", None)
    if methods and scope["method"] not in methods:
        return None
    return instance.path_format  # type: ignore[no-any-return]


@routes("starlette.routing", "Mount.handle")
def mount(instance: Any, scope: Scope, served: Served) -> str | None:
    """Put what a mount has matched before the routes below it; without such it is one itself."""
    served.prefix += instance.path
    return None if instance.routes else "/{path}"


@wraps("starlette.background", "BackgroundTask.__init__")
def remember(call: Call) -> None:
    """Keep what is bound where the task is added: a thread's bindings end with the thread."""
    call.instance.__dict__["_obskit_context"] = context.get()


@wraps("starlette.background", "BackgroundTask.__call__")
def run(call: Call) -> Hook:
    """Observe the work after the response; it is linked to its request."""
    function = call.instance.func
    function = getattr(function, "func", function)
    name = getattr(function, "__name__", type(function).__name__)
    work = Observation(f"background {name}", library="starlette")
    added = call.instance.__dict__.get("_obskit_context")
    here = context.get()
    if here is not None:
        work.links = ((here.unit.trace_id, here.unit.root_span_id),)
        if added is not None and added.unit is here.unit and added.fields is not here.fields:
            context.attach(context.with_fields(here, {**here.fields, **added.fields}))
    yield work
