"""Read the event dicts of structlog: what its processors have put there has a place on a line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from obskit.logs import exceptions
from obskit.logs.exceptions import Description

LEVELS = {
    "notset": 0,
    "debug": 10,
    "info": 20,
    "msg": 20,
    "log": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "err": 40,
    "failure": 40,
    "exception": 40,
    "critical": 50,
    "fatal": 50,
}
# Under these names processors put what a line has anyway.
MADE = ("timestamp", "level", "logger")
MESSAGE_KEYS = ("event", "message", "msg")
PRIVATE = ("_logger", "_name", "_record", "_from_structlog")


class Event(NamedTuple):
    """What an event dict says."""

    message: object
    fields: dict[str, Any]
    level: int | None
    logger: str | None
    error: BaseException | Description | None
    stack: str | None


def read(event: Mapping[str, Any], given: Mapping[str, Any], error: BaseException | None) -> Event:
    """Return what *event* says.

    Args:
        event: What came out of the processors before the last one; it is not changed.
        given: What the caller has bound and passed: where a processor has overwritten it
            with something that a line has anyway, it is kept.
        error: The exception that the caller has passed, if it is known.
    """
    fields = dict(event)
    message = next((fields.pop(key) for key in MESSAGE_KEYS if key in fields), "")
    made = {name: fields.pop(name, None) for name in MADE}
    fields.update((name, given[name]) for name in MADE if name in given)
    for name in PRIVATE:
        fields.pop(name, None)
    passed = _passed(fields.pop("exc_info", None))
    known: BaseException | Description | None = error or passed
    if "exception" in fields and "exception" not in given:
        known = _rendered(fields, known)
    stack = fields.pop("stack") if _is_made(fields, given, "stack") else None
    level = made["level"] if "level" not in given else None
    logger = made["logger"] if "logger" not in given else None
    return Event(
        message,
        fields,
        LEVELS.get(level.lower()) if isinstance(level, str) else None,
        logger if isinstance(logger, str) else None,
        known,
        stack,
    )


def _is_made(fields: Mapping[str, Any], given: Mapping[str, Any], name: str) -> bool:
    return name not in given and isinstance(fields.get(name), str)


def _passed(exc_info: Any) -> BaseException | None:
    """Return the exception that stands in ``exc_info``."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        value = exc_info[1] if len(exc_info) > 1 else None
        return value if isinstance(value, BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def passed(event: Mapping[str, Any]) -> BaseException | None:
    """Return the exception that a caller has passed, before any processor makes text of it."""
    exc_info = event.get("exc_info")
    return None if exc_info is None else _passed(exc_info)


def _rendered(
    fields: dict[str, Any], known: BaseException | Description | None
) -> BaseException | Description | None:
    """Take the exception as a processor has rendered it; a line renders it itself."""
    rendered = fields.pop("exception")
    if known is None and isinstance(rendered, str):
        known = exceptions.of_text(rendered)
    if known is None:
        # Lists of frames may hold the values of variables.
        fields["exception"] = _without_locals(rendered)
    return known


def _without_locals(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_locals(item) for key, item in value.items() if key != "locals"}
    if isinstance(value, list):
        return [_without_locals(item) for item in value]
    return value
