"""Count what only messages and tasks have: their age, redelivery, success that is long ago."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from obskit.metrics import lifecycle
from obskit.metrics.budget import counts, table
from obskit.observation import Message

Observe = Callable[[float], None]


def count(message: Message) -> None:
    """Count *message*, the work on which is over, beside its rate, errors and duration."""
    if message.started_ns <= lifecycle.born_ns:
        return
    labels = message.labels
    key = labels.get("messaging_system", ""), labels.get("messaging_destination_name", "")
    if not key[0]:
        return
    age, since_birth = message.age, message.end_to_end_age
    if age is not None:
        known = _ages()
        (known.rows.get(key) or known.row(key))(age)
    if since_birth is not None:
        known = _ages_of_operations()
        (known.rows.get(key) or known.row(key))(since_birth)
    if message.redelivered:
        counts("messaging_redeliveries_total").row(key)()
    if message.dead_lettered:
        counts("messaging_dead_lettered_total").row(key)()
    if message.outcome == "ok" and not message.retried:
        ended_at = (message.started_at_ns + message.duration_ns) / 1e9
        table("messaging_last_success_timestamp_seconds", _setter).row(key)(ended_at)


def _ages() -> Any:
    return table("messaging_message_age_seconds", _observer)


def _ages_of_operations() -> Any:
    return table("messaging_end_to_end_age_seconds", _observer)


def _setter(gauge: Any) -> Observe:
    change: Observe = gauge.set
    return change


def _observer(child: Any) -> Observe:
    """Return what counts seconds, without looking at each bucket and for an exemplar."""
    total, bounds, buckets = child._sum, child._upper_bounds, child._buckets

    def observe(seconds: float) -> None:
        total.inc(seconds)
        buckets[bisect_left(bounds, seconds)].inc(1)

    return observe
