"""Headers of AMQP messages: a table of names and values of any type, made by anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any

from obskit import propagation

OURS = "obskit."
SENT = "obskit.sent="
LONG = 1024
LARGE_FRAME = 131_072
MOST_ATTEMPTS = 1_000_000

# Timestamps before 2001 or after tomorrow are none: milliseconds, random numbers, zeros.
EARLIEST = 1_000_000_000
AHEAD = 86_400


def with_ours(headers: Mapping[Any, Any] | None, frame_size: Callable[[], int]) -> dict[Any, Any]:
    """Return a copy of *headers* in which the running operation stands too, in lower-case names.

    All headers of a message travel in one frame: a small one has no room for long values, and
    what is too long would cost the sender its connection. *frame_size* is 0 where there is no
    bound.
    """
    table = dict(headers) if headers else {}
    others = {name.lower(): name for name in table if isinstance(name, str) and not name.islower()}
    for written, value in propagation.headers(dated=True):
        name = written.lower()
        if others and name in others:
            del table[others[name]]
        if name == "baggage" and name in table:
            value = _with_theirs(value, table[name])
        if len(value) <= LONG or len(value) <= (frame_size() or LARGE_FRAME) // 4:
            table[name] = value
        else:
            table.pop(name, None)
    return table


def _with_theirs(ours: str, theirs: Any) -> str:
    """Keep what the caller himself has put into the baggage of this one message."""
    if not isinstance(theirs, str):
        return ours
    members = (member.strip() for member in theirs.split(","))
    kept = [one for one in members if one and not one.startswith(OURS) and one not in ours]
    return ",".join((ours, *kept))


def readable(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return those of *headers* that say where a message comes from, lower-case, as text."""
    wanted = propagation.names
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name not in wanted:
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
