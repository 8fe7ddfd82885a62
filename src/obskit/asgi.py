"""Middleware for any ASGI application, for those who want nothing to be patched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obskit import observation
from obskit.instrumentation import _ledger
from obskit.instrumentation._applications import ENGINES
from obskit.instrumentation._served import MARK, Served

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Middleware:
    """Observe the requests and websocket connections of an ASGI application.

    Use it as the outermost middleware of a framework that obskit does not know, or where
    ``OBSKIT_INSTRUMENT`` leaves the framework out. A request that is observed already has its
    owner and passes. It does nothing before `obskit.init` or while obskit is switched off.

    Args:
        app: The ASGI 3 application.
        route: Gets the scope when the response ends and returns the template of the route
            that it has matched (``/orders/{id}``), or None. It must never return the path
            itself: each template becomes a label of metrics.
    """

    def __init__(self, app: App, *, route: Callable[[Scope], str | None] | None = None) -> None:
        self.app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        serve = ENGINES.get(scope["type"])
        if serve is None or MARK in scope or not _ledger.live.on or observation.is_suppressed():
            await self.app(scope, receive, send)
        else:
            await serve(self.app, scope, receive, send, (self._template,), "asgi")

    def _template(self, scope: Scope, served: Served) -> str | None:
        return None if self._route is None else self._route(scope)
