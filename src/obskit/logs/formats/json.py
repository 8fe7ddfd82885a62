"""Make the constant pieces of a line of JSON, as bytes that are ready to be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from obskit.context import PROCESS, Context
from obskit.logs import levels

dumps = orjson.dumps
loads = orjson.loads
NEWLINE = orjson.OPT_APPEND_NEWLINE

LONGEST_CONSTANT = 256
MOST_PIECES = 4096


def piece(fields: Mapping[str, Any]) -> bytes:
    """Return *fields* without braces, with a comma before each."""
    return b"," + dumps(fields)[1:-1] if fields else b""


def encodable(text: str) -> str:
    """Return *text* fit for JSON and for a line, as constants must be."""
    return text[:LONGEST_CONSTANT].encode("utf-8", "backslashreplace").decode()


class Pieces(dict[Any, Any]):
    """Make a piece when it is asked for the first time; forget all when there are too many."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        if len(self) >= MOST_PIECES:
            self.clear()
        made = self[key] = self._make(key)
        return made


class LevelPieces(dict[int, str]):
    """Make what stands between the microseconds and the message, by level."""

    def __missing__(self, level: int) -> str:
        made = _after_time(level)
        # A level that has no name yet may get one.
        if level in levels.NAMES:
            self[level] = made
        return made


def _after_time(level: int) -> str:
    return f'Z","level":{dumps(encodable(levels.name_of(level))).decode()},"message":'


def _logger(name: str) -> bytes:
    return piece({"logger": encodable(str(name))})


after_time = LevelPieces()
"""By level: what stands between the microseconds and the message."""

logger = Pieces(_logger)
"""By name: the field of the logger."""


def unit(context: Context) -> bytes:
    """Return where the lines of *context* belong."""
    unit = context.unit
    if unit is PROCESS:
        return piece({"scope": "process"})
    cause, caller = unit.causation_id or "", unit.caller or ""
    ids = unit.correlation_id, unit.correlation_source, unit.trace_id, context.span_id
    text = "".join((*ids, cause, caller))
    if not all(ids) or len(text) > LONGEST_CONSTANT or not is_harmless(text):
        return _unit_with_care(context)
    # The first line of each request waits for this: a dictionary would take twice as long.
    cause = cause and f'"causation_id":"{cause}",'
    caller = caller and f',"caller":"{caller}"'
    return (
        f',"correlation_id":"{ids[0]}","correlation_source":"{ids[1]}",{cause}'
        f'"trace_id":"{ids[2]}","span_id":"{ids[3]}","hop":{unit.hop}{caller}'
    ).encode()


def is_harmless(text: str) -> bool:
    """Tell whether *text* may stand between quotes as it is."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _unit_with_care(context: Context) -> bytes:
    """Return where lines belong, whatever the values are; what is empty is left out."""
    unit = context.unit
    fields = {
        "correlation_id": unit.correlation_id,
        "correlation_source": unit.correlation_source,
        "causation_id": unit.causation_id,
        "trace_id": unit.trace_id,
        "span_id": context.span_id,
        "hop": unit.hop,
        "caller": unit.caller,
    }
    return piece(
        {
            name: encodable(value) if isinstance(value, str) else value
            for name, value in fields.items()
            if value not in (None, "")
        }
    )
