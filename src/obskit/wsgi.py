"""Middleware for any WSGI application, for those who want nothing to be patched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from obskit import observation
from obskit.instrumentation import _ledger, _wsgi
from obskit.instrumentation._served import MARK, Served

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class Middleware:
    """Observe the requests of a WSGI application.

    Use it as the outermost middleware of a framework that obskit does not know, or where
    ``OBSKIT_INSTRUMENT`` leaves the framework out. A request that is observed already has its
    owner and passes. It does nothing before `obskit.init` or while obskit is switched off.

    Args:
        app: The WSGI application (PEP 3333).
        route: Gets the environ when the response starts and returns the template of the route
            that it has matched (``/orders/<id>``), or None. It must never return the path
            itself: each template becomes a label of metrics.
    """

    def __init__(self, app: App, *, route: Callable[[Environ], str | None] | None = None) -> None:
        self.app = app
        self._route = route

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if MARK in environ or not _ledger.live.on or observation.is_suppressed():
            return self.app(environ, start_response)
        return _wsgi.serve(self.app, environ, start_response, self._template, "wsgi")

    def _template(self, environ: Environ, served: Served) -> str | None:
        return None if self._route is None else self._route(environ)
