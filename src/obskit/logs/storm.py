"""Write the first of many lines that say the same, then each so-many-th, and count the others.

Lines say the same if logger and level are the same, and what they were made of: the message
before its arguments are put in, digits aside. What is written and what is counted add up to what
was logged.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Mapping
from threading import RLock
from time import monotonic
from typing import Any

from obskit import clock, health
from obskit.logs import pipeline

MOST_KEYS = 4096
WINDOW_SECONDS = 1.0
# What was suppressed before so long is said, if no line of its kind came since.
SILENT_SECONDS = 1.0
LONGEST_TEMPLATE = 300
LOGGER, WARNING = "obskit", 30
NEVER = 2**62
_NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))

Gate = Callable[[int, str, Any, Mapping[str, Any]], Mapping[str, Any] | None]


class Kind:
    """Lines that say the same: how many came in this second, and how many wait to be told of."""

    __slots__ = ("count", "each", "first", "gone", "logger", "message", "suppressed", "until")

    def __init__(self, logger: str, message: str, first: int, each: int) -> None:
        self.logger = logger
        self.message = message
        self.first = first
        self.each = each
        self.count = 0
        self.suppressed = 0
        self.until = 0.0
        self.gone = False


# By level, logger and what the message was made of: as it came, and without digits.
_known: dict[tuple[int, str, Any], Kind] = {}
_kinds: dict[tuple[int, str, str], Kind] = {}
_lock = RLock()
_first = _each = 0
_exempt: tuple[str, ...] = ()
_raging = False
_told_at = _swept_at = 0.0


def configure(rate: str, durable: tuple[str, ...]) -> None:
    """Let lines through at *rate*: ``N/M``, or nothing for all of them.

    Args:
        rate: The first N of a second are written, then each Mth.
        durable: Names of loggers, as in the setting, that are never suppressed, and of all
            below them.
    """
    global _first, _each, _exempt
    forget()
    _exempt = (LOGGER, *(item.partition("=")[0].strip() for item in durable))
    if rate:
        first, _, each = rate.partition("/")
        _first, _each = int(first), int(each)
        pipeline.gate = _gate if clock.ATOMIC else _locked_gate
        pipeline.each_tenth = tell


def forget() -> None:
    """Let all lines through, and say what was suppressed so far."""
    global _raging, _first
    pipeline.gate = pipeline.each_tenth = None
    with _lock:
        _first, _raging = 0, False
        kinds = list(_kinds.values())
        _known.clear()
        _kinds.clear()
        for kind in kinds:
            kind.gone = True
    for kind in kinds:
        _say(kind)


def _gate(
    level: int, logger: str, template: Any, fields: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the fields of a line that is to be written, None for one that is suppressed."""
    global _raging
    now = monotonic()
    kind = _known.get((level, logger, template)) if type(template) is str else None
    while kind is None or kind.gone:
        kind = _kind(level, logger, template)
        if kind is None:
            return fields
    # From the last look at `gone` to the last store there is no call and no loop that another
    # thread could use to come in between, see `clock`.
    count = 1 if now >= kind.until else kind.count + 1
    if count == 1:
        kind.until = now + WINDOW_SECONDS
    kind.count = count
    first = kind.first
    if count > first and (count - first) % kind.each:
        kind.suppressed += 1
        _raging = True
        return None
    suppressed = kind.suppressed
    if not suppressed:
        return fields
    kind.suppressed = 0
    health.lose("logs", "storm", suppressed)
    return {**fields, "obskit_suppressed": suppressed}


def _locked_gate(
    level: int, logger: str, template: Any, fields: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    with _lock:
        return _gate(level, logger, template, fields)


def _kind(level: int, logger: str, template: Any) -> Kind | None:
    """Return the kind of lines that are made of *template*; None where there are too many."""
    text = template if type(template) is str else f"<{type(template).__qualname__}>"
    short = text[:LONGEST_TEMPLATE]
    key = level, logger, short.translate(_NO_DIGITS)
    with _lock:
        kind = _kinds.get(key)
        if kind is None:
            if not _first:
                return None
            if len(_kinds) >= MOST_KEYS and not _sweep():
                return None
            first = NEVER if _is_exempt(logger) else _first
            kind = _kinds[key] = Kind(logger, short, first, _each)
        if text is template:
            if len(_known) >= MOST_KEYS:
                _known.clear()
            _known[level, logger, text] = kind
    return kind


def _is_exempt(logger: str) -> bool:
    return any(logger == name or logger.startswith(name + ".") for name in _exempt)


def _sweep() -> bool:
    """Forget kinds of which nothing came lately; return whether there is room again."""
    global _swept_at
    now = monotonic()
    if now < _swept_at + SILENT_SECONDS:
        return False
    _swept_at = now
    _known.clear()
    for key, kind in list(_kinds.items()):
        if now >= kind.until and not kind.suppressed:
            kind.gone = True
            del _kinds[key]
    return len(_kinds) < MOST_KEYS


def tell(*, at_last: bool = False) -> None:
    """Say what was suppressed where no line came since that could have said it.

    With *at_last* whatever is unsaid is said: there may be no other time.
    """
    global _raging, _told_at
    now = monotonic()
    if not _raging or (now < _told_at + SILENT_SECONDS and not at_last):
        return
    _told_at, _raging = now, False
    with _lock:
        kinds = list(_kinds.values())
    for kind in kinds:
        if not kind.suppressed:
            continue
        if now < kind.until + SILENT_SECONDS and not at_last:
            _raging = True
        else:
            _say(kind)


def _say(kind: Kind) -> None:
    with _lock:
        suppressed = kind.suppressed
        kind.suppressed = 0
    if not suppressed:
        return
    health.lose("logs", "storm", suppressed)
    if pipeline.is_on() and pipeline.enabled(LOGGER, WARNING):
        fields = {
            "obskit_suppressed": suppressed,
            "obskit_logger": kind.logger,
            "obskit_message": kind.message,
        }
        # It is about the process, whoever's thread this is.
        here = contextvars.Context()
        here.run(pipeline.emit, WARNING, LOGGER, "lines were suppressed", fields)


def _begin_anew() -> None:
    """Leave what was suppressed so far to the parent, after a fork."""
    global _lock, _raging
    _lock = RLock()
    _raging = False
    for kind in list(_kinds.values()):
        kind.suppressed = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
