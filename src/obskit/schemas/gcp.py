"""Google Cloud's structured logging: the special fields are taken out of the payload there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from obskit.schemas import instants, own, severity
from obskit.schemas.placing import Pair, Places, copied
from obskit.schemas.spelling import places

RENAMED, TEXTS = "obskit_renamed", "obskit_json"
LABELS = "logging.googleapis.com/labels"
TRACE = "logging.googleapis.com/trace"
SPAN = "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"
LOCATION = "logging.googleapis.com/sourceLocation"
_REQUEST = "httpRequest"
# A payload has 64 bit floats only.
_LARGEST = 2**53
_FILE = re.compile(r"(.+):(0|[1-9]\d{0,8})", re.ASCII | re.DOTALL)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
# What agents and the Logging API understand in a payload, whoever has put it there.
_TAKEN = frozenset({
    "severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", _REQUEST,
    "stack_trace", "exception", "@type", "serviceContext", "context", LABELS, TRACE, SPAN, SAMPLED,
    LOCATION, "logging.googleapis.com/insertId", "logging.googleapis.com/operation",
    "logging.googleapis.com/severity", "logging.googleapis.com/logName", RENAMED, TEXTS,
})  # fmt: skip
# Names of a whole entry, as exports have it, and where a payload has the same.
_ENTRY = {
    "timestamp": "time", "severity": "severity", _REQUEST: _REQUEST, "labels": LABELS,
    "trace": TRACE, "spanId": SPAN, "traceSampled": SAMPLED, "sourceLocation": LOCATION,
}  # fmt: skip


def _time(text: str) -> str | None:
    return text if instants.micros(text) is not None else None


def _of_time(found: Any) -> str | None:
    parts = _TIME.fullmatch(found) if isinstance(found, str) else None
    return f"{parts[1]}.{(parts[2] or '')[:6].ljust(6, '0')}Z" if parts else None


def _severity(level: str) -> str | None:
    found = severity.google(level)
    return found if severity.of_google(found) == level else None


def _of_severity(found: Any) -> str | None:
    return severity.of_google(found) if isinstance(found, str) else None


def _of_trace(found: Any) -> str | None:
    return found.rpartition("/")[2] if isinstance(found, str) else None


def _location(text: str) -> dict[str, str] | None:
    found = _FILE.fullmatch(text)
    return {"file": found[1], "line": found[2]} if found else None


def _of_location(found: Any) -> str | None:
    if isinstance(found, dict) and "file" in found and "line" in found:
        return f"{found['file']}:{found['line']}"
    return None


def _latency(value: float) -> str | None:
    return instants.latency(value)


def _of_latency(found: Any) -> float | None:
    return instants.of_latency(found) if isinstance(found, str) else None


_PAIRS: dict[str, Pair] = {
    "timestamp": (_time, _of_time),
    "level": (_severity, _of_severity),
    "trace_id": (lambda text: None if "/" in text else text, _of_trace),
    "warning_at": (_location, _of_location),
    "duration_ms": (_latency, _of_latency),
}
_SPECIAL = {name: place for name, place in places("gcp").items() if place != (name,)}
_FULL = Places(_SPECIAL | {"message": ("message",)}, _PAIRS)
# Only what says a method is a request.
_PLAIN = Places(
    {name: place for name, place in _SPECIAL.items() if place[0] != _REQUEST}
    | {"message": ("message",)},
    _PAIRS,
)


def encode(record: Mapping[str, Any], project: str = "") -> dict[str, Any]:
    """Return *record* as Google Cloud Logging wants it; never raises.

    Args:
        record: The canonical record.
        project: ID of the project that has the traces; without it a trace has its ID alone.
    """
    is_request = isinstance(record.get("http_request_method"), str)
    made, rest = (_FULL if is_request else _PLAIN).spread(record)
    made["severity"] = severity.google(str(record.get("level")))
    if project and TRACE in made:
        made[TRACE] = f"projects/{project}/traces/{made[TRACE]}"
    if isinstance(rest.get("trace_sampled"), bool):
        made[SAMPLED] = rest.pop("trace_sampled")
    first: dict[str, Any] = {
        name: made.pop(name) for name in ("severity", "message", "time") if name in made
    }
    fields, renamed = own.named(rest, lambda name: name or "_", _TAKEN)
    texts = [name for name, value in fields.items() if own.has_number_beyond(_LARGEST, value)]
    fields |= {name: own.as_json(fields[name]) for name in texts}
    notes = {name: names for name, names in ((RENAMED, renamed), (TEXTS, texts)) if names}
    return {**first, **made, **fields, **notes}


def decode(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record in *found*, a line or an exported entry; None where it is none of ours."""
    payload = found.get("jsonPayload")
    if isinstance(payload, dict):
        outer = {inner: found[name] for name, inner in _ENTRY.items() if name in found}
        found = {**payload, **outer}
    if "correlation_id" not in found and found.get("scope") != "process" and "lc_at" not in found:
        return None
    rest = copied(found, 1)
    record = _FULL.gather(rest)
    notes = {name: rest.pop(name, None) for name in (RENAMED, TEXTS)}
    if isinstance(rest.get(SAMPLED), bool):
        record["trace_sampled"] = rest[SAMPLED]
    fields = {name: value for name, value in rest.items() if name not in _TAKEN}
    own.of_json(fields, notes[TEXTS])
    return record | own.unnamed(fields, notes[RENAMED])
