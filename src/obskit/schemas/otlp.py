"""Records in OTLP's JSON, as an OTLP/HTTP receiver takes many of them in one request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from obskit.schemas import otel


def request(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an ``ExportLogsServiceRequest`` of canonical *records*.

    Those of one resource, and in it of one logger, stand together, each in the order given.
    """
    resources: dict[str, dict[str, Any]] = {}
    for record in records:
        encoded = otel.encode(record)
        resource = encoded.pop("resource", {})
        scope = encoded.pop("instrumentation_scope", {})
        key = json.dumps(resource)
        found = resources.setdefault(key, {"resource": resource, "scopes": {}})
        found["scopes"].setdefault(scope.get("name", ""), []).append(log_record(encoded))
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": pairs(one["resource"])},
                "scopeLogs": [
                    {"scope": {"name": name}, "logRecords": logs}
                    for name, logs in one["scopes"].items()
                ],
            }
            for one in resources.values()
        ]
    }


def log_record(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `otel.encode` has made as a ``LogRecord``."""
    made: dict[str, Any] = {}
    if "timestamp" in encoded:
        made["timeUnixNano"] = made["observedTimeUnixNano"] = str(encoded["timestamp"])
    for name, spelled in (
        ("severity_number", "severityNumber"),
        ("severity_text", "severityText"),
        ("trace_id", "traceId"),
        ("span_id", "spanId"),
    ):
        if name in encoded:
            made[spelled] = encoded[name]
    if "body" in encoded:
        made["body"] = any_value(encoded["body"])
    return made | {"attributes": pairs(encoded["attributes"])}


def pairs(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return *fields* as a list of ``KeyValue``."""
    return [{"key": name, "value": any_value(value)} for name, value in fields.items()]


def any_value(value: Any) -> dict[str, Any]:
    """Return *value* as an ``AnyValue``; whole numbers of 64 bits are text in JSON."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue" if -(2**63) <= value < 2**63 else "stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {}
