"""Deliver spans to servers: in the background, bounded, flushed at the end, counted where lost."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from obskit.shipping import endings
from obskit.shipping.notices import Say
from obskit.shipping.sender import Destination, Sender
from obskit.shipping.zipkin import Zipkin, shown

__all__ = ["Destination", "Sender", "Zipkin", "configure", "flush", "shown", "status", "undo"]

LONGEST_FLUSH = 3.0
# Several roads lead to the end of a process; a server that is away is waited for on one of them.
SOON_AGAIN = 1.0

_senders: dict[str, Sender] = {}
# Those of settings that were in force before: what they still have goes where it was to go.
_former: list[Sender] = []
_failed_at = -SOON_AGAIN


def configure(
    destinations: dict[str, Destination],
    is_precious: Callable[[Any], bool],
    most: int,
    say: Say,
    at_end: Callable[[float], None],
) -> tuple[Callable[[Any], None], ...]:
    """Send to *destinations* from now on; return what takes spans, one function for each.

    Args:
        destinations: Where spans go, by the name that `status` has.
        is_precious: Tells whether a span is to be lost last.
        most: Bytes that may wait for each destination.
        say: Writes a line.
        at_end: Called with seconds before a signal ends the process; it is to call `flush`.
    """
    before = _all()
    _former[:] = [one for one in before if one.pending]
    _senders.clear()
    for sender in before:
        if sender not in _former:
            sender.close()
    for name, destination in destinations.items():
        _senders[name] = Sender(destination, is_precious, most, say)
    endings.install(at_end, _abandon)
    return tuple(sender.take for sender in _senders.values())


def flush(timeout: float = LONGEST_FLUSH) -> bool:
    """Send what waits, within *timeout* seconds but at most 3; tell whether all of it is out.

    Use it where a process is about to end in a way that runs nothing of Python.
    """
    global _failed_at
    now = monotonic()
    if now < _failed_at + SOON_AGAIN:
        return False
    deadline = now + min(timeout, LONGEST_FLUSH)
    done = [sender.flush(max(0.0, deadline - monotonic())) for sender in _all()]
    if not all(done) and timeout >= LONGEST_FLUSH:
        _failed_at = monotonic()
    return all(done)


def _all() -> tuple[Sender, ...]:
    return (*_senders.values(), *_former)


def _abandon(reason: str) -> None:
    for sender in _all():
        sender.abandon(reason)


def status() -> dict[str, dict[str, Any]]:
    """Say where spans go, how many were taken and how many wait, and what is wrong."""
    return {
        name: {
            "to": sender.destination.url,
            "sent": sender.sent,
            "waiting": sender.pending,
            "trouble": sender.trouble,
        }
        for name, sender in _senders.items()
    }


def undo() -> None:
    """Send nothing any more, and give the process back."""
    endings.undo()
    _abandon("switched off")
    for sender in _all():
        sender.close()
    _senders.clear()
    _former.clear()
