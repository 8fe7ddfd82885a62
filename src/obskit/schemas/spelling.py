"""The names of each field of a line in each schema, once; documentation and codecs use them.

A ``>`` leads into an object. What is not listed has the name that its schema gives to what is
obskit's own: ``obskit>name`` in ECS, ``attributes>obskit.name`` in OpenTelemetry, the canonical
name elsewhere, behind an underscore in GELF.
"""

from __future__ import annotations

from obskit.fields import LINE
from obskit.record import Record

SEPARATOR = ">"
OURS = "obskit_"
_LABELS, _GOOGLE = "logging.googleapis.com/labels", "logging.googleapis.com/"


class Spelling(Record):
    """The names of one field; empty ones are those that are given by rule."""

    ecs: str = ""
    otel: str = ""
    gcp: str = ""
    gelf: str = ""
    logfmt: str = ""


_LISTED: dict[str, Spelling] = {
    "timestamp": Spelling("@timestamp", "timestamp", "time", "timestamp"),
    "level": Spelling("log.level", "severity_text", "severity", "_level_name"),
    "message": Spelling("message", "body", "message", "short_message"),
    "logger": Spelling("log>logger", "instrumentation_scope>name"),
    "service": Spelling("service>name", "resource>service.name", f"{_LABELS}>service"),
    "version": Spelling("service>version", "resource>service.version", f"{_LABELS}>version"),
    "env": Spelling(
        "service>environment", "resource>deployment.environment.name", f"{_LABELS}>env"
    ),
    "host": Spelling("host>hostname", "resource>host.name", f"{_LABELS}>host", "host"),
    "pid": Spelling("process>pid", "resource>process.pid"),
    "pod": Spelling("kubernetes>pod>name", "resource>k8s.pod.name", f"{_LABELS}>pod"),
    "namespace": Spelling(
        "kubernetes>namespace", "resource>k8s.namespace.name", f"{_LABELS}>namespace"
    ),
    "node": Spelling("kubernetes>node>name", "resource>k8s.node.name", f"{_LABELS}>node"),
    "trace_id": Spelling("trace>id", "trace_id", f"{_GOOGLE}trace"),
    "span_id": Spelling("span>id", "span_id", f"{_GOOGLE}spanId"),
    "http_request_method": Spelling(
        "http>request>method", "attributes>http.request.method", "httpRequest>requestMethod"
    ),
    "http_route": Spelling("", "attributes>http.route"),
    "messaging_system": Spelling("", "attributes>messaging.system"),
    "messaging_destination_name": Spelling("", "attributes>messaging.destination.name"),
    "url_path": Spelling("url>path", "attributes>url.path", "httpRequest>requestUrl"),
    "http_response_status_code": Spelling(
        "http>response>status_code", "attributes>http.response.status_code", "httpRequest>status"
    ),
    "duration_ms": Spelling("event>duration", "", "httpRequest>latency"),
    "warning_at": Spelling("log>origin>file", "", f"{_GOOGLE}sourceLocation"),
    "error_thread": Spelling("process>thread>name", "attributes>thread.name"),
    "error_type": Spelling("error>type", "attributes>exception.type"),
    "error_message": Spelling("error>message", "attributes>exception.message"),
    "error_stack": Spelling(
        "error>stack_trace", "attributes>exception.stacktrace", "stack_trace", "full_message"
    ),
}


def spelling(name: str) -> Spelling:
    """Return what the field *name* of a line is called in each schema."""
    listed = _LISTED.get(name, Spelling())
    short = name.removeprefix(OURS)
    return Spelling(
        listed.ecs or f"obskit>{short}",
        listed.otel or f"attributes>obskit.{short}",
        listed.gcp or name,
        listed.gelf or f"_{name}",
        name,
    )


def places(schema: str) -> dict[str, tuple[str, ...]]:
    """Return where each field of a line stands in *schema*, as the keys that lead there."""
    return {
        field.name: tuple(getattr(spelling(field.name), schema).split(SEPARATOR)) for field in LINE
    }
