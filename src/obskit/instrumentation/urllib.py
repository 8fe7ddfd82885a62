"""Requests that urllib.request sends over the network, each hop of a redirect by itself."""

from __future__ import annotations

import copy
from typing import Any

from obskit import conventions, observation, propagation
from obskit.instrumentation._drive import Call, Hook, wraps
from obskit.instrumentation._outgoing import Copied


@wraps("urllib.request", "AbstractHTTPHandler.do_open")
def send(call: Call) -> Hook:
    """Observe one request, from connecting until the headers of its response are there."""
    request = call.argument(1, "req")
    carrier = Copied(_headers(request))
    call.replace(1, "req", _twin(request, carrier.headers))
    work = conventions.http_client(request.get_method(), request.full_url, carrier=carrier)
    try:
        response = yield work
    except OSError as error:
        reason = getattr(error, "reason", None)
        if isinstance(reason, TimeoutError):
            # While connecting it comes wrapped into an error that does not say so.
            observation.finish(work, reason)
        raise
    work.status = response.status
    propagation.hear(response.headers, work.peer)


def _headers(request: Any) -> dict[str, str]:
    """Return what is sent, in that order: what is for this hop alone goes before the others."""
    headers = dict(request.unredirected_hdrs)
    for name, value in request.headers.items():
        headers.setdefault(name, value)
    return headers


def _twin(request: Any, headers: Any) -> Any:
    """Return a request with other headers: its own may be sent again, and by several threads."""
    twin = copy.copy(request)
    twin.headers, twin.unredirected_hdrs = headers, {}
    return twin
