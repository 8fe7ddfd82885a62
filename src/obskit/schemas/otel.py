"""OpenTelemetry's data model for logs, one flat record a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from obskit.schemas import instants, own, severity
from obskit.schemas.placing import Places, copied
from obskit.schemas.spelling import places

ATTRIBUTES, RENAMED, TEXTS = "attributes", "obskit.renamed", "obskit.json"
_LARGEST = 2**63
_TRACE = re.compile("(?!0{32})[0-9a-f]{32}")
_SPAN = re.compile("(?!0{16})[0-9a-f]{16}")


def _nanos(text: str) -> int | None:
    found = instants.micros(text)
    return found * 1000 if found is not None and 0 <= found * 1000 < _LARGEST else None


def _of_nanos(found: Any) -> str | None:
    return instants.text(found // 1000) if type(found) is int and not found % 1000 else None


def _severity(level: str) -> str | None:
    shown = level.upper()
    return shown if shown.lower() == level else None


def _of_severity(found: Any) -> str | None:
    return found.lower() if isinstance(found, str) else None


def _same(found: Any) -> Any:
    return found


_PLACES = Places(
    places("otel"),
    {
        "timestamp": (_nanos, _of_nanos),
        "level": (_severity, _of_severity),
        "trace_id": (lambda text: text if _TRACE.fullmatch(text) else None, _same),
        "span_id": (lambda text: text if _SPAN.fullmatch(text) else None, _same),
    },
)
_TAKEN = frozenset(
    {RENAMED, TEXTS, *(place[1] for place in places("otel").values() if place[0] == ATTRIBUTES)}
)


def encode(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return *record* in OpenTelemetry's data model; never raises."""
    made, rest = _PLACES.spread(record)
    first = {"timestamp": made.pop("timestamp")} if "timestamp" in made else {}
    number = severity.otel(str(record.get("level")))
    if number:
        first["severity_number"] = number
    attributes = made.pop(ATTRIBUTES, {})
    if rest:
        fields, renamed = own.named(rest, lambda name: name or "_", _TAKEN)
        texts = [name for name, value in fields.items() if own.has_number_beyond(_LARGEST, value)]
        attributes |= fields | {name: own.as_json(fields[name]) for name in texts}
        attributes |= {key: names for key, names in ((RENAMED, renamed), (TEXTS, texts)) if names}
    return {**first, **made, ATTRIBUTES: attributes}


def decode(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record in *found*, or None where it is none of ours."""
    attributes = found.get(ATTRIBUTES)
    if not isinstance(attributes, dict) or not any(
        name.startswith("obskit.") for name in attributes
    ):
        return None
    rest = copied(found, 1)
    record = _PLACES.gather(rest)
    fields = rest[ATTRIBUTES]
    renamed = fields.pop(RENAMED, None)
    own.of_json(fields, fields.pop(TEXTS, None))
    return record | own.unnamed(fields, renamed)
