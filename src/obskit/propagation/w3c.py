"""Read and write ``traceparent``, ``tracestate`` and ``baggage`` (W3C, level 2)."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from obskit import clock
from obskit.context import RANDOM, SAMPLED
from obskit.pattern import Pattern
from obskit.propagation.correlation import is_valid
from obskit.record import Record

MOST_TRACESTATE_MEMBERS = 32
LONGEST_TRACESTATE = 4096
LARGE_TRACESTATE_MEMBER = 128

# The standard has platforms carry 64 members and 8192 bytes; ours are among them.
MOST_BAGGAGE_MEMBERS = 64
LONGEST_BAGGAGE = 8192
MOST_OWN_MEMBERS = 9
LONGEST_OWN = 511
MOST_FOREIGN_MEMBERS = MOST_BAGGAGE_MEMBERS - MOST_OWN_MEMBERS
LONGEST_FOREIGN = LONGEST_BAGGAGE - LONGEST_OWN - 1
OWN_PREFIX = "obskit."

_TRACEPARENT = Pattern(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
# What everybody sends, read in one go.
_PLAIN = r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
_PLAIN_TRACEPARENT = Pattern(_PLAIN, re.ASCII)
_TRACESTATE_MEMBER = Pattern(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_BAGGAGE_MEMBER = Pattern(
    rf"{_TOKEN}[ \t]*=[ \t]*{_VALUE}(?:[ \t]*;[ \t]*{_TOKEN}(?:[ \t]*=[ \t]*{_VALUE})?)*"
)


class Traceparent(Record):
    """What a ``traceparent`` says: the trace, the sender's span, the two known flags."""

    trace_id: str
    span_id: str
    flags: int


def read_traceparent(text: str) -> tuple[str, str, int] | tuple[None, None, None]:
    """Return what `parse_traceparent` does, as a plain tuple: each request waits for this."""
    match = _PLAIN_TRACEPARENT.fullmatch(text)
    if match is None:
        return _read_with_care(text) or (None, None, None)
    trace_id, span_id, flags = match.groups()
    return trace_id, span_id, 1 if flags == "01" else int(flags, 16) & (SAMPLED | RANDOM)


def parse_traceparent(text: str) -> Traceparent | None:
    """Return what *text* says, or None where the header is to be taken as absent."""
    found = read_traceparent(text)
    return None if found[0] is None else Traceparent(*found)


def _read_with_care(text: str) -> tuple[str, str, int] | None:
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == "00" and rest is not None:
        return None
    return trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM)


def format_traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """Return the version 00 header for a span."""
    return f"00-{trace_id}-{span_id}-0{flags & 3}"


@lru_cache(maxsize=256)
def parse_tracestate(text: str) -> str:
    """Return *text* in its shortest form, or nothing where the standard discards it.

    The first of several members with one key stays. What is too long loses large members
    first, then the last ones.
    """
    members: dict[str, str] = {}
    items = [item for part in text.split(",") if (item := part.strip(" \t"))]
    if len(items) > MOST_TRACESTATE_MEMBERS:
        return ""
    for item in items:
        match = _TRACESTATE_MEMBER.fullmatch(item)
        if match is None:
            return ""
        members.setdefault(match[1], item)
    kept = list(members.values())
    if len(text) > LONGEST_TRACESTATE:
        kept = [item for item in kept if len(item) <= LARGE_TRACESTATE_MEMBER]
    return _joined(kept, LONGEST_TRACESTATE)


def _joined(members: list[str], longest: int) -> str:
    """Return the first *members* that fit into *longest* characters, commas included."""
    size = -1
    for count, member in enumerate(members):
        size += len(member) + 1
        if size > longest:
            return ",".join(members[:count])
    return ",".join(members)


# What obskit itself writes, and nothing else: read in one go.
_OWN = (
    r"obskit\.correlation=([A-Za-z0-9._:~+/=@-]{1,128}),obskit\.hop=([0-9]{1,6})"
    r",obskit\.causation=([0-9a-f]{16})(?:,obskit\.caller=([A-Za-z0-9._:~+/=@-]{1,128}))?"
    r"(?:,obskit\.synthetic=([A-Za-z0-9._:~+/=@-]{1,128}))?"
    r"(?:,obskit\.born=([0-9a-z]{1,10}))?(?:,obskit\.sent=([0-9a-z]{1,10}))?"
)
_OWN_ALONE = Pattern(_OWN + r"(?:,obskit\.cause=([0-9a-z.~-]{1,256}))?", re.ASCII)
ALL_OURS = Pattern(
    rf"{_PLAIN} {clock.PLAIN} {_OWN}(?:,obskit\.cause=[0-9a-z.~-]{{1,256}})?", re.ASCII
)
"""The traceparent, the clock and the baggage that obskit writes, with spaces between them."""

_TIME = Pattern(r"[0-9a-z]{1,10}", re.ASCII)

# Our own entries, as far as they are there: correlation (which may be unfit), hop, causation,
# caller, synthetic, born, sent, cause, debug.
OwnFields = tuple[
    str | None, str | None, str | None, str | None,
    str | None, str | None, str | None, str | None, str | None,
]  # fmt: skip


def read_baggage(text: str) -> tuple[OwnFields, str]:
    """Return our own entries and the rest that travels on, as `split_baggage` does."""
    match = _OWN_ALONE.fullmatch(text)
    if match is not None:
        return (*match.groups(), None), ""  # type: ignore[return-value]
    own, others = split_baggage(text)
    hop = own.get("hop", "")
    return (
        own.get("correlation"),
        hop if len(hop) <= 6 and hop.isascii() and hop.isdigit() else None,
        _fit(own.get("causation")),
        _fit(own.get("caller")),
        _fit(own.get("synthetic")),
        _time(own.get("born")),
        _time(own.get("sent")),
        own.get("cause"),
        own.get("debug"),
    ), others


def _fit(name: str | None) -> str | None:
    return name if name and is_valid(name) else None


def _time(digits: str | None) -> str | None:
    return digits if digits and _TIME.fullmatch(digits) else None


def split_baggage(text: str) -> tuple[dict[str, str], str]:
    """Split a baggage header into our own entries, decoded, and the rest that travels on.

    The rest is bounded so that ours and theirs together are within the standard's limits;
    whole members are dropped at its end, and those that are none.
    """
    own: dict[str, str] = {}
    others: list[str] = []
    for part in text[: 2 * LONGEST_BAGGAGE].split(","):
        item = part.strip(" \t")
        if item.startswith(OWN_PREFIX):
            key, _, value = item.partition("=")
            own.setdefault(key[len(OWN_PREFIX) :].rstrip(" \t"), _own_value(value))
        elif item and _BAGGAGE_MEMBER.fullmatch(item):
            others.append(item)
    if len(text) > 2 * LONGEST_BAGGAGE and others:
        others.pop()
    return own, _joined(others[:MOST_FOREIGN_MEMBERS], LONGEST_FOREIGN)


def _own_value(text: str) -> str:
    text = text.partition(";")[0].strip(" \t")
    return unquote(text) if "%" in text and len(text) <= LONGEST_OWN else text
