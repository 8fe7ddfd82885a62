"""Count what only messages and tasks have: their age, redelivery, success that is long ago."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from obskit.metrics import lifecycle, values
from obskit.metrics.budget import Key, counts, table
from obskit.observation import Message

Observe = Callable[[float], None]


class Messages:
    """Count messages and tasks, beside their rate, errors and duration.

    What goes well is counted in one straight function, as `red.Red` does it.
    """

    __slots__ = ("_ages", "_births", "_rows", "_successes")

    def __init__(self) -> None:
        self._ages = table("messaging_message_age_seconds", _Seconds)
        self._births = table("messaging_end_to_end_age_seconds", _Seconds)
        self._successes = table("messaging_last_success_timestamp_seconds", _setter)
        # By what is told apart: where an age is counted, where that of the operation, and when
        # work was last done.
        self._rows: dict[Key, _Row] = {}

    def count(self, message: Message) -> None:
        """Count *message*, the work on which is over; a parent's before a fork is its own."""
        if message.started_ns <= lifecycle.born_ns:
            return
        labels = message.labels
        key = labels.get("messaging_system", ""), labels.get("messaging_destination_name", "")
        row = self._rows.get(key)
        age, since_birth = message.known_ages or message.ages()
        if (
            row is None
            or message.outcome != "ok"
            or message.redelivered
            or message.dead_lettered
            or message.retried
            or (age is None) is not (row.age is None)
            or (since_birth is None) is not (row.birth is None)
        ):
            self._count_with_care(key, message)
            return
        ended_at = (message.started_at_ns + message.duration_ns) / 1e9
        counted, told = row.age, row.birth
        old = None if counted is None else counted.buckets[bisect_left(counted.bounds, age)]
        since = None if told is None else told.buckets[bisect_left(told.bounds, since_birth)]
        if row.home is not values._home:
            self._count_with_care(key, message)
            return
        if row.home.shared:
            row.add(old, age, since, since_birth, ended_at)
            return
        # Without a call or a loop since the comparison: no number has gone elsewhere.
        if old is not None:
            counted.sum._number += age
            old._number += 1.0
        if since is not None:
            told.sum._number += since_birth
            since._number += 1.0
        row.success._number = ended_at

    def _count_with_care(self, key: Key, message: Message) -> None:
        """Count *message* one metric after the other, and keep where the next one finds them."""
        if not key[0]:
            return
        age, since_birth = message.ages()
        for known, seconds in ((self._ages, age), (self._births, since_birth)):
            if seconds is not None:
                known.row(key).observe(seconds)
        if message.redelivered:
            counts("messaging_redeliveries_total").row(key)()
        if message.dead_lettered:
            counts("messaging_dead_lettered_total").row(key)()
        if message.outcome == "ok" and not message.retried:
            ended_at = (message.started_at_ns + message.duration_ns) / 1e9
            self._successes.row(key)(ended_at)
            self._learn(key, age is not None, since_birth is not None)

    def _learn(self, key: Key, is_aged: bool, is_born: bool) -> None:
        """Keep where work like this is counted, if its numbers are ours and in this process."""
        age = self._ages.rows.get(key) if is_aged else None
        birth = self._births.rows.get(key) if is_born else None
        success = getattr(getattr(self._successes.rows.get(key), "__self__", None), "_value", None)
        found: list[Any] = [success]
        for one in (age, birth):
            found += [] if one is None else [one.sum, *one.buckets]
        is_whole = (age is not None) is is_aged and (birth is not None) is is_born
        if values.ATOMIC and is_whole and all(type(one) is values.Value for one in found):
            self._rows[key] = _Row(values.bring(found), age, birth, success)


class _Row:
    """Where messages of one queue are counted."""

    __slots__ = ("age", "birth", "home", "success")

    def __init__(self, home: values.Home, age: Any, birth: Any, success: Any) -> None:
        self.home = home
        self.age = age
        self.birth = birth
        self.success = success

    def add(
        self, old: Any, age: float | None, since: Any, since_birth: float | None, ended_at: float
    ) -> None:
        """Count one message in two buckets and at a time, wherever the numbers are kept."""
        changes: list[tuple[Any, Any]] = []
        if old is not None:
            changes += [(self.age.sum, age), (old, 1.0)]
        if since is not None:
            changes += [(self.birth.sum, since_birth), (since, 1.0)]
        for value, amount in changes:
            cells = value._cells
            if cells is None:
                value._number += amount
            else:
                cells[value._index] += amount
        self.success.set(ended_at)


class _Seconds:
    """One child of a histogram, to which is added without a look at each bucket."""

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, child: Any) -> None:
        self.sum: values.Value = child._sum
        self.bounds: list[float] = child._upper_bounds
        self.buckets: list[values.Value] = child._buckets

    def observe(self, seconds: float) -> None:
        """Count *seconds*, for which there is never an exemplar."""
        self.sum.inc(seconds)
        self.buckets[bisect_left(self.bounds, seconds)].inc(1)


def _setter(gauge: Any) -> Observe:
    change: Observe = gauge.set
    return change
