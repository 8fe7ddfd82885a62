"""Write times and durations in the units of other schemas, and back, where nothing gets lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_LATENCY = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_LONGEST_MS = 1e12


def micros(text: str) -> int | None:
    """Return the time of a line in microseconds since 1970; None where it is no such time."""
    if _TEXT.fullmatch(text) is None:
        return None
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except ValueError:  # such as the 30th of February
        return None


def text(micros: int) -> str | None:
    """Return *micros*, microseconds since 1970, as it stands on a line."""
    try:
        when = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def nanos(milliseconds: float) -> int | None:
    """Return *milliseconds* in nanoseconds; None where they would not be the same."""
    if not 0 <= milliseconds < _LONGEST_MS:
        return None
    found = round(milliseconds * 1_000_000)
    return found if found / 1_000_000 == milliseconds else None


def milliseconds(nanos: float) -> float:
    """Return *nanos*, nanoseconds, in milliseconds."""
    return nanos / 1_000_000


def latency(milliseconds: float) -> str | None:
    """Return *milliseconds* as Google writes a duration, such as ``0.0125s``."""
    found = nanos(milliseconds)
    if found is None:
        return None
    seconds, rest = divmod(found, 1_000_000_000)
    return f"{seconds}.{rest:09d}".rstrip("0").rstrip(".") + "s"


def of_latency(text: str) -> float | None:
    """Return the milliseconds in what `latency` has written."""
    found = _LATENCY.fullmatch(text)
    if found is None:
        return None
    return milliseconds(int(found[1]) * 1_000_000_000 + int((found[2] or "").ljust(9, "0")))
