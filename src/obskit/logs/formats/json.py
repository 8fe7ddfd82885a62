"""Make the constant pieces of a line of JSON, as text that is ready to be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from obskit.context import PROCESS, Context, Unit
from obskit.logs import levels

dumps = orjson.dumps
loads = orjson.loads
NEWLINE = orjson.OPT_APPEND_NEWLINE

LONGEST_CONSTANT = 256
MOST_PIECES = 4096


def piece(fields: Mapping[str, Any]) -> str:
    """Return *fields* without braces, with a comma before each."""
    return "," + dumps(fields)[1:-1].decode() if fields else ""


def behind(line: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return the object in *line*, which has its newline, with *fields* behind its own."""
    comma = b"," if fields and len(line) > 3 else b""
    return line[:-2] + comma + dumps(fields, None, NEWLINE)[1:]


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


def _logger(name: str) -> str:
    return piece({"logger": encodable(str(name))})


after_time = LevelPieces()
"""By level: what stands between the microseconds and the message."""

logger = Pieces(_logger)
"""By name: the field of the logger."""


def unit(context: Context) -> str:
    """Return where the lines of *context* belong."""
    unit = context.unit
    # The first line of each request waits for this: a dictionary would take much longer.
    if not unit.harmless:
        if unit is PROCESS:
            return piece({"scope": "process"})
        if not _is_fit(unit, context.span_id):
            return _unit_with_care(context)
    cause, caller = unit.causation_id, unit.caller
    cause = f'"causation_id":"{cause}",' if cause else ""
    caller = f',"caller":"{caller}"' if caller else ""
    return (
        f',"correlation_id":"{unit.correlation_id}","correlation_source":'
        f'"{unit.correlation_source}",{cause}"trace_id":"{unit.trace_id}",'
        f'"span_id":"{context.span_id}","hop":{unit.hop}{caller}'
    )


def _is_fit(unit: Unit, span: str) -> bool:
    """Tell whether all that says where lines belong is there, and may stand as it is."""
    correlation, source, trace = unit.correlation_id, unit.correlation_source, unit.trace_id
    text = f"{correlation}{source}{trace}{span}{unit.causation_id}{unit.caller}"
    return (
        text.isascii()
        and len(text) <= LONGEST_CONSTANT
        and (text.isalnum() or is_harmless(text))
        and bool(correlation and source and trace and span)
    )


def is_harmless(text: str) -> bool:
    """Tell whether *text*, which is ASCII, may stand between quotes as it is."""
    return text.isprintable() and '"' not in text and "\\" not in text


def _unit_with_care(context: Context) -> str:
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
