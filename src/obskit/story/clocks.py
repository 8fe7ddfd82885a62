"""Measure how far the wall clocks of the machines are apart, from causes and effects.

An effect comes after its cause, so the two timestamps bound the difference of the clocks from
one side; a request and its answer bound it from both.
"""

from __future__ import annotations

import math
from collections import defaultdict
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
    """A clock and by how many seconds it is ahead of the *reference*, at least and at most."""

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
    """The clocks of an operation; *contradicting* says that one must have jumped meanwhile."""

    offsets: tuple[Offset, ...] = ()
    contradicting: bool = False


def measure(events: Iterable[Event]) -> Clocks:
    """Return the bounds for each clock against that of the first line."""
    order = list(events)
    bounds: dict[tuple[Clock, Clock], float] = defaultdict(lambda: math.inf)
    clocks = dict.fromkeys(map(clock_of, order))
    for event in order:
        for cause, _ in event.causes:
            _bound(bounds, cause, event)
    names = list(clocks)
    _close(bounds, names)
    if any(bounds[name, name] < -TOLERANCE for name in names):
        return Clocks((), contradicting=True)
    first = names[:1]
    return Clocks(
        tuple(
            Offset(name, first[0], -bounds[name, first[0]], bounds[first[0], name])
            for name in names[1:]
            if bounds[name, first[0]] < math.inf or bounds[first[0], name] < math.inf
        )
    )


def clock_of(event: Event) -> Clock:
    """Return what has one clock: a service on a machine."""
    return (str(event.line.get("service") or "?"), str(event.line.get("host") or "?"))


def _bound(bounds: dict[tuple[Clock, Clock], float], cause: Event, effect: Event) -> None:
    """The clock of *effect* is ahead by at most what the timestamps are apart."""
    pair = (clock_of(cause), clock_of(effect))
    before, after = seconds(cause.line.get("timestamp")), seconds(effect.line.get("timestamp"))
    if pair[0] != pair[1] and before is not None and after is not None:
        bounds[pair] = min(bounds[pair], after - before)


def _close(bounds: dict[tuple[Clock, Clock], float], names: list[Clock]) -> None:
    """Tighten bounds over third clocks (Floyd and Warshall's shortest paths)."""
    for middle in names:
        for one in names:
            if bounds[one, middle] == math.inf:
                continue
            for other in names:
                way = bounds[one, middle] + bounds[middle, other]
                bounds[one, other] = min(bounds[one, other], way)


def seconds(timestamp: Any) -> float | None:
    """Return a timestamp of RFC 3339 as seconds since 1970, None if it is none."""
    if not isinstance(timestamp, str) or len(timestamp) > 40:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
