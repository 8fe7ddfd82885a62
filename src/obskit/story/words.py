"""Put values of logs into words that a terminal can show: logs are data of strangers."""

from __future__ import annotations

import re
from typing import Any

from obskit.story.clocks import Offset
from obskit.story.units import Unit

# Control characters, line ends of all kinds, and what turns the direction of writing.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(value: Any) -> str:
    """Return *value* as text on one line that moves no cursor."""
    return _UNSAFE.sub(_visible, value if isinstance(value, str) else str(value))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "⏎" if match[0] == "\n" else chr(0x2400 + code) if code < 32 else "�"


def cut(text: str, width: int) -> str:
    """Return *text* with at most *width* characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def milliseconds(value: Any) -> str:
    """Return a duration from a line in words, nothing if it is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return ""
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def ending(unit: Unit) -> str:
    """Return how a unit of work ended: outcome, status and duration."""
    if unit.outcome is None:
        return "no last line"
    status = unit.said("http_response_status_code")
    parts = (clean(unit.outcome), clean(status or ""), milliseconds(unit.said("duration_ms")))
    return ", ".join(filter(None, parts))


def offset(item: Offset, several_hosts: bool) -> str:
    """Return by how much a clock is off, as in ``warehouse is 42.0 s behind invoice (±30 ms)``."""
    names = [
        f"{service} on {host}" if several_hosts else service
        for service, host in (item.clock, item.reference)
    ]
    if item.least > float("-inf") and item.most < float("inf"):
        middle, half = (item.least + item.most) / 2, (item.most - item.least) / 2
        far, bound = f"{_seconds(abs(middle))}", f" (±{_seconds(half)})"
    else:
        middle = item.least if item.least > 0 else item.most
        far, bound = f"at least {_seconds(abs(middle))}", ""
    side = "ahead of" if middle > 0 else "behind"
    return clean(f"{names[0]} is {far} {side} {names[1]}{bound}")


def _seconds(value: float) -> str:
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.2f} h"
