"""Show lines to people: time, level, message, who said it, and the fields that matter there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from obskit import health

Line = dict[str, Any]
Render = Callable[[Line], str]

# What is the same on all lines of a terminal, or serves machines only.
_HIDDEN = (
    "timestamp level message logger service version env host pid pod namespace node scope"
    " correlation_id correlation_source causation_id trace_id span_id parent_span_id hop caller"
    " lc lc_at lc_hop lc_broken lc_after lc_seen schema obskit_version"
    " error_type error_message error_fingerprint error_stack stack"
)
HIDDEN = frozenset(_HIDDEN.split())
SHORT_ID = 8
MESSAGE_WIDTH, LEVEL_WIDTH = 30, 9
OURS = "obskit"

# Controls, and what turns the direction of text around: nobody may write over a line.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNSAFE_BUT_NEWLINE = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_NEEDS_QUOTES = re.compile("[\\s=\"']|^$")


def renderer(colours: bool) -> Render:
    """Return what makes text of a line, through structlog's console renderer if it is there.

    It is imported with the first line of the application, as it takes its time; obskit's own
    lines before that are written without.
    """
    plain = _plain
    structlogs: Render | None = None

    def render(line: Line) -> str:
        nonlocal structlogs
        if structlogs is None and (line.get("logger") != OURS or "structlog" in sys.modules):
            structlogs = _through_structlog(colours) or plain
        event = _event(line)
        try:
            text = (structlogs or plain)(event)
        except Exception as error:
            health.internal_error("logs.console", error)
            text = plain(event)
        return text + _below(line) + "\n"

    return render


def _through_structlog(colours: bool) -> Render | None:
    try:
        from structlog.dev import ConsoleRenderer, plain_traceback

        console = ConsoleRenderer(
            colors=colours, sort_keys=False, exception_formatter=plain_traceback
        )
    except Exception as error:  # such as a version that is too new
        health.internal_error("logs.console", error)
        return None
    return lambda event: console(None, "", dict(event))


def _plain(event: Mapping[str, Any]) -> str:
    rest = dict(event)
    head = (
        f"{rest.pop('timestamp')} [{rest.pop('level'):<{LEVEL_WIDTH}}] "
        f"{rest.pop('event'):<{MESSAGE_WIDTH}} [{rest.pop('logger')}]"
    )
    return " ".join((head, *(f"{name}={value!r}" for name, value in rest.items())))


class _Shown:
    """A value as it is to be shown: versions of structlog differ in when they quote."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = repr(text) if _NEEDS_QUOTES.search(text) else text

    def __repr__(self) -> str:
        return self._text


def _event(line: Line) -> Line:
    """Return what is shown on the line itself, safe for a terminal."""
    event: Line = {
        "timestamp": _time(line["timestamp"]),
        "level": safe(line["level"]),
        "event": safe(line["message"]),
        "logger": safe(line["logger"]),
    }
    if "correlation_id" in line:
        event["correlation_id"] = _Shown(safe(line["correlation_id"][:SHORT_ID]))
    for name, value in line.items():
        if name not in HIDDEN:
            shown = safe(name)
            event[f"field_{shown}" if shown in event else shown] = _value(value)
    return event


def _time(timestamp: str) -> str:
    """Return the time of the day, as the clock on the wall says it."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _Shown(safe(value))
    if isinstance(value, (dict, list)):
        return _Shown(safe(json.dumps(value, ensure_ascii=False)))
    return value


def _below(line: Line) -> str:
    """Return the stacks, which stand below the line."""
    parts = [line[name] for name in ("stack", "error_stack") if isinstance(line.get(name), str)]
    text = "\n".join(_UNSAFE_BUT_NEWLINE.sub(_escaped, part) for part in parts)
    return "".join(f"\n  {part}" for part in text.split("\n")) if text else ""


def safe(text: object) -> str:
    """Return *text* with all that a terminal obeys to written out."""
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
