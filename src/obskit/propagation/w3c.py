"""Read and write ``traceparent``, ``tracestate`` and ``baggage`` (W3C, level 2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from obskit.context import RANDOM, SAMPLED

MOST_TRACESTATE_MEMBERS = 32
MOST_BAGGAGE_MEMBERS = 64
LONGEST_BAGGAGE = 8192
OWN_PREFIX = "obskit."

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_TRACESTATE_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
# What a baggage member may not hold: it would break out of the header or the list.
_UNSAFE_BAGGAGE = re.compile(r"[^\x20-\x7e]")


class Traceparent(NamedTuple):
    """What a ``traceparent`` says: the trace, the sender's span, the two known flags."""

    trace_id: str
    span_id: str
    flags: int


def parse_traceparent(text: str) -> Traceparent | None:
    """Return what *text* says, or None where the header is to be taken as absent."""
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == "00" and rest is not None:
        return None
    return Traceparent(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM))


def format_traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """Return the version 00 header for a span."""
    return f"00-{trace_id}-{span_id}-0{flags}"


@lru_cache(maxsize=512)
def parse_tracestate(text: str) -> str:
    """Return *text* in its shortest form, or nothing where the standard discards it.

    The first of several members with one key stays.
    """
    members: dict[str, str] = {}
    for item in text.split(","):
        item = item.strip(" \t")
        if not item:
            continue
        match = _TRACESTATE_MEMBER.fullmatch(item)
        if match is None:
            return ""
        members.setdefault(match[1], match[2])
    if len(members) > MOST_TRACESTATE_MEMBERS:
        return ""
    return ",".join(f"{key}={value}" for key, value in members.items())


def split_baggage(text: str) -> tuple[dict[str, str], str]:
    """Split a baggage header into our own entries and the rest that travels on.

    The rest is bounded by the standard's limits; whole members are dropped at its end.
    """
    own: dict[str, str] = {}
    if OWN_PREFIX not in text:
        return own, bounded_baggage(text)
    others = []
    for item in text.split(","):
        key, _, value = item.partition("=")
        key = key.strip(" \t")
        if key.startswith(OWN_PREFIX):
            own.setdefault(key[len(OWN_PREFIX) :], value.partition(";")[0].strip(" \t"))
        else:
            others.append(item)
    return own, bounded_baggage(",".join(others))


def bounded_baggage(text: str) -> str:
    """Return the members of *text* that fit the standard's limits and are safe to send."""
    text = text.strip(" \t,")
    if not text:
        return ""
    if (
        len(text) <= LONGEST_BAGGAGE
        and text.count(",") < MOST_BAGGAGE_MEMBERS
        and not _UNSAFE_BAGGAGE.search(text)
    ):
        return text
    members: list[str] = []
    size = -1
    for item in text[: 2 * LONGEST_BAGGAGE].split(",")[:-1]:
        item = item.strip(" \t")
        size += len(item) + 1
        if len(members) == MOST_BAGGAGE_MEMBERS or size > LONGEST_BAGGAGE:
            break
        if item and not _UNSAFE_BAGGAGE.search(item):
            members.append(item)
    return ",".join(members)
