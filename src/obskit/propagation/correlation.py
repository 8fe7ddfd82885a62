"""Decide which correlation ID an operation has, and whether one from outside is fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

from obskit.pattern import Pattern

LONGEST_ID = 128

_ID = Pattern(r"[A-Za-z0-9._:~+/=@-]{1,128}", re.ASCII)
_UNFIT = Pattern(r"[^A-Za-z0-9._:~+/=@-]", re.ASCII)
_AMAZON_ROOT = Pattern(r"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})\s*(?:;|$)", re.ASCII)
_B3_TRACE = Pattern(r"[0-9a-f]{16}|[0-9a-f]{32}", re.ASCII)
_LONGEST_AMAZON = 512


def is_valid(text: str) -> bool:
    """Tell whether *text* may be a correlation ID: 1 to 128 harmless ASCII characters."""
    return _ID.fullmatch(text) is not None


def why_invalid(text: str) -> str:
    """Name the reason for which *text* is no correlation ID: empty, too_long, characters."""
    if not text:
        return "empty"
    return "too_long" if len(text) > LONGEST_ID else "characters"


def fit(text: str) -> str:
    """Return *text* made fit to travel: unfit characters become hyphens, the end is cut."""
    if not text or (text.isascii() and text.isalnum()):
        return text[:LONGEST_ID]
    return _UNFIT.sub("-", text[:LONGEST_ID])


def foreign_trace_id(headers: Mapping[str, str]) -> str | None:
    """Return the trace ID that an X-Ray or a lone B3 header names, as 32 hexadecimal digits."""
    digits = ""
    if amazon := headers.get("x-amzn-trace-id"):
        if match := _AMAZON_ROOT.search(amazon[:_LONGEST_AMAZON]):
            digits = match[1] + match[2]
    if not digits and (lone := headers.get("x-b3-traceid")):
        if _B3_TRACE.fullmatch(lone):
            digits = lone.rjust(32, "0")
    return digits if digits.strip("0") else None


def next_best(
    refused: str | None,
    headers: Mapping[str, str],
    carried: str | None,
    trace_id: str | None,
) -> tuple[str | None, str, str | None]:
    """Return the ID where the header of its own has none that is fit, and where it stood.

    Also return why the first unfit one was refused, be it the header's (*refused*) or a later
    one. *carried* is what our baggage says, *trace_id* that of the sender's span.
    """
    invalid = None if refused is None else why_invalid(refused)
    for text, origin in ((carried, "baggage"), (headers.get("x-request-id"), "request_id")):
        if text is None:
            continue
        if is_valid(text):
            return text, origin, invalid
        invalid = invalid or why_invalid(text)
    if trace_id is None:
        trace_id = foreign_trace_id(headers)
    if trace_id is not None:
        return trace_id, "trace", invalid
    return None, "invalid" if invalid else "", invalid
