"""Decide which spans are kept: the caller's decision wins, then the ratio of the settings.

Both are in the flags of the unit of work when it begins. Here is what comes on top: of an
operation that our own ratio has left out, what fails or is slow is kept all the same, as far as
it is known then. That is the failed or slow span itself and what ends after it, so the way up
to the beginning of the unit of work is complete. What had ended well before is gone, and other
services were told that the operation is left out: the decision on the wire is not changed.
"""

from __future__ import annotations

from obskit import propagation
from obskit.context import DEBUG, KEPT, OURS, SAMPLED
from obskit.observation import Observation
from obskit.traces import naming

# From so many nanoseconds on a unit of work, or a step of one, is slow; 0: none is.
slow_ns = 0

# A connection is open as long as somebody has its page before him.
_LONG_LIVED = "websocket"


def configure(slow_seconds: float) -> None:
    """Keep what takes *slow_seconds* or longer, whatever the ratio says; 0 for nothing."""
    global slow_ns
    slow_ns = max(0, int(slow_seconds * 1e9))


def quieten(observation: Observation) -> None:
    """Keep nothing of a health check or a scrape, and of what it calls, while all goes well."""
    if observation.entry and observation.context is not None:
        unit = observation.context.unit
        if not unit.flags & DEBUG:
            unit.flags &= ~SAMPLED


def is_wanted(observation: Observation) -> bool:
    """Tell whether a span of *observation*, which is over, is to be kept.

    A health check that failed is, whatever was decided at its start.
    """
    here = observation.context
    if observation.quiet and not (here is not None and here.unit.flags & DEBUG):
        return naming.is_error(observation)
    if here is None:
        return False
    flags = here.unit.flags
    return flags & SAMPLED != 0 or (flags & OURS != 0 and _is_remarkable(observation))


def _is_remarkable(observation: Observation) -> bool:
    """Tell whether *observation* failed or was slow, or something below it that is over."""
    here = observation.context
    if here is None:
        return False
    if not here.unit.flags & KEPT:
        is_slow = 0 < slow_ns <= observation.duration_ns and observation.protocol != _LONG_LIVED
        if not is_slow and not naming.is_error(observation):
            return False
        here.unit.flags |= KEPT
    return True


def flags_of_root(trace_id: str) -> int:
    """Return the flags of a trace that begins here."""
    return propagation.sample(trace_id)
