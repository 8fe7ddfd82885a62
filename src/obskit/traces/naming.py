"""Say what an observation is in OpenTelemetry's words: the names of attributes, the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obskit.conventions import UNMATCHED
from obskit.observation import CALLED_OFF, ENTRIES, EXITS, FAILURES, Kind, Observation, failure
from obskit.urls import masked

SCOPE = "obskit"

# Labels and attributes are spelled for Prometheus and log lines; others stay as they are.
_DOTTED = {
    "http_request_method": "http.request.method",
    "http_route": "http.route",
    "url_path": "url.path",
    "server_address": "server.address",
    "messaging_system": "messaging.system",
    "messaging_destination_name": "messaging.destination.name",
    "task_id": "messaging.message.id",
    "task_name": "obskit.task.name",
    "websocket_close_code": "obskit.websocket.close_code",
    "websocket_messages": "obskit.websocket.messages",
}
_LONGEST_TEXT, _LONGEST_DESCRIPTION = 4000, 500
_NOTHING: dict[str, Any] = {}
_SERVER = Kind.SERVER


def at_start(observation: Observation) -> dict[str, Any]:
    """Return the attributes that are known when *observation* begins: samplers look at them."""
    found: dict[str, Any] = {}
    for name, value in observation.labels.items():
        if value != UNMATCHED:
            found[_DOTTED.get(name, name)] = value
    for name, value in observation.attributes.items():
        found[_DOTTED.get(name, name)] = value if type(value) is str else _plain(value)
    address = found.get("server.address")
    if address is not None:
        host, colon, port = address.rpartition(":")
        if colon and port.isdecimal():
            found["server.address"], found["server.port"] = host, int(port)
    here = observation.context
    if observation.kind in ENTRIES and here is not None:
        unit = here.unit
        if unit.correlation_id != unit.trace_id:
            found["obskit.correlation_id"] = unit.correlation_id
    return found


def at_end(observation: Observation, known: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return the attributes of *observation*, which is over, that are not *known* already."""
    status, outcome = observation.status, observation.outcome
    found: dict[str, Any] = {"obskit.outcome": outcome}
    if status is not None:
        found["http.response.status_code"] = status
    route = observation.labels.get("http_route", UNMATCHED)
    if route != UNMATCHED and known.get("http.route") != route:
        found["http.route"] = route
    for name, value in observation.attributes.items():
        key = _DOTTED.get(name, name)
        plain = value if type(value) is str else _plain(value)
        if known.get(key) != plain:
            found[key] = plain
    if observation.error is not None:
        _add_error(found, observation, observation.error)
    elif status is not None and (status >= 400 or outcome != "ok") and is_error(observation):
        found["error.type"] = str(status)
    return found


def whole(observation: Observation) -> dict[str, Any]:
    """Return what both say of *observation*, which is over: what is known at its start, and end."""
    labels, attributes, here = observation.labels, observation.attributes, observation.context
    path, route = attributes.get("url_path"), labels.get("http_route")
    if (
        observation.kind is _SERVER
        and here is not None
        and route is not None
        and type(path) is str
        and len(labels) == 2
        and len(attributes) == 1
        and "http_request_method" in labels
    ):
        # As most are; above it is the same.
        found: dict[str, Any] = {
            "http.request.method": labels["http_request_method"],
            "url.path": path,
        }
        if route != UNMATCHED:
            found["http.route"] = route
        unit = here.unit
        if unit.correlation_id != unit.trace_id:
            found["obskit.correlation_id"] = unit.correlation_id
    else:
        found = at_start(observation)
    status, outcome = observation.status, observation.outcome
    found["obskit.outcome"] = outcome
    if status is not None:
        found["http.response.status_code"] = status
    if observation.error is not None:
        _add_error(found, observation, observation.error)
    elif status is not None and (status >= 400 or outcome != "ok") and is_error(observation):
        found["error.type"] = str(status)
    return found


def _add_error(found: dict[str, Any], observation: Observation, error: BaseException) -> None:
    """Say what the exception was, in the words of the line where the unit of work has one."""
    found["error.type"] = type_name(error)
    if observation.entry and (failed := failure.of(observation)) is not None:
        found["error.fingerprint"] = failed.fingerprint


def _plain(value: Any) -> Any:
    """Return *value* if a span may have it, else its text."""
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return repr(value)


def type_name(error: BaseException) -> str:
    """Return the full name of the type of *error*."""
    kind = type(error)
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"


def is_error(observation: Observation) -> bool:
    """Tell whether the span of *observation* is one of an error.

    A client that left, work that was called off and a 4xx that is answered are none; a 4xx
    that is received is one.
    """
    if observation.outcome in CALLED_OFF:
        return False
    if observation.error is not None or observation.outcome in FAILURES:
        return True
    status = observation.status or 0
    return status >= (400 if observation.kind in EXITS else 500)


def description(observation: Observation) -> str:
    """Return what went wrong in *observation*, if an exception said it."""
    error = observation.error
    if error is None:
        return ""
    try:
        text = f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]
        return masked(text)[:_LONGEST_DESCRIPTION]
    except Exception:
        return type(error).__name__


def peer(observation: Observation) -> str | None:
    """Return the host that was called; who calls us is not recorded."""
    return observation.peer if observation.kind in EXITS else None
