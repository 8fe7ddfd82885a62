"""Headers of AMQP messages: a table of names and values of any type, made by anybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from obskit import health, propagation

OURS = "obskit."
SENT = "obskit.sent="
LONG = 1024
LARGE_FRAME = 131_072
MOST_ATTEMPTS = 1_000_000
MOST_NAMES = 1024
NO_ROOM = "no room in the frame of an AMQP message"

# Timestamps before 2001 or after tomorrow are none: milliseconds, random numbers, zeros.
EARLIEST = 1_000_000_000
AHEAD = 86_400

# What stands in a frame beside the table: the other properties, each of them at its longest.
# What an entry has beside its name and its value; what is neither text nor nested.
_OTHERS, _ENTRY, _LONGEST_NAME, _SCALAR = 48 + 13 * 256, 7, 7 + 255, 16
_DEEPEST, _ANY_SIZE = 8, 1 << 40

_log = logging.getLogger("obskit.instrumentation")
_TEXT = {str}
# Names of callers' own headers that were seen, and are in nobody's way.
_apart: set[str] = set()
_apart_since = 0
_told = False


def with_ours(
    headers: Mapping[Any, Any] | None, frame_size: Callable[[], int], at_ns: int = 0
) -> dict[Any, Any]:
    """Return a copy of *headers* in which the running operation stands too, in lower-case names.

    All headers of a message travel in one frame: a small one has no room for long values, and
    what is too long would cost the sender its connection. *frame_size* is 0 where there is no
    bound. The message is sent at *at_ns*, in nanoseconds since 1970, by default now.
    """
    ours = propagation.message(at_ns)
    if not headers:
        table: dict[Any, Any] = ours
    elif _apart_since == propagation.generation and _apart.issuperset(headers):
        table = {**headers, **ours}
    else:
        table = _merged(dict(headers), ours)
    if len(ours.get("baggage", "")) > LONG or "tracestate" in ours:
        longest = max(LONG, (frame_size() or LARGE_FRAME) // 4)
        for name in tuple(ours):
            if len(table[name]) > longest:
                del table[name]
    return table


def _merged(table: dict[Any, Any], ours: dict[str, str]) -> dict[Any, Any]:
    """Put *ours* into *table*, in place of what has the same name however that is spelled."""
    global _apart_since
    if _apart_since != propagation.generation or len(_apart) > MOST_NAMES:
        _apart.clear()
        _apart_since = propagation.generation
    for name in tuple(table):
        if not isinstance(name, str):
            continue
        lower = name.lower()
        if name == "baggage" and name in ours:
            ours[name] = _with_theirs(ours[name], table[name])
        elif lower in ours:
            del table[name]
        elif type(name) is str and lower not in propagation.names:
            _apart.add(name)
    table.update(ours)
    return table


def may_burst(table: Mapping[Any, Any], frame_size: Callable[[], int]) -> bool:
    """Tell whether properties with *table* could be too long for a frame, without encoding them."""
    size = frame_size()
    if not size:
        return False
    if _TEXT.issuperset(map(type, table.values())):
        # As most are: enough room however wide the characters are.
        if _OTHERS + len(table) * _LONGEST_NAME + 4 * sum(map(len, table.values())) < size:
            return False
    return size < _OTHERS + _most_bytes(table, 0)


def _most_bytes(value: Any, depth: int) -> int:
    """Return how many bytes *value* has at most on the wire."""
    if isinstance(value, str):
        return len(value) if value.isascii() else 4 * len(value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if depth > _DEEPEST:
        return _ANY_SIZE
    if isinstance(value, Mapping):
        most = 0
        for name, one in value.items():
            most += _ENTRY + _most_bytes(name, depth) + _most_bytes(one, depth + 1)
        return most
    if isinstance(value, (list, tuple)):
        return sum(_ENTRY + _most_bytes(one, depth + 1) for one in value)
    return _SCALAR


def lose() -> None:
    """Count a message that goes without our headers, since its own leave them no room."""
    global _told
    health.lose("correlation", NO_ROOM)
    if not _told:
        _told = True
        _log.warning("the headers of a message leave no room for the operation's: it goes without")


def _with_theirs(ours: str, theirs: Any) -> str:
    """Keep what the caller himself has put into the baggage of this one message."""
    if not isinstance(theirs, str):
        return ours
    members = (member.strip() for member in theirs.split(","))
    kept = [one for one in members if one and not one.startswith(OURS) and one not in ours]
    return ",".join((ours, *kept))


def readable(headers: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return those of *headers* that say where a message comes from, lower-case, as text.

    Where there are no others these are *headers* themselves.
    """
    wanted = propagation.names
    if wanted.issuperset(headers) and _TEXT.issuperset(map(type, headers.values())):
        return headers
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name not in wanted:
            if name in _apart:
                continue
            name = str(name).lower()
            if name not in wanted:
                continue
        if type(value) is str:
            found[name] = value
        elif isinstance(value, (bytes, bytearray)):
            found[name] = value.decode("latin-1")
    return found


def sent_at(carrier: Mapping[str, str], stamp: Any) -> float | None:
    """Return when a message was sent by its *stamp*, where that is usable and nothing better is."""
    if SENT in carrier.get("baggage", ""):
        return None
    is_time = isinstance(stamp, (int, float)) and EARLIEST < stamp < time() + AHEAD
    return float(stamp) if is_time else None


def attempt(headers: Mapping[Any, Any], queue: str) -> int:
    """Return how often a message has come to *queue*, this time included.

    RabbitMQ notes in ``x-death`` how often each queue has given it up. Where that was this
    queue, the others have only made it wait; quorum queues count deliveries beside.
    """
    here = elsewhere = 0
    deaths = headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        if isinstance(death, Mapping):
            if death.get("queue") == queue:
                here += _count(death.get("count"))
            else:
                elsewhere += _count(death.get("count"))
    return 1 + (here or elsewhere) + _count(headers.get("x-delivery-count"))


def _count(value: Any) -> int:
    # pika has an integer type of its own for what is long on the wire.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return min(max(int(value), 0), MOST_ATTEMPTS) if is_number else 0
