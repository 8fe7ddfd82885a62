"""Make canonical lines of what other programs write: JSON of their own, or text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from obskit import schemas

_TIMES = ("timestamp", "@timestamp", "time", "ts")
_LEVELS = ("level", "severity", "levelname", "log.level")
_MESSAGES = ("message", "msg", "event")
_WORDS = {"warn": "warning", "err": "error", "fatal": "critical", "trace": "debug"}
LOGGER = "stdin"


def adopted(line: bytes, facts: Mapping[str, str]) -> bytes:
    """Return *line* as a canonical one; a line of ours stays as it is, byte by byte.

    Args:
        line: What a program has written, without its newline.
        facts: Service, version, env and host, for lines that do not say whose they are.
    """
    try:
        found = orjson.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return _dumped({"message": line.decode("utf-8", "replace").rstrip("\r")}, facts)
    if line.startswith(b'{"timestamp":"') and _is_time(found["timestamp"]) and "level" in found:
        return line
    return _dumped(schemas.recognised(found) or found, facts)


def _dumped(found: dict[str, Any], facts: Mapping[str, str]) -> bytes:
    rest = dict(found)
    level = str(_taken(rest, _LEVELS) or "info").lower()
    record = {
        "timestamp": _time(rest),
        "level": _WORDS.get(level, level),
        "message": _text(_taken(rest, _MESSAGES)),
        "logger": _text(rest.pop("logger", LOGGER)),
    }
    record |= {name: value for name, value in facts.items() if value and name not in rest}
    return orjson.dumps(record | rest, None, orjson.OPT_NON_STR_KEYS)


def _taken(found: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Take the first of *names* that is there out of *found*."""
    for name in names:
        if isinstance(found.get(name), (str, int)):
            return found.pop(name)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _time(found: dict[str, Any]) -> str:
    for name in _TIMES:
        if name in found:
            when = _instant(found[name])
            if when is not None:
                del found[name]
                return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"
    if "timestamp" in found:
        found["field_timestamp"] = found.pop("timestamp")
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _instant(value: Any) -> datetime | None:
    """Return the time that *value* is: a text of ISO 8601 with its zone, or seconds since 1970."""
    try:
        if isinstance(value, str):
            when = datetime.fromisoformat(value)
            return when.astimezone(UTC) if when.tzinfo else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and value[10:11] == "T" and value[-1:] == "Z"
