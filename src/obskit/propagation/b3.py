"""Read and write B3, Zipkin's own headers: ``b3`` (single) and ``X-B3-*`` (multi)."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from obskit.context import DEBUG, SAMPLED
from obskit.pattern import Pattern
from obskit.record import Record

_SINGLE = Pattern(
    r"([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?", re.ASCII
)
_TRACE = Pattern(r"[0-9a-f]{16}|[0-9a-f]{32}", re.ASCII)
_SPAN = Pattern(r"[0-9a-f]{16}", re.ASCII)
_STATES = {
    "0": 0,
    "false": 0,
    "1": SAMPLED,
    "true": SAMPLED,
    "d": SAMPLED | DEBUG,
}


class B3(Record):
    """What B3 headers say: the trace, the sender's span, the decision on sampling.

    Ids may be empty (a decision without a trace); *flags* is None where the sender leaves
    the decision to the receiver.
    """

    trace_id: str
    span_id: str
    flags: int | None


def parse(headers: Mapping[str, str]) -> B3 | None:
    """Return what the single header says, else what the multiple ones say."""
    single = headers.get("b3")
    return (_parse_single(single) if single else None) or _parse_multi(headers)


def parent(headers: Mapping[str, str]) -> tuple[str | None, str | None, int | None]:
    """Return the span that B3 names, and the decision on sampling where one was made."""
    found = parse(headers)
    if found is None:
        return None, None, None
    return found.trace_id or None, found.span_id or None, found.flags


def with_debug(headers: Mapping[str, str], trace_id: str, flags: int | None) -> int | None:
    """Return *flags* with B3's debug where it was set for this trace: traceparent has no word."""
    found = parse(headers)
    if found is None or not found.flags or not found.flags & DEBUG:
        return flags
    return found.flags | (flags or 0) if found.trace_id in ("", trace_id) else flags


def _parse_single(text: str) -> B3 | None:
    if text in ("0", "1", "d"):
        return B3("", "", _STATES[text])
    match = _SINGLE.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id, state = match.groups()
    return _with_ids(trace_id, span_id, None if state is None else _STATES[state])


def _parse_multi(headers: Mapping[str, str]) -> B3 | None:
    sampled = headers.get("x-b3-sampled", "").lower()
    flags = _STATES.get(sampled) if sampled != "d" else None
    if headers.get("x-b3-flags") == "1":
        flags = SAMPLED | DEBUG
    trace_id, span_id = headers.get("x-b3-traceid", ""), headers.get("x-b3-spanid", "")
    if _TRACE.fullmatch(trace_id) and _SPAN.fullmatch(span_id):
        if (found := _with_ids(trace_id, span_id, flags)) is not None:
            return found
    return None if flags is None else B3("", "", flags)


def _with_ids(trace_id: str, span_id: str, flags: int | None) -> B3 | None:
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return B3(trace_id.rjust(32, "0"), span_id, flags)


def single(trace_id: str, span_id: str, flags: int) -> str:
    """Return the value of ``b3`` for a span."""
    state = "d" if flags & DEBUG else "1" if flags & SAMPLED else "0"
    return f"{trace_id}-{span_id}-{state}"


def multi(trace_id: str, span_id: str, flags: int) -> list[tuple[str, str]]:
    """Return the ``X-B3-*`` headers for a span; debug implies sampled and stands alone."""
    state = ("X-B3-Flags", "1") if flags & DEBUG else ("X-B3-Sampled", str(flags & SAMPLED))
    return [("X-B3-TraceId", trace_id), ("X-B3-SpanId", span_id), state]


def written(
    chosen: Container[str], trace_id: str, span_id: str, flags: int
) -> list[tuple[str, str]]:
    """Return the headers for a span, in those of the two forms that are *chosen*."""
    out = [("b3", single(trace_id, span_id, flags))] if "b3" in chosen else []
    return out + multi(trace_id, span_id, flags) if "b3multi" in chosen else out
