"""Write the canonical line in other people's schemas, and read it back: pure functions on dicts.

A schema is a module with ``encode(record)`` and ``decode(found)``; nothing is lost on the way
there and back: ``decode(encode(record)) == record``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

__all__ = ["NAMES", "Schema", "of", "recognised"]

NAMES = ("ecs", "otel", "gelf", "gcp", "logfmt")
"""The schemas beside the canonical line; each is imported when it is asked for."""

Record = dict[str, Any]


class Schema(Protocol):
    """What a module of a schema offers; that of logfmt has text where others have a dict."""

    def encode(self, record: Record) -> Any:
        """Return the canonical *record* as this schema wants it; never raises."""

    def decode(self, found: Any) -> Record | None:
        """Return the canonical record in *found*, or None where that is none of ours."""


def of(name: str) -> Schema:
    """Return the schema called *name*, one of `NAMES`."""
    if name not in NAMES:
        raise ValueError(f"there is no schema {name!r}; there are {', '.join(NAMES)}")
    return cast("Schema", import_module(f"obskit.schemas.{name}"))


def recognised(found: Record) -> Record | None:
    """Return the canonical record in *found*, a JSON object in whichever schema, or None."""
    if "timestamp" in found and "level" in found and "short_message" not in found:
        return None  # it is canonical, or nobody's
    if "@timestamp" in found:
        return of("ecs").decode(found)
    if "attributes" in found and ("severity_text" in found or "body" in found):
        return of("otel").decode(found)
    if "short_message" in found:
        return of("gelf").decode(found)
    return of("gcp").decode(found) if "severity" in found else None
