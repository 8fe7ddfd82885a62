"""Find all that goes up when work of one kind goes well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obskit.metrics import values

if TYPE_CHECKING:
    from obskit.metrics.red import Duration


class Row:
    """What goes up when work of one kind goes well: most of what there is to count."""

    __slots__ = (
        "alone", "bounds", "buckets", "duration", "home", "is_alone", "is_short", "one",
        "steady", "sum", "values",
    )  # fmt: skip

    def __init__(self, duration: Duration, steady: list[tuple[values.Value, float]]) -> None:
        child = duration.child
        self.duration = duration
        self.steady = tuple(steady)
        self.sum: values.Value = child._sum
        self.bounds: list[float] = child._upper_bounds
        self.buckets: list[values.Value] = child._buckets
        self.values = (*(value for value, _ in steady), self.sum, *self.buckets)
        # Whether there is nothing beside the duration but one that goes up, if that.
        self.is_short = [amount for _, amount in steady] in ([], [1.0])
        self.one = steady[0][0] if steady and self.is_short else None
        # Where all of these are kept, as far as is known.
        self.home: values.Home | None = None
        # Whether it is short, and kept in this process alone.
        self.is_alone = False
        # Those of a request that is served, while they are kept in this process alone.
        self.alone: tuple[values.Value, ...] | None = None

    def add(self, bucket: values.Value, seconds: float) -> None:
        """Count work that took so many *seconds*, wherever the numbers are kept."""
        for value, amount in (*self.steady, (self.sum, seconds), (bucket, 1.0)):
            cells = value._cells
            if cells is None:
                value._number += amount
            else:
                cells[value._index] += amount
