"""Requests that httpx sends over the network, sync and async, each hop of a redirect by itself."""

from __future__ import annotations

from obskit import conventions, propagation
from obskit.instrumentation._drive import Call, Hook, wraps
from obskit.instrumentation._outgoing import REDIRECTS, Outgoing


@wraps("httpx", "HTTPTransport.handle_request")
@wraps("httpx", "AsyncHTTPTransport.handle_async_request")
def send(call: Call) -> Hook:
    """Observe one request, from connecting until the headers of its response are there."""
    request = call.argument(0, "request")
    carrier = Outgoing(request.headers)
    observation = conventions.http_client(request.method, request.url, carrier=carrier)
    response = yield observation
    observation.status = response.status_code
    propagation.hear(response.headers, observation.peer)
    if response.status_code in REDIRECTS:
        carrier.take_back()
