"""Bound the number of series: a budget for each metric, then ``__overflow__``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obskit import health
from obskit.metrics import catalogue

OVERFLOW = "__overflow__"
DEFAULT_BUDGET = 500
LONGEST_LABEL = 200
MOST_PEERS = 50
RESERVE = 64

Key = tuple[str, ...]

# Labels with few values by nature: they keep their value where the others overflow.
CLOSED = frozenset(
    {"http_request_method", "http_response_status_code", "outcome", "reason", "source",
     "synthetic", "signal"}
)  # fmt: skip
# Labels that other services choose: each may have this many values.
CAPPED = {"caller": MOST_PEERS, "dependency": MOST_PEERS}


class Table:
    """The children of one metric by their label values, never more than the budget.

    A part of the budget is kept for overflowing label sets, so that their closed labels (the
    outcome, the method) stay true as long as there is room. What *wrap* makes of a child is
    what `rows` holds and `row` returns.
    """

    def __init__(self, name: str, budget: int, wrap: Callable[[Any], Any]) -> None:
        self.name = name
        self.labels = catalogue.LISTED[name].labels
        self.rows: dict[Key, Any] = {}
        self._wrap = wrap
        self._values: dict[int, set[str]] = {
            index: set() for index, label in enumerate(self.labels) if label in CAPPED
        }
        self._reported: set[str] = set()
        self.limit(budget)

    def limit(self, budget: int) -> None:
        """Allow *budget* label combinations."""
        self._budget = max(budget, 2)
        self._ordinary = self._budget - max(1, min(RESERVE, self._budget // 4))

    def row(self, key: Key) -> Any:
        """Return the row of *key*, or of what stands for it when the budget is used up."""
        found = self.rows.get(key)
        return self._admit(key) if found is None else found

    def _admit(self, key: Key) -> Any:
        with catalogue.creating():
            return self._place(self._capped(tuple(map(_clean, key))))

    def _place(self, key: Key) -> Any:
        if key in self.rows:
            return self.rows[key]
        if len(self.rows) < self._ordinary:
            return self._make(key)
        self._report(key)
        key = tuple(
            value if label in CLOSED else OVERFLOW
            for label, value in zip(self.labels, key, strict=True)
        )
        if key not in self.rows and len(self.rows) >= self._budget - 1:
            key = (OVERFLOW,) * len(key)
        return self.rows.get(key) or self._make(key)

    def _make(self, key: Key) -> Any:
        metric = catalogue.metric(self.name)
        row = self.rows[key] = self._wrap(metric.labels(*key) if key else metric)
        return row

    def _capped(self, key: Key) -> Key:
        """Replace values of capped labels that are too many."""
        if not self._values:
            return key
        kept = list(key)
        for index, known in self._values.items():
            value = kept[index]
            if value in known or not value:
                continue
            if len(known) < CAPPED[self.labels[index]]:
                known.add(value)
            else:
                kept[index] = OVERFLOW
                self._say(
                    self.labels[index],
                    "%s has more than %d values of %s; further ones are counted as %s",
                    self.name, len(known), self.labels[index], OVERFLOW,
                )  # fmt: skip
        return tuple(kept)

    def _report(self, key: Key) -> None:
        if not self.name.startswith("obskit_lost"):
            health.lose("series", self.name)
        if self.name in self._reported:
            return
        open_labels = [n for n, label in enumerate(self.labels) if label not in CLOSED]
        widest = max(open_labels, key=lambda n: len({row[n] for row in self.rows}), default=0)
        self._say(
            self.name,
            "%s has used up its budget of %d label combinations, most of all by %s (now %r);"
            " further ones are counted as %s: see OBSKIT_SERIES_BUDGET",
            self.name, self._budget, self.labels[widest], key[widest], OVERFLOW,
        )  # fmt: skip

    def _say(self, what: str, message: str, *values: object) -> None:
        if what not in self._reported:
            self._reported.add(what)
            catalogue.log.warning(message, *values)


def _clean(value: object) -> str:
    """Return a label value that can be encoded and is not too long."""
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-8", "replace").decode()[:LONGEST_LABEL]


_tables: dict[str, Table] = {}
_budget = DEFAULT_BUDGET


def set_budget(budget: int) -> None:
    """Allow *budget* label combinations for each metric from now on."""
    global _budget
    _budget = budget
    for known in _tables.values():
        known.limit(budget)


def table(name: str, wrap: Callable[[Any], Any] = lambda child: child) -> Table:
    """Return the one table of the metric called *name*."""
    found = _tables.get(name)
    if found is None:
        found = _tables[name] = Table(name, _budget, wrap)
    return found


def counts(name: str) -> Table:
    """Return the table of the counter called *name*; its rows are called to count."""
    return table(name, lambda child: child.inc)
