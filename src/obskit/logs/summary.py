"""Write one line at the end of each request, message and task: what it was, and how it ended."""

from __future__ import annotations

from typing import Any

from obskit.context import Unit
from obskit.logs import exceptions, levels, pipeline
from obskit.observation import Kind, Observation, dependency

LOGGER = "obskit.summary"
INFO, WARNING, ERROR = 20, 30, 40

# What a client did wrong, or that it left, is no trouble of this service.
LEVELS = {
    "ok": INFO,
    "client_error": INFO,
    "client_gone": INFO,
    "cancelled": INFO,
    "rejected": WARNING,
    "timeout": ERROR,
    "dependency": ERROR,
    "server_error": ERROR,
}

_threshold = levels.of(LOGGER)
_SERVER, _CONSUMER, _INTERNAL = Kind.SERVER, Kind.CONSUMER, Kind.INTERNAL


class Summary:
    """Hear of the end of units of work, and write a line about each.

    Successful health checks and scrapes have none.
    """

    __slots__ = ()

    hears_starts = False

    def start(self, observation: Observation) -> None:
        """Hear that *observation* has begun: nothing is written yet."""

    def end(self, observation: Observation) -> None:
        """Write the line of *observation*, if it is one that has a line."""
        here, outcome = observation.context, observation.outcome
        if not observation.entry or here is None or (observation.quiet and outcome == "ok"):
            return
        level, message = LEVELS[outcome], _message(observation)
        if not message or level < _threshold.level:
            return
        unit = here.unit
        fields = _facts(observation, unit)
        if unit.fields:
            _add_bound(fields, unit.fields)
        error = observation.error
        pipeline.emit(
            level,
            LOGGER,
            message,
            fields,
            error=None if error is None else _described(observation, error),
        )


def _message(observation: Observation) -> str:
    """Return what is said of such a unit of work; nothing where it has no line."""
    kind = observation.kind
    if kind is _SERVER:
        return "connection closed" if observation.protocol == "websocket" else "request finished"
    if kind is _CONSUMER:
        return "message processed"
    return "task finished" if kind is _INTERNAL and observation.protocol == "task" else ""


def _facts(observation: Observation, unit: Unit) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if unit.client_correlation_id is not None:
        facts["client_correlation_id"] = unit.client_correlation_id
    if unit.parent_span_id is not None:
        facts["parent_span_id"] = unit.parent_span_id
    facts.update(observation.labels)
    facts.update(observation.attributes)
    if observation.status is not None:
        facts["http_response_status_code"] = observation.status
    outcome = facts["outcome"] = observation.outcome
    if outcome == "dependency":
        facts["dependency"] = dependency(observation)
    facts["duration_ms"] = observation.duration_ns // 1000 / 1000
    facts["calls"] = unit.call_count
    if unit.call_count:
        facts["calls_ms"] = round(unit.call_seconds * 1000, 3)
    return facts


def _add_bound(facts: dict[str, Any], bound: dict[str, Any]) -> None:
    """Add what was bound on the way, however deep; a name that is taken keeps its meaning."""
    for name, value in bound.items():
        while name in facts:
            name = f"field_{name}"
        facts[name] = value


def _described(observation: Observation, error: BaseException) -> exceptions.Description:
    """Describe *error*; the stack is on the line of the server, which nobody else has."""
    described = exceptions.describe(error)
    return described._replace(stack="") if observation.kind is _SERVER else described
