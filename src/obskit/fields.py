"""The dictionary: every field of a line and every metric, with type and meaning, once.

Documentation, the JSON Schema of the line, the data inventory and the tests are made from it.
"""

from __future__ import annotations

from typing import Any, Literal

from obskit.record import Record

VERSION = "0.1.0"
"""Version of obskit, the same as in its distribution."""

SCHEMA = "1"
"""Version of the line; it stands on the start line of each process."""

JsonType = Literal["string", "integer", "number", "boolean", "array"]


class LineField(Record):
    """A field of a log line.

    *when* says where it is present; *origin* says for the data inventory whose data it is;
    *pattern* is what all of its text matches.
    """

    name: str
    type: JsonType
    meaning: str
    when: str = "always"
    origin: str = "obskit"
    pattern: str = ""


class Metric(Record):
    """A metric and its labels; *buckets* are the upper bounds of a histogram, in seconds.

    *across* says how a gauge is put together from the workers of a service.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()
    across: Literal["livesum", "max"] = "livesum"


_UNIT = "in a unit of work"
_PROCESS = "outside of a unit of work"
_PLACE = "[0-9a-f]{16}-[0-9]+"

LINE: tuple[LineField, ...] = (
    LineField(
        "timestamp", "string", "When the line was written: RFC 3339, UTC, microseconds",
        pattern=r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z",
    ),
    LineField("level", "string", "debug, info, warning, error or critical; also custom ones", pattern="[^A-Z]+"),
    LineField("message", "string", "What happened", origin="application"),
    LineField("logger", "string", "Name of the logger"),
    LineField("service", "string", "Name of the service"),
    LineField("version", "string", "Version of the service", "if set"),
    LineField("env", "string", "Environment, such as production", "if set"),
    LineField("host", "string", "Name of the machine or container"),
    LineField("pid", "integer", "Process ID"),
    LineField("pod", "string", "Kubernetes pod", "if set by the downward API"),
    LineField("namespace", "string", "Kubernetes namespace", "if set by the downward API"),
    LineField("node", "string", "Kubernetes node", "if set by the downward API"),
    LineField("scope", "string", "`process`: the line belongs to no operation", _PROCESS, pattern="process"),
    LineField(
        "correlation_id", "string", "ID of the whole operation, across services", _UNIT, "caller",
        "[A-Za-z0-9._:~+/=@-]{1,128}",
    ),
    LineField(
        "correlation_source", "string",
        "Where the ID came from: inherited, baggage, request_id, trace, generated, given, invalid, restarted, message, schedule",
        _UNIT, pattern="[a-z_]+",
    ),
    LineField("causation_id", "string", "span_id of the unit of work that caused this one", "if the caller said it", "caller", "[0-9a-f]{16}"),
    LineField("trace_id", "string", "W3C trace ID", _UNIT, "caller", "[0-9a-f]{32}"),
    LineField("span_id", "string", "W3C span ID of the step that wrote the line", _UNIT, pattern="[0-9a-f]{16}"),
    LineField("hop", "integer", "How many services the operation has gone through", _UNIT),
    LineField("caller", "string", "Service that called, as it named itself", "if the caller said it", "caller"),
    LineField("lc", "integer", "Lamport number: sorts the lines of an operation by cause", _UNIT),
    LineField(
        "lc_at", "string",
        "Place: strand and dense number; a hole is a lost line; a line that was held back has the last number, and behind a dot one of its own",
        _UNIT, pattern=_PLACE + r"(?:\.[0-9]+)?",
    ),
    LineField("lc_hop", "string", "First strand of this hop, where it is another one", "on further strands", pattern="[0-9a-f]{16}"),
    LineField("lc_broken", "boolean", "Behind a hop that carried the ID but no clock", "only when true"),
    LineField("lc_after", "array", "Places that surely came before this line", "on lines with a new cause", pattern=_PLACE),
    LineField("lc_seen", "array", "Hops with their Lamport number that came before", "on lines with a new cause", pattern=_PLACE),
    LineField("synthetic", "boolean", "The operation is a synthetic transaction", "only when true", "caller"),
    LineField("client_correlation_id", "string", "ID that an outside client sent", "on the summary line, at the edge", "caller"),
    LineField("parent_span_id", "string", "span_id of the caller's span", "on the summary line", "caller", "[0-9a-f]{16}"),
    LineField("http_request_method", "string", "Method of the request", "on the summary line", "caller"),
    LineField("http_route", "string", "Route template that matched", "on the summary line"),
    LineField("task_name", "string", "Name of the job or task", "on the summary line of a task"),
    LineField("task_id", "string", "ID that Celery gave to the task", "on the summary line of a task, and on Celery's own lines about it"),
    LineField("messaging_system", "string", "System that brought the message", "on the summary line of a message"),
    LineField("messaging_destination_name", "string", "Queue or topic of the message", "on the summary line of a message"),
    LineField("url_path", "string", "Path without query", "on the summary line", "caller"),
    LineField("http_response_status_code", "integer", "Status of the response", "on the summary line"),
    LineField(
        "outcome", "string", "ok, client_gone, cancelled, rejected, timeout, dependency, server_error or client_error", "on the summary line",
        pattern="ok|client_gone|cancelled|rejected|timeout|dependency|server_error|client_error",
    ),
    LineField("dependency", "string", "Peer whose failure caused this one", "on the summary line, outcome dependency"),
    LineField("message_age_ms", "number", "Milliseconds from when the message was sent to when the work on it began", "on the summary line of a message or task"),
    LineField("end_to_end_age_ms", "number", "Milliseconds from the birth of the operation to the end of the work", "on the summary line of a message or task"),
    LineField("attempt", "integer", "Which time this is that the work is tried, from 2 on", "on the summary line of a message or task"),
    LineField("redelivered", "boolean", "True where the message was handed out before", "on the summary line of a message or task"),
    LineField("retried", "boolean", "True where the work will be tried again", "on the summary line of a message or task"),
    LineField("dead_lettered", "boolean", "True where the message or task was given up", "on the summary line of a message or task"),
    LineField("duration_ms", "number", "Milliseconds from start to end of the response", "on the summary line"),
    LineField("calls", "integer", "Outgoing calls made", "on the summary line"),
    LineField("calls_ms", "number", "Milliseconds spent in outgoing calls", "on the summary line"),
    LineField(
        "messaging_sent_to", "array", "Where messages were sent, as system:destination",
        "on the summary line, if messages were sent",
    ),
    LineField("messaging_sent", "integer", "Messages sent", "on the summary line, if messages were sent"),
    LineField(
        "answered_as", "array", "Correlation IDs under which callees answered that did not take over this one",
        "on the summary line, if there are any", "callee", "[A-Za-z0-9._:~+/=@-]{1,128}",
    ),
    LineField("warning_category", "string", "Class of a Python warning", "on warnings"),
    LineField("warning_at", "string", "File and line that a Python warning is about", "on warnings"),
    LineField("error_thread", "string", "Thread that ended by an exception", "on its line", "application"),
    LineField("error_object", "string", "Where an exception was ignored by Python", "on its line", "application"),
    LineField("log_handler", "string", "Handler of logging that could not write a record", "on its line"),
    LineField("log_message", "string", "The record that it could not write", "on its line", "application"),
    LineField("stack", "string", "Where the line was logged from", "where `stack_info` asked for it"),
    LineField("error_type", "string", "Type of the exception", "on lines with an exception"),
    LineField("error_message", "string", "Text of the exception", "on lines with an exception", "application"),
    LineField("error_fingerprint", "string", "Same for errors of the same kind at the same place", "on lines with an exception"),
    LineField("error_stack", "string", "Stack, root cause first, without local variables", "on lines with an exception"),
    LineField("schema", "string", "Version of these fields", "on the first line of a process"),
    LineField("obskit_version", "string", "Version of obskit", "on the first line of a process"),
    LineField("python_version", "string", "Version of Python", "on the first line of a process"),
    LineField("obskit_failed", "array", "Parts of obskit that do not work", "on the first line of a process, if any"),
    LineField("obskit_problem", "string", "Which setting is not understood", "on lines about settings"),
    LineField("obskit_where", "string", "Part of obskit that had an error of its own", "on lines about such errors"),
    LineField("obskit_error", "string", "What the error of obskit's own said", "on lines about such errors"),
    LineField("obskit_lost", "integer", "Number of lines or spans that were lost since the last such line", "on lines about lost lines and spans"),
    LineField("obskit_reason", "string", "Why they were lost or cannot be sent, as in `obskit_lost_total`", "on lines about lost lines and spans"),
    LineField("obskit_to", "string", "Where spans are sent", "on lines about spans that cannot be sent"),
    LineField(
        "obskit_suppressed", "integer", "Number of lines that said the same and were not written, since the last one that was",
        "on the next line that is written, or on one about suppressed lines",
    ),
    LineField("obskit_logger", "string", "Logger of lines that were suppressed", "on lines about suppressed lines"),
    LineField("obskit_message", "string", "Message of one of them", "on lines about suppressed lines", "application"),
    LineField("obskit_held", "boolean", "True where a line below the level was held back until its unit of work had ended badly", "only when true"),
    LineField("obskit_truncated", "integer", "Bytes taken off to keep the line within its budget", "on shortened lines"),
    LineField("obskit_degraded", "integer", "Values that could not be written as they are", "on degraded lines"),
)  # fmt: skip

# OpenTelemetry's advice for HTTP durations; the second set is for work that nobody waits for.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TASK_BUCKETS = (
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    14400.0,
)

_QUEUE = ("messaging_system", "messaging_destination_name")

METRICS: tuple[Metric, ...] = (
    Metric(
        "http_server_request_duration_seconds", "histogram",
        ("http_request_method", "http_route", "outcome"), "Time to the last byte of the response",
        REQUEST_BUCKETS,
    ),
    Metric(
        "http_server_requests_total", "counter",
        ("http_request_method", "http_route", "outcome", "http_response_status_code", "caller", "dependency", "synthetic"),
        "Requests served",
    ),
    Metric("http_server_active_requests", "gauge", ("http_request_method",), "Requests being served"),
    Metric(
        "http_client_request_duration_seconds", "histogram",
        ("http_request_method", "server_address", "outcome"), "Time of outgoing requests", REQUEST_BUCKETS,
    ),
    Metric(
        "messaging_publish_duration_seconds", "histogram", (*_QUEUE, "outcome"),
        "Time of sending a message or task", REQUEST_BUCKETS,
    ),
    Metric(
        "messaging_process_duration_seconds", "histogram", (*_QUEUE, "outcome"),
        "Time of the work on a message", TASK_BUCKETS,
    ),
    Metric(
        "messaging_message_age_seconds", "histogram", _QUEUE,
        "Age of a message or task when the work on it began", TASK_BUCKETS,
    ),
    Metric(
        "messaging_end_to_end_age_seconds", "histogram", _QUEUE,
        "Time from the birth of the operation, in whatever service, to the end of the work on its message",
        TASK_BUCKETS,
    ),
    Metric("messaging_redeliveries_total", "counter", _QUEUE, "Messages and tasks that were handed out once more"),
    Metric("messaging_dead_lettered_total", "counter", _QUEUE, "Messages and tasks that were given up"),
    Metric(
        "messaging_last_success_timestamp_seconds", "gauge", _QUEUE,
        "When a message or task was last worked on with success, in seconds since 1970", across="max",
    ),
    Metric("task_duration_seconds", "histogram", ("task_name", "outcome"), "Time of jobs and tasks", TASK_BUCKETS),
    Metric(
        "operation_duration_seconds", "histogram", ("operation", "outcome"),
        "Time of what your own code observes", REQUEST_BUCKETS,
    ),
    Metric(
        "obskit_errors_total", "counter", ("error_type", "error_fingerprint"),
        "Units of work that ended with an exception, and exceptions on other lines",
    ),
    Metric("obskit_ingress_correlation_total", "counter", ("source", "caller"), "Where the IDs of units of work came from"),
    Metric("obskit_correlation_invalid_total", "counter", ("reason",), "IDs from outside that were refused"),
    Metric("obskit_build_info", "gauge", ("version", "service", "service_version", "env", "python"), "Always 1"),
    Metric("obskit_internal_errors_total", "counter", ("where",), "Errors contained inside obskit"),
    Metric("obskit_lost_total", "counter", ("signal", "reason"), "Telemetry lost"),
    Metric(
        "obskit_shipped_total", "counter", ("destination", "result"),
        "Lines and spans of the service's spool that were taken, are dead letters, or were dropped",
    ),
    Metric(
        "obskit_spool_waiting", "gauge", ("destination",),
        "Lines and spans of the service's spool that a destination has yet to get",
    ),
    Metric("obskit_spool_bytes", "gauge", (), "Size of the service's spool; absent where there is none"),
    Metric("obskit_workers", "gauge", (), "Living workers, idle ones too; absent where there is one process"),
)  # fmt: skip

LINE_NAMES: frozenset[str] = frozenset(field.name for field in LINE)


def line_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a line; fields of the application's own are free.

    It is published as ``docs/reference/line.schema.json``.
    """
    in_unit = [field.name for field in LINE if field.when == _UNIT]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:obskit:line:{SCHEMA}",
        "title": "A log line",
        "type": "object",
        "properties": {field.name: _schema(field) for field in LINE},
        "required": [field.name for field in LINE if field.when == "always"],
        "oneOf": [
            {"required": in_unit, "not": {"required": ["scope"]}},
            {"required": ["scope"], "not": {"anyOf": [{"required": [name]} for name in in_unit]}},
        ],
    }


def _schema(field: LineField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.type, "description": field.meaning}
    if field.type == "integer":
        schema["minimum"] = 0
    if field.pattern:
        text = {"pattern": f"^(?:{field.pattern})$"}
        schema |= {"items": {"type": "string", **text}} if field.type == "array" else text
    elif field.type == "array":
        schema["items"] = {"type": "string"}
    return schema
