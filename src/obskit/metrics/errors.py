"""Count errors by their fingerprint, the one that lines and spans have.

An error counts once in each unit of work, whether it ended the unit, is on lines of it, or both;
outside of a unit each line counts.
"""

from __future__ import annotations

from collections import Counter

from obskit.context import PROCESS, Context
from obskit.metrics import catalogue, exemplars
from obskit.metrics.budget import counts
from obskit.observation import CALLED_OFF, Observation, failure

MOST_OF_UNIT = 32
MOST_WAITING = 500

# What came before anybody needed prometheus_client, which is not imported for this alone.
_waiting: Counter[tuple[str, str]] = Counter()


def count(here: Context | None, kind: str, fingerprint: str) -> None:
    """Count an error of this *kind*, if it is a new one for the unit of work."""
    if here is not None and here.unit is not PROCESS:
        known = here.unit.errors
        if fingerprint in known:
            return
        if len(known) < MOST_OF_UNIT:
            here.unit.errors = (*known, fingerprint)
    if catalogue.is_loaded():
        row = counts("obskit_errors_total").row((kind, fingerprint))
        row(1, exemplars.labels(here, "server_error"))
    elif len(_waiting) < MOST_WAITING:
        catalogue.on_load(_count_waiting)
        _waiting[kind, fingerprint] += 1


def count_unit(observation: Observation) -> None:
    """Count the error that *observation* ended with, which may stand on no line."""
    if observation.entry and observation.outcome not in CALLED_OFF:
        failed = failure.of(observation)
        if failed is not None:
            count(observation.context, failed.type, failed.fingerprint)


def _count_waiting() -> None:
    while _waiting:
        key, number = _waiting.popitem()
        counts("obskit_errors_total").row(key)(number)
