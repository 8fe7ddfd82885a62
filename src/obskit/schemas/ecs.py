"""The Elastic Common Schema 8.x, as its specification for logging libraries wants it.

The application's fields are labels; objects, which labels may not be, stand in
``obskit.objects``, which the index template maps as ``flattened``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from obskit.schemas import instants, own
from obskit.schemas.placing import Places
from obskit.schemas.spelling import places

VERSION = "8.17.0"
OURS, LABELS, OBJECTS, RENAMED, TEXTS = "obskit", "labels", "objects", "renamed", "json"
# Elastic's own loggers replace these in the names of labels.
_UNFIT = re.compile(r'[.*\\"]')
_FILE = re.compile(r"(.+):(0|[1-9]\d{0,8})", re.ASCII | re.DOTALL)
_SCALARS = (str, int, float, bool, type(None))
# Whose fault it was is in obskit.outcome; ECS asks only whether the service did its work.
OUTCOMES = {
    "ok": "success",
    "client_error": "success",
    "rejected": "failure",
    "timeout": "failure",
    "dependency": "failure",
    "server_error": "failure",
}


def _file(text: str) -> dict[str, Any] | None:
    found = _FILE.fullmatch(text)
    return {"name": found[1], "line": int(found[2])} if found else None


def _of_file(found: Any) -> str | None:
    if isinstance(found, dict) and "name" in found and "line" in found:
        return f"{found['name']}:{found['line']}"
    return None


def _of_nanos(found: Any) -> float | None:
    return instants.milliseconds(found) if type(found) in (int, float) else None


def _time(text: str) -> str | None:
    return text if instants.micros(text) is not None else None


_PLACES = Places(
    places("ecs"),
    {
        "timestamp": (_time, lambda found: found),
        "duration_ms": (instants.nanos, _of_nanos),
        "warning_at": (_file, _of_file),
    },
)


def encode(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return *record* in ECS; never raises."""
    made, rest = _PLACES.spread(record)
    first: dict[str, Any] = {
        name: made.pop(name) for name in ("@timestamp", "log.level", "message") if name in made
    }
    encoded: dict[str, Any] = {**first, "ecs.version": VERSION, **made}
    ours = encoded.setdefault(OURS, {})
    outcome = ours.get("outcome")
    if outcome is not None:
        encoded.setdefault("event", {})["outcome"] = OUTCOMES.get(outcome, "unknown")
    if rest:
        _add(encoded, ours, rest)
    return encoded


def _add(encoded: dict[str, Any], ours: dict[str, Any], rest: dict[str, Any]) -> None:
    """Add the application's fields."""
    made, renamed = own.named(rest, _fit, ())
    labels: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    texts: list[str] = []
    for name, value in made.items():
        if _is_label(value):
            labels[name] = value
        elif _is_object(value):
            objects[name] = value
        else:
            labels[name] = own.as_json(value)
            texts.append(name)
    notes = {OBJECTS: objects, RENAMED: renamed, TEXTS: texts}
    ours |= {key: value for key, value in notes.items() if value}
    if labels:
        encoded[LABELS] = labels


@functools.lru_cache(maxsize=4096)
def _fit(name: str) -> str:
    return _UNFIT.sub("_", name) if name.strip() else "_"


def _is_label(value: Any) -> bool:
    return isinstance(value, _SCALARS) or (
        isinstance(value, list) and all(isinstance(item, _SCALARS) for item in value)
    )


def _is_object(value: Any) -> bool:
    """Tell whether Elasticsearch takes all keys that are somewhere in *value*."""
    if isinstance(value, list):
        return all(map(_is_object, value))
    if isinstance(value, dict):
        return all(key.strip() and "\0" not in key for key in value) and all(
            map(_is_object, value.values())
        )
    return True


def decode(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record in *found*, also where an agent has made objects of dotted names."""
    nested = _nested(found)
    ours = nested.get(OURS)
    if not isinstance(ours, dict):
        return None
    log = nested.get("log")
    if isinstance(log, dict) and "level" in log:
        nested["log.level"] = log.pop("level")
    record = _PLACES.gather(nested)
    labels, objects = nested.get(LABELS), ours.get(OBJECTS)
    fields = {**(labels if isinstance(labels, dict) else {})}
    own.of_json(fields, ours.get(TEXTS))
    fields |= objects if isinstance(objects, dict) else {}
    return record | own.unnamed(fields, ours.get(RENAMED))


def _nested(found: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return *found* with objects where it has dots in names, but not in the application's."""
    if path in ((LABELS,), (OURS, OBJECTS)) or len(path) > 4:
        return dict(found)
    made: dict[str, Any] = {}
    for name, value in found.items():
        *parents, key = name.split(".")
        here: Any = made
        for parent in parents:
            here = here.setdefault(parent, {})
            if not isinstance(here, dict):
                break
        else:
            if isinstance(value, dict):
                value = _nested(value, (*path, *parents, key))
                if isinstance(here.get(key), dict):
                    here[key] |= value
                    continue
            here[key] = value
    return made
