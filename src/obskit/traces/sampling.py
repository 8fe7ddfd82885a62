"""Decide which spans are kept: the caller's decision wins, then the ratio of the settings.

Both are in the flags of the unit of work when it begins. Here is what comes on top.
"""

from __future__ import annotations

from obskit import propagation
from obskit.context import SAMPLED
from obskit.observation import Observation
from obskit.traces import naming


def quieten(observation: Observation) -> None:
    """Keep nothing of a health check or a scrape, and of what it calls, while all goes well."""
    if observation.entry and observation.context is not None:
        observation.context.unit.flags &= ~SAMPLED


def is_wanted(observation: Observation) -> bool:
    """Tell whether a span of *observation*, which is over, is to be kept.

    A health check that failed is, whatever was decided at its start.
    """
    if observation.quiet:
        return naming.is_error(observation)
    here = observation.context
    return here is not None and here.unit.sampled


def flags_of_root(trace_id: str) -> int:
    """Return the flags of a trace that begins here."""
    return propagation.sample(trace_id)
