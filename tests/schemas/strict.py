"""Strict readings of what the vendors have published; each raises AssertionError.

Written from, and to be compared with:

- ECS: ``generated/csv/fields.csv`` of github.com/elastic/ecs at v8.17.0, ``spec/spec.json`` of
  github.com/elastic/ecs-logging; fields of Kubernetes: "Exported fields" of Filebeat 8
- OpenTelemetry: "Logs Data Model" (opentelemetry-specification, stable), and for requests
  ``opentelemetry/proto/logs/v1/logs.proto`` with "JSON Protobuf Encoding" of OTLP 1
- GELF: "GELF Payload Specification, Version 1.1 (11/2013)" of Graylog
- Google: "Structured logging: special JSON fields", ``LogEntry``, ``HttpRequest`` and
  ``LogSeverity`` of the Logging API v2
- logfmt: the grammar of github.com/kr/logfmt and github.com/go-logfmt/logfmt
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import jsonschema

from obskit import schemas

ECS_FIELDS = {
    "@timestamp": "date", "ecs.version": "keyword", "error.message": "match_only_text",
    "error.stack_trace": "wildcard", "error.type": "keyword", "event.duration": "long",
    "event.outcome": "keyword", "host.hostname": "keyword", "http.request.method": "keyword",
    "http.response.status_code": "long", "log.level": "keyword", "log.logger": "keyword",
    "log.origin.file.line": "long", "log.origin.file.name": "keyword", "message": "match_only_text",
    "process.pid": "long", "process.thread.name": "keyword", "service.environment": "keyword",
    "service.name": "keyword", "service.version": "keyword", "span.id": "keyword",
    "trace.id": "keyword", "url.path": "wildcard",
}  # fmt: skip
BEATS_FIELDS = dict.fromkeys(
    ("kubernetes.pod.name", "kubernetes.namespace", "kubernetes.node.name"), "keyword"
)
INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
TEXT = {"type": "string"}
ANY: dict[str, Any] = {
    "anyOf": [
        {"type": ["string", "boolean", "null"]},
        INT64,
        {"type": "number", "not": {"type": "integer"}},
        # A double without a fraction is an integer for JSON Schema: Python knows better.
        {"type": "array", "items": {"$ref": "#/$defs/any"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/any"}},
    ]
}
ATTRIBUTES = {
    "type": "object",
    "propertyNames": {"minLength": 1},
    "additionalProperties": {"$ref": "#/$defs/any"},
}
OTEL = {
    "$defs": {"any": ANY},
    "type": "object",
    "properties": {
        "timestamp": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
        "severity_number": {"type": "integer", "minimum": 1, "maximum": 24},
        "severity_text": TEXT,
        "body": {"$ref": "#/$defs/any"},
        "instrumentation_scope": {
            "type": "object",
            "properties": {"name": TEXT},
            "additionalProperties": False,
        },
        "resource": ATTRIBUTES,
        "trace_id": {"type": "string", "pattern": "^(?!0{32})[0-9a-f]{32}$"},
        "span_id": {"type": "string", "pattern": "^(?!0{16})[0-9a-f]{16}$"},
        "attributes": ATTRIBUTES,
    },
    "required": ["attributes"],
    "additionalProperties": False,
}
GELF = {
    "type": "object",
    "properties": {
        "version": {"const": "1.1"},
        "host": {"type": "string", "pattern": r"\S"},
        "short_message": {"type": "string", "pattern": r"\S"},
        "full_message": TEXT,
        "timestamp": {"type": "number", "minimum": 0},
        "level": {"type": "integer", "minimum": 0, "maximum": 7},
        "_id": False,
    },
    "patternProperties": {
        r"^_[A-Za-z0-9_.\-]*$": {
            "anyOf": [TEXT, INT64, {"type": "number", "not": {"type": "integer"}}]
        }
    },
    "required": ["version", "host", "short_message"],
    "additionalProperties": False,
}
SEVERITIES = [
    "DEFAULT",
    "DEBUG",
    "INFO",
    "NOTICE",
    "WARNING",
    "ERROR",
    "CRITICAL",
    "ALERT",
    "EMERGENCY",
]
GCP = {
    "type": "object",
    "properties": {
        "severity": {"enum": SEVERITIES},
        "message": TEXT,
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"},
        "stack_trace": TEXT,
        "httpRequest": {
            "type": "object",
            "properties": {
                "requestMethod": TEXT,
                "requestUrl": TEXT,
                "status": INT64,
                "latency": {"type": "string", "pattern": r"^\d+(\.\d{1,9})?s$"},
            },
            "additionalProperties": False,
        },
        "logging.googleapis.com/labels": {"type": "object", "additionalProperties": TEXT},
        "logging.googleapis.com/trace": TEXT,
        "logging.googleapis.com/spanId": TEXT,
        "logging.googleapis.com/trace_sampled": {"type": "boolean"},
        "logging.googleapis.com/sourceLocation": {
            "type": "object",
            "properties": {"file": TEXT, "line": {"type": "string", "pattern": r"^\d+$"}},
            "additionalProperties": False,
        },
        # These would be taken for what they are not.
        **dict.fromkeys(
            ("timestamp", "timestampSeconds", "timestampNanos", "@type", "exception",
             "serviceContext", "context", "logging.googleapis.com/insertId",
             "logging.googleapis.com/operation"), False,
        ),
    },
    "propertyNames": {"minLength": 1},
    "required": ["severity"],
}  # fmt: skip
_NAME, _BARE = re.compile(r'[^\x00-\x20="\x7f\ufffd]+'), re.compile(r'[^\x00-\x20="\x7f\ufffd]+')
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')


def fits(schema: dict[str, Any], found: object) -> None:
    """Complain where *found* does not fit a JSON Schema."""
    jsonschema.Draft202012Validator(schema).validate(found)


def ecs(found: dict[str, Any]) -> None:
    """Complain about what is no ECS."""
    first = [name for name in ("@timestamp", "log.level", "message") if name in found]
    assert list(found)[: len(first)] == first, "the first three are in this order"
    assert re.fullmatch(r"8\.\d+\.\d+", found["ecs.version"])
    assert "level" not in found.get("log", {}), "log.level may not be nested"
    labels, objects = found.get("labels", {}), found["obskit"].get("objects", {})
    for name, value in labels.items():
        assert name.strip(), "a name must have something in it"
        assert not set(name) & set('.*\\"'), f"{name!r} is no name of a label"
        for item in value if isinstance(value, list) else [value]:
            assert not isinstance(item, (dict, list)), "labels have no objects"
    assert not set(labels) & set(objects), "a field stands once"
    for value in objects.values():
        _has_names(value)
    for path, value in _leaves(found, ()):
        if path[0] not in ("labels", "obskit"):
            _is_of_type(".".join(path), value)


def _leaves(found: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _has_names(value: object) -> None:
    if isinstance(value, dict):
        assert all(key.strip() and "\0" not in key for key in value)
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        _has_names(item)


def _is_of_type(name: str, value: object) -> None:
    kind = (ECS_FIELDS | BEATS_FIELDS)[name]
    if kind == "long":
        assert type(value) is int, name
        assert -(2**63) <= value < 2**63, name
    else:
        assert isinstance(value, str), name
    if kind == "date":
        datetime.fromisoformat(str(value))
    if name == "event.outcome":
        assert value in ("success", "failure", "unknown")


def otel(found: dict[str, Any]) -> None:
    """Complain about what is no record of OpenTelemetry's data model."""
    fits(OTEL, _without_whole_doubles(found))


def _without_whole_doubles(value: Any) -> Any:
    """Return *value* with doubles that have no fraction replaced, which JSON Schema cannot see."""
    if isinstance(value, dict):
        return {key: _without_whole_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_whole_doubles(item) for item in value]
    return 0.5 if type(value) is float else value


def gelf(found: dict[str, Any]) -> None:
    """Complain about what is no GELF, or what Graylog would drop or take for something else."""
    fits(GELF, {**_without_whole_doubles(found), "timestamp": found.get("timestamp", 0)})
    reserved = {"message", "short_message", "source", "host", "timestamp", "level", "full_message"}
    assert not {name[1:] for name in found if name.startswith("_")} & reserved


def gcp(found: dict[str, Any]) -> None:
    """Complain about what Google's agents would misunderstand, or a payload cannot hold."""
    fits(GCP, found)
    if "time" in found:
        datetime.fromisoformat(found["time"])
    for value in found.values():
        _is_exact(value)


def _is_exact(value: object) -> None:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _is_exact(item)
    elif type(value) is int:
        assert int(float(value)) == value or abs(value) <= 2**53, "a double cannot hold it"


def logfmt(found: str) -> None:
    """Complain about what a strict reader of logfmt cannot read."""
    at, names = 0, set()
    assert found.isprintable() or not re.search("[\x00-\x1f\x7f]", found)
    while at < len(found):
        name = _NAME.match(found, at)
        assert name, found[at:]
        assert name[0] not in names, f"{name[0]} stands twice"
        names.add(name[0])
        assert found[name.end()] == "=", found[at:]
        value = _QUOTED.match(found, name.end() + 1) or _BARE.match(found, name.end() + 1)
        assert value, found[name.end() :]
        at = value.end()
        assert at == len(found) or found[at] == " ", found[at:]
        at += 1


CHECKS: dict[str, Callable[[Any], None]] = {
    "ecs": ecs, "otel": otel, "gelf": gelf, "gcp": gcp, "logfmt": logfmt,
}  # fmt: skip
assert set(CHECKS) == set(schemas.NAMES)
