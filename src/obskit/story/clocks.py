"""Measure how far the wall clocks of the machines are apart, from causes and effects.

An effect comes after its cause, so the two timestamps bound the difference of the clocks from
one side; a request and its answer bound it from both. No third clock is asked on the way from
one to the other: it may have drifted, or jumped, between what it got and what it sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from obskit.order import Event

Clock = tuple[str, str]
# Lines take their time a little before or after they take their number.
TOLERANCE = 0.002


@dataclass(frozen=True, slots=True)
class Offset:
    """A clock and by how many seconds it is ahead of the *reference*, at least and at most.

    Where clocks drift or jump, that is so at one time of the operation at least.
    """

    clock: Clock
    reference: Clock
    least: float
    most: float

    @property
    def is_off(self) -> bool:
        """Whether the two surely disagree."""
        return self.least > TOLERANCE or self.most < -TOLERANCE


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of an operation; *contradicting* says that one has jumped or drifted meanwhile."""

    offsets: tuple[Offset, ...] = ()
    contradicting: bool = False


def measure(events: Iterable[Event]) -> Clocks:
    """Return the bounds for each clock against that of the first line.

    Args:
        events: Lines in causal order.
    """
    bounds: dict[tuple[Clock, Clock], float] = {}
    names: dict[Clock, None] = {}
    # By event: the latest time that each clock showed in its past, itself included.
    shown: dict[int, dict[Clock, float]] = {}
    for event in events:
        own, now = clock_of(event), seconds(event.line.get("timestamp"))
        names[own] = None
        past = _latest(shown.get(id(one), {}) for one in event.predecessors)
        if now is not None:
            for name, before in past.items():
                if name != own:
                    bounds[name, own] = min(bounds.get((name, own), math.inf), now - before)
            past = past | {own: max(now, past.get(own, now))}
        shown[id(event)] = past
    if any(_contradict(bounds, pair) for pair in bounds):
        return Clocks((), contradicting=True)
    first, *others = names or [("?", "?")]
    offsets = (
        Offset(
            name, first, -bounds.get((name, first), math.inf), bounds.get((first, name), math.inf)
        )
        for name in others
    )
    return Clocks(tuple(one for one in offsets if one.least > -math.inf or one.most < math.inf))


def _latest(several: Iterable[dict[Clock, float]]) -> dict[Clock, float]:
    """Return the latest time of each clock; the very same dict where only one tells of any."""
    found: dict[Clock, float] = {}
    for times in several:
        if not found:
            found = times
        elif times is not found:
            found = found | {
                name: time for name, time in times.items() if time > found.get(name, -math.inf)
            }
    return found


def _contradict(bounds: dict[tuple[Clock, Clock], float], pair: tuple[Clock, Clock]) -> bool:
    """Tell whether a clock would have to be ahead by more than it is ahead at most."""
    return bounds[pair] + bounds.get((pair[1], pair[0]), math.inf) < -TOLERANCE


def clock_of(event: Event) -> Clock:
    """Return what has one clock: a service on a machine."""
    return (str(event.line.get("service") or "?"), str(event.line.get("host") or "?"))


def seconds(timestamp: Any) -> float | None:
    """Return a timestamp of RFC 3339 as seconds since 1970, None if it is none."""
    if not isinstance(timestamp, str) or len(timestamp) > 40:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
