"""Put the engines around the ``__call__`` of application classes.

So applications are observed that were made before obskit was there, whatever is mounted in
what, and the ID is on each answer, also on those of the outermost error handler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar

from obskit import health
from obskit.conventions import set_route
from obskit.instrumentation import _asgi, _patch
from obskit.instrumentation._asgi import App, Engine, Receive, Scope, Send
from obskit.instrumentation._drive import HookFunction, Switch, Target, mark
from obskit.instrumentation._served import MARK, Template
from obskit.observation import is_suppressed

H = TypeVar("H", bound=HookFunction)


def _connect(*arguments: Any) -> Any:
    """Observe a websocket connection; services that have none need not know how."""
    from obskit.instrumentation import _websocket

    return _websocket.connect(*arguments)


_OTHERS: dict[str, Engine] = {"websocket": _connect}
ENGINES: dict[str, Engine] = {"http": _asgi.serve, **_OTHERS}


def serves_asgi(module: str, path: str) -> Callable[[H], H]:
    """Observe what an ASGI application class serves; *path* is its ``__call__``.

    The hook gets the scope and the `Served`, and returns the template that the request has
    matched, if nothing has named it yet.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        library = module.partition(".")[0]
        if not _patch.is_plain(original):
            return _foreign_application(original, hook, switch, library)
        return update_wrapper(_asgi.serving(original, switch, (hook,), library, _OTHERS), original)

    return lambda hook: mark(hook, Target("serves_asgi", module, path, make))


def routes(module: str, path: str) -> Callable[[H], H]:
    """Hear which route of a framework a request was given to; *path* is the route's ASGI method.

    The hook gets the route, the scope and the `Served` of the request, and returns the
    template of the route, if it has matched.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        async def replacement(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
            if switch.on and MARK in scope:
                try:
                    served = scope[MARK]
                    found = hook(self, scope, served)
                    if found:
                        served.routed = True
                        set_route(served.observation, served.prefix + found)
                except Exception as error:
                    health.internal_error(f"{module}.route", error)
            return await original(self, scope, receive, send)

        return update_wrapper(replacement, original)

    return lambda hook: mark(hook, Target("routes", module, path, make))


def _foreign_application(original: Any, template: Template, switch: Switch, library: str) -> Any:
    """Return a stand-in for what is no function: somebody else has wrapped it before."""

    def around(wrapped: App, instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        serve = ENGINES.get(args[0]["type"]) if len(args) == 3 else None
        if serve is None or not switch.on or MARK in args[0] or is_suppressed():
            return wrapped(*args, **kwargs)
        return serve(wrapped, args[0], args[1], args[2], (template,), library)

    return _patch.wrapper(original, around, True)


def serves_wsgi(module: str, path: str) -> Callable[[H], H]:
    """Observe what a WSGI application class serves; *path* is its ``__call__``.

    The hook gets the environ and the `Served`, and returns the template that the request has
    matched, if nothing has named it yet. It is asked when the response starts.
    """

    def make(original: Any, in_class: bool, hook: HookFunction, switch: Switch) -> Any:
        from obskit.instrumentation import _wsgi

        library = module.partition(".")[0]
        if _patch.is_plain(original):
            return update_wrapper(_wsgi.serving(original, switch, hook, library), original)

        def around(wrapped: Any, instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            if len(args) != 2 or not switch.on:
                return wrapped(*args, **kwargs)
            return _wsgi.serve(wrapped, args[0], args[1], hook, library)

        return _patch.wrapper(original, around, in_class)

    return lambda hook: mark(hook, Target("serves_wsgi", module, path, make))
