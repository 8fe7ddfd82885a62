"""Deliver spans and lines to servers: in the background, bounded, counted where lost.

Spans wait in memory and are flushed at the end; lines wait in the spool of their service, where
they outlive their process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from obskit.shipping import endings
from obskit.shipping.notices import Say
from obskit.shipping.sender import Destination, Sender
from obskit.shipping.zipkin import Zipkin, shown

if TYPE_CHECKING:
    from obskit.shipping.backends import Backend
    from obskit.shipping.road import Road

__all__ = [
    "Destination",
    "Sender",
    "Zipkin",
    "configure",
    "counts",
    "flush",
    "lines",
    "send_lines",
    "shown",
    "status",
    "stop_lines",
    "undo",
]

LONGEST_FLUSH = 3.0
# Several roads lead to the end of a process; a server that is away is waited for on one of them.
SOON_AGAIN = 3.0

_senders: dict[str, Sender] = {}
# Those of settings that were in force before: what they still have goes where it was to go.
_former: list[Sender] = []
_failed_at = -SOON_AGAIN
_road: Road | None = None


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


def send_lines(
    backends: Mapping[str, Backend],
    folder: str | None,
    *,
    most: int,
    queue: int,
    fsync: bool,
    say: Say,
    spares: bool = False,
) -> Road:
    """Send lines to *backends* from now on; return what takes them.

    Args:
        backends: Who talks to each destination, by name.
        folder: The folder of the service's spool; None keeps what waits in memory.
        most: Bytes that the spool may take.
        queue: Bytes that may wait in memory.
        fsync: Whether a durable line is on the disk before the call returns.
        say: Writes a line about trouble.
        spares: Whether what these have got stays for destinations that were there before.
    """
    global _road, _failed_at
    from obskit.shipping.road import Road

    stop_lines()
    _failed_at = -SOON_AGAIN
    _road = Road(backends, folder, most, queue, fsync, say, spares)
    return _road


def stop_lines() -> None:
    """Send no further lines; what is in the spool waits there."""
    global _road
    road, _road = _road, None
    if road is not None:
        road.flush(monotonic() + LONGEST_FLUSH)
        road.abandon("switched off")
        road.close()


def flush(timeout: float = LONGEST_FLUSH) -> bool:
    """Send what waits, within *timeout* seconds but at most 3; tell whether all of it is out.

    Use it where a process is about to end in a way that runs nothing of Python.
    """
    global _failed_at
    now = monotonic()
    if now < _failed_at + SOON_AGAIN:
        if _road is not None:
            _road.store(now + SOON_AGAIN)
        return False
    deadline = now + min(timeout, LONGEST_FLUSH)
    # Lines are brought to where they are safe before anybody is waited for.
    done = [] if _road is None else [_road.flush(deadline)]
    done += [sender.flush(max(0.0, deadline - monotonic())) for sender in _all()]
    if not all(done) and timeout >= LONGEST_FLUSH:
        _failed_at = monotonic()
    return all(done)


def _all() -> tuple[Sender, ...]:
    return (*_senders.values(), *_former)


def _abandon(reason: str) -> None:
    for sender in _all():
        sender.abandon(reason)
    if _road is not None:
        _road.abandon(reason)


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


def lines() -> dict[str, dict[str, Any]]:
    """Say where lines go, how many this process has sent, how many wait, and what is wrong."""
    return {} if _road is None else _road.status()


def counts() -> list[tuple[str, tuple[str, ...], float]]:
    """Return what metrics say of the spool: taken, dead, dropped and waiting, by destination."""
    return [] if _road is None else _road.counts()


def undo() -> None:
    """Send nothing any more, and give the process back."""
    stop_lines()
    endings.undo()
    _abandon("switched off")
    for sender in _all():
        sender.close()
    _senders.clear()
    _former.clear()
