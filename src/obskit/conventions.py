"""Build an Observation by protocol, in OpenTelemetry's words spelled for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from obskit.observation import Kind, Message, Observation

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
UNMATCHED = "__unmatched__"
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SERVER, _CLIENT = Kind.SERVER, Kind.CLIENT
_PRODUCER, _CONSUMER = Kind.PRODUCER, Kind.CONSUMER

# Paths whose successful requests are noise; compared without a trailing slash.
QUIET_PATHS = frozenset(
    {"/metrics", "/health", "/healthz", "/health/live", "/health/ready", "/livez", "/readyz",
     "/ready", "/live", "/ping", "/favicon.ico"}
)  # fmt: skip


def method_label(method: str) -> str:
    """Return *method* where it is a known one, else ``_OTHER``: anybody can invent methods."""
    return method if method in METHODS else "_OTHER"


def http_server(
    method: str,
    path: str,
    headers: Mapping[str, str],
    peer: str | None = None,
    library: str = "",
) -> Observation:
    """Return the observation of a request that is served.

    The route is not known yet: call `set_route` when the framework has found it.

    Args:
        method: The request method as it came.
        path: The path without query; it goes to lines and spans, never to a label.
        headers: Lower-case names to text; only those in `propagation.names` are looked at.
        peer: Address of the client.
        library: The framework's module root.
    """
    name, label = (method, method) if method in METHODS else ("HTTP", "_OTHER")
    observation = Observation(
        name,
        _SERVER,
        "http",
        {"http_request_method": label, "http_route": UNMATCHED},
        {"url_path": path},
        headers,
        peer,
        library,
    )
    if path in QUIET_PATHS or path[-1:] == "/":
        observation.quiet = path.rstrip("/") in QUIET_PATHS
    return observation


def websocket_server(
    path: str,
    headers: Mapping[str, str],
    peer: str | None = None,
    library: str = "",
) -> Observation:
    """Return the observation of a websocket connection that is served, from handshake to close.

    Its protocol is ``websocket``: how long people stay connected says nothing about how fast
    requests are served, so it is kept out of the durations of HTTP.

    Args:
        path: The path without query.
        headers: As for `http_server`, those of the handshake.
        peer: Address of the client.
        library: The framework's module root.
    """
    return Observation(
        "WEBSOCKET",
        Kind.SERVER,
        protocol="websocket",
        labels={"http_request_method": "GET", "http_route": UNMATCHED},
        attributes={"url_path": path},
        carrier=headers,
        peer=peer,
        library=library,
    )


def set_route(observation: Observation, route: str | None) -> None:
    """Name the route template (``/orders/{id}``) that the request has matched."""
    if route:
        labels = observation.labels
        labels["http_route"] = route
        is_socket = observation.protocol == "websocket"
        observation.name = f"{'WEBSOCKET' if is_socket else labels['http_request_method']} {route}"


@lru_cache(maxsize=1024)
def _address(scheme: str, host: str, port: int | None) -> str:
    if port is None or DEFAULT_PORTS.get(scheme) == port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_client(
    method: str,
    url: Any,
    *,
    carrier: Any = None,
    library: str = "",
) -> Observation:
    """Return the observation of a request that is sent.

    Args:
        method: The request method.
        url: Text, or an object with ``scheme``, ``host``, ``port`` and ``path``. Query and user
            information are not kept.
        carrier: Where the headers are set, by ``carrier[name] = value``.
        library: The client's module root.
    """
    scheme, host, port, path = _parts(url)
    address = _address(scheme, host, port)
    return Observation(
        method if method in METHODS else "HTTP",
        _CLIENT,
        "http",
        {"http_request_method": method_label(method), "server_address": address},
        {"url_path": path},
        carrier,
        address,
        library,
    )


def _parts(url: Any) -> tuple[str, str, int | None, str]:
    if isinstance(url, bytes):
        url = url.decode("latin-1")
    if not isinstance(url, str):
        return url.scheme, url.host, url.port, url.path
    split = urlsplit(url)
    try:
        port = split.port
    except ValueError:
        port = None
    return split.scheme, split.hostname or "", port, split.path


def consumer(
    system: str,
    destination: str,
    *,
    carrier: Any = None,
    peer: str | None = None,
    library: str = "",
    sent_at: float | None = None,
    redelivered: bool | None = None,
) -> Message:
    """Return the observation of a message that is worked on.

    Args:
        system: The broker's kind (``rabbitmq``, ``kafka``), as OpenTelemetry names it.
        destination: The queue or topic, without IDs.
        carrier: The message's headers.
        peer: The broker's host.
        library: The client's module root.
        sent_at: When the message was sent, in seconds since 1970, if the transport says so.
        redelivered: Whether it was handed out before, if the transport says so.
    """
    place, name, _ = _place(destination)
    labels = {"messaging_system": system, "messaging_destination_name": place}
    message = Message(name, _CONSUMER, "messaging", labels, {}, carrier, peer, library)
    message.source = "message"
    message.sent_at, message.redelivered = sent_at, redelivered
    return message


def task(
    name: str,
    system: str,
    destination: str = "",
    *,
    carrier: Any = None,
    peer: str | None = None,
    library: str = "",
    sent_at: float | None = None,
    redelivered: bool | None = None,
    attempt: int = 1,
) -> Message:
    """Return the observation of a task that is carried out for somebody who has asked for it.

    Args:
        name: The task's name, without IDs.
        system: The task queue's kind (``celery``, ``rq``).
        destination: The queue, if it is known.
        carrier: The headers that came with the task.
        peer: The broker's host.
        library: The task queue's module root.
        sent_at: When the task was sent, in seconds since 1970, if the transport says so.
        redelivered: Whether it was handed out before, if the transport says so.
        attempt: 1 for the first time, 2 for the first retry.
    """
    labels = {"task_name": name, "messaging_system": system}
    if destination:
        labels["messaging_destination_name"] = _place(destination)[0]
    message = Message(name, _CONSUMER, "task", labels, {}, carrier, peer, library)
    message.source = "message"
    message.sent_at, message.redelivered, message.attempt = sent_at, redelivered, attempt
    return message


def producer(
    system: str,
    destination: str,
    *,
    carrier: Any = None,
    peer: str | None = None,
    library: str = "",
) -> Observation:
    """Return the observation of a message or task that is sent to *destination* over *system*."""
    place, _, name = _place(destination)
    labels = {"messaging_system": system, "messaging_destination_name": place}
    return Observation(name, _PRODUCER, "messaging", labels, {}, carrier, peer, library)


@lru_cache(maxsize=1024)
def _place(destination: str) -> tuple[str, str, str]:
    """Return *destination* as a label, and the names of work on a message and of sending it."""
    place = steady(destination)
    return place, f"process {place}", f"publish {place}"


# Brokers invent these names, a new one for each client.
_TEMPORARY = ("amq.gen-", "amq.ctag", "amq.rabbitmq.reply-to")


def steady(destination: str) -> str:
    """Return the name of a queue or topic as a label: one word for all that brokers invent."""
    if destination.startswith(_TEMPORARY) or not destination:
        return "__temporary__" if destination else "__default__"
    return destination
