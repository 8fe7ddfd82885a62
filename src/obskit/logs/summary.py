"""Write one line at the end of each request, message and task: what it was, and how it ended."""

from __future__ import annotations

from typing import Any

from obskit import context
from obskit.context import Unit
from obskit.logs import exceptions, levels, pipeline
from obskit.logs.formats import json
from obskit.logs.line import is_plain
from obskit.observation import Kind, Message, Observation, dependency, failure

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

# Far more routes and queues than a service has.
MOST_SHAPES = 1024
ON_EACH = (
    "client_correlation_id", "parent_span_id", "url_path", "duration_ms", "calls", "calls_ms",
    "messaging_sent_to", "messaging_sent", "answered_as", "task_id", "message_age_ms",
    "end_to_end_age_ms",
)  # fmt: skip

_dumps = json.dumps
_threshold = levels.of(LOGGER)
_SERVER, _CONSUMER, _INTERNAL = Kind.SERVER, Kind.CONSUMER, Kind.INTERNAL


# What the lines of one route, or one queue, have in common if they end in the same way: level,
# message and logger; what stands before and behind that which is different on each of them; all
# of it JSON. Last the names of all fields.
Shape = tuple[str, str, str, frozenset[str]]

NO_SHAPE: Shape = ("", "", "", frozenset())


class Summary:
    """Hear of the end of units of work, and write a line about each.

    Successful health checks and scrapes have none.
    """

    __slots__ = ("_shapes",)

    hears_starts = hears_steps = False

    def __init__(self) -> None:
        self._shapes: dict[Any, Shape] = {}

    def start(self, observation: Observation) -> None:
        """Hear that *observation* has begun: nothing is written yet."""

    def end(self, observation: Observation) -> None:
        """Write the line of *observation*, if it is one that has a line.

        It is made of what others like it had in common, where that is possible. The order of
        the fields is that of `_facts`.
        """
        here, outcome = observation.context, observation.outcome
        if not observation.entry or here is None or (observation.quiet and outcome == "ok"):
            return
        if LEVELS[outcome] < _threshold.level:
            return
        unit = here.unit
        if observation.error is not None or (unit.fields and not _is_on_each_line(unit.fields)):
            _end_with_care(observation, unit)
            return
        if observation.kind is _CONSUMER and isinstance(observation, Message):
            self._end_message(observation, unit)
            return
        try:
            status, labels, about = observation.status, observation.labels, observation.attributes
            key: Any
            if observation.kind is _SERVER and len(labels) == 2 and observation.protocol == "http":
                key = outcome, status, labels["http_request_method"], labels["http_route"]
            else:
                key = _key(observation)
            start, fixed, end, names = self._shapes.get(key) or self._shape(key, observation)
            parent, calls = unit.parent_span_id, unit.call_count
            first = "" if parent is None else f'"parent_span_id":"{parent}",'
            if unit.client_correlation_id is not None:
                client = _dumps(unit.client_correlation_id).decode()
                first = f'"client_correlation_id":{client},{first}'
            path = more = ""
            if about:
                text = about["url_path"]
                if len(about) > 1 or type(text) is not str:
                    _end_with_care(observation, unit)
                    return
                path = f'"url_path":{_dumps(text).decode()},'
            if calls:
                more = _more(unit)
        except Exception:
            # Something is no text, or no text that can be encoded.
            _end_with_care(observation, unit)
            return
        taken = observation.duration_ns // 1000 / 1000
        body = f'{first}{fixed}{path}{end}{taken},"calls":{calls}{more}'
        if not (start and pipeline.emit_ready(start, body, names)):
            _end_with_care(observation, unit)

    def _end_message(self, message: Message, unit: Unit) -> None:
        """Write the line of *message*, as `end` does that of a request."""
        try:
            outcome, about, labels = message.outcome, message.attributes, message.labels
            if (
                message.redelivered or message.retried or message.dead_lettered
                or message.attempt > 1 or message.status is not None
            ):  # fmt: skip
                _end_with_care(message, unit)
                return
            key = (message.protocol, outcome, *labels, *labels.values())
            start, fixed, end, names = self._shapes.get(key) or self._shape(key, message)
            parent, calls = unit.parent_span_id, unit.call_count
            first = "" if parent is None else f'"parent_span_id":"{parent}",'
            if about:
                [(name, text)] = about.items()
                if type(text) is not str or name != "task_id":
                    _end_with_care(message, unit)
                    return
                fixed += f'"task_id":{_dumps(text).decode()},'
            age, since_birth = message.known_ages or message.ages()
            more = f',"calls":{calls}'
            if calls:
                more += _more(unit)
            if since_birth is not None:
                more = f',"end_to_end_age_ms":{round(since_birth * 1e6) / 1000}{more}'
            if age is not None:
                more = f',"message_age_ms":{round(age * 1e6) / 1000}{more}'
        except Exception:
            # Something is no text, or no text that can be encoded.
            _end_with_care(message, unit)
            return
        body = f"{first}{fixed}{end}{message.duration_ns // 1000 / 1000}{more}"
        if not (start and pipeline.emit_ready(start, body, names)):
            _end_with_care(message, unit)

    def _shape(self, key: Any, observation: Observation) -> Shape:
        """Make and keep what lines like that of *observation* have in common."""
        if len(self._shapes) >= MOST_SHAPES:
            self._shapes.clear()
        shape = self._shapes[key] = _shape(observation)
        return shape


def _more(unit: Unit) -> str:
    """Return what there is to say of the calls of *unit* beside their number, as JSON."""
    more = f',"calls_ms":{round(unit.call_seconds * 1e6) / 1000}'
    if unit.sent_to or unit.answered_as:
        more += "," + _dumps(_reached(unit)).decode()[1:-1]
    return more


def _key(observation: Observation) -> Any:
    """Return what tells apart observations of different shapes."""
    about = observation.kind, observation.protocol, observation.outcome, observation.status
    return (*about, *observation.labels.items())


def _end_with_care(observation: Observation, unit: Unit) -> None:
    """Write the line of *observation*, whatever is on it."""
    message, error = _message(observation), observation.error
    if not message:
        return
    fields = _facts(observation, unit)
    if unit.fields:
        _add_bound(fields, unit.fields)
    described = None if error is None else _described(observation, error)
    pipeline.emit(LEVELS[observation.outcome], LOGGER, message, fields, error=described)


def _shape(observation: Observation) -> Shape:
    """Return what lines like that of *observation* have in common; nothing where each is made
    with care."""
    message, labels, status = _message(observation), observation.labels, observation.status
    end: dict[str, Any] = {"outcome": observation.outcome}
    if status is not None:
        end = {"http_response_status_code": status, **end}
    names = frozenset((*labels, *end, *ON_EACH))
    if (
        not message
        or observation.outcome == "dependency"
        or not all(type(text) is str for text in labels.values())
        or type(status) not in (int, type(None))
        or not all(map(is_plain, names))
    ):
        return NO_SHAPE
    start = f"{json.after_time[LEVELS[observation.outcome]]}{_dumps(message).decode()}"
    return (
        start + json.logger[LOGGER],
        _dumps(labels).decode()[1:-1] + "," if labels else "",
        _dumps(end).decode()[1:-1] + ',"duration_ms":',
        names,
    )


def _is_on_each_line(bound: dict[str, Any]) -> bool:
    """Tell whether the lines written here have all that is *bound* without being told."""
    here = context.get()
    if here is None:
        return False
    fields = here.fields
    return all(fields.get(name, fields) is value for name, value in bound.items())


def _message(observation: Observation) -> str:
    """Return what is said of such a unit of work; nothing where it has no line."""
    kind = observation.kind
    if kind is _SERVER:
        return "connection closed" if observation.protocol == "websocket" else "request finished"
    if kind is _CONSUMER:
        is_task = observation.protocol == "task" and isinstance(observation, Message)
        return "task finished" if is_task else "message processed"
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
    if isinstance(observation, Message):
        facts |= observation.told()
    facts["calls"] = unit.call_count
    if unit.call_count:
        facts["calls_ms"] = round(unit.call_seconds * 1e6) / 1000
        facts |= _reached(unit)
    return facts


def _reached(unit: Unit) -> dict[str, Any]:
    """Return what tells who got the ID: where messages went, and other IDs in answers."""
    told: dict[str, Any] = {}
    if unit.sent_to:
        told["messaging_sent_to"] = list(unit.sent_to)
        told["messaging_sent"] = sum(unit.sent_to.values())
    if unit.answered_as:
        told["answered_as"] = list(unit.answered_as)
    return told


def _add_bound(facts: dict[str, Any], bound: dict[str, Any]) -> None:
    """Add what was bound on the way, however deep; a name that is taken keeps its meaning."""
    for name, value in bound.items():
        while name in facts:
            name = f"field_{name}"
        facts[name] = value


def _described(observation: Observation, error: BaseException) -> exceptions.Description:
    """Describe *error*; the stack is on the line of the server, which nobody else has."""
    described: exceptions.Description = failure.of(observation) or exceptions.describe(error)
    return described._replace(stack="") if observation.kind is _SERVER else described
