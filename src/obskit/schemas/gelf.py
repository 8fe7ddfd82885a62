"""The Graylog Extended Log Format 1.1: text and numbers only, each name behind an underscore."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from obskit.schemas import instants, own, severity
from obskit.schemas.placing import Places
from obskit.schemas.spelling import places

VERSION = "1.1"
RENAMED, TEXTS = "obskit_renamed", "obskit_json"
# Neither a message nor a host may be blank.
BLANK = "-"
_UNFIT = re.compile(r"[^\w.\-]", re.ASCII)
_LARGEST = 2**63
# Graylog takes the underscore off, and drops or overwrites what then has one of these names.
_TAKEN = frozenset({
    "", "id", "message", "short_message", "full_message", "source", "host", "timestamp", "level",
    "level_name", "file", "line", "facility", "streams", RENAMED, TEXTS,
    "_id", "_ttl", "_source", "_all", "_index", "_type", "_score", "_version",
})  # fmt: skip


def _seconds(text: str) -> float | None:
    found = instants.micros(text)
    if found is None or found < 0:
        return None
    seconds = found / 1_000_000
    return seconds if round(seconds * 1_000_000) == found else None


def _of_seconds(found: Any) -> str | None:
    if type(found) not in (int, float) or not 0 <= found < 1e12:
        return None
    return instants.text(round(found * 1_000_000))


def _written(text: Any) -> Any:
    return None if isinstance(text, str) and text.strip() in ("", BLANK) else text


_PLACES = Places(
    {name: place for name, place in places("gelf").items() if place != (f"_{name}",)},
    {
        "timestamp": (_seconds, _of_seconds),
        "message": (_written, _written),
        "host": (_written, _written),
    },
)


def encode(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return *record* as GELF; never raises."""
    made, rest = _PLACES.spread(record)
    encoded: dict[str, Any] = {
        "version": VERSION,
        "host": made.pop("host", BLANK),
        "short_message": made.pop("short_message", BLANK),
    }
    if "timestamp" in made:
        encoded["timestamp"] = made.pop("timestamp")
    encoded["level"] = severity.syslog(str(record.get("level")))
    encoded |= made
    fields, renamed = own.named(rest, _fit, _TAKEN)
    texts = []
    for name, value in fields.items():
        if not _is_taken_as_it_is(value):
            value = own.as_json(value)
            texts.append(name)
        encoded[f"_{name}"] = value
    for name, names in ((RENAMED, renamed), (TEXTS, texts)):
        if names:
            encoded[f"_{name}"] = own.as_json(names)
    return encoded


@functools.lru_cache(maxsize=4096)
def _fit(name: str) -> str:
    # What Graylog has of its own begins like this.
    fit = _UNFIT.sub("_", name)
    return f"field_{fit}" if fit.startswith("gl2_") else fit


def _is_taken_as_it_is(value: Any) -> bool:
    kind = type(value)
    return kind in (str, float) or (kind is int and not own.has_number_beyond(_LARGEST, value))


def decode(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record in *found*, or None where it is no GELF."""
    if found.get("version") != VERSION or "short_message" not in found:
        return None
    rest = dict(found)
    record = _PLACES.gather(rest)
    notes = {name: rest.pop(f"_{name}", None) for name in (RENAMED, TEXTS)}
    fields = {name[1:]: value for name, value in rest.items() if name.startswith("_")}
    own.of_json(notes, [RENAMED, TEXTS])
    own.of_json(fields, notes[TEXTS])
    return record | own.unnamed(fields, notes[RENAMED])
