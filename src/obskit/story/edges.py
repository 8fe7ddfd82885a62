"""Count who called whom from last lines of units of work, in one pass and little memory.

Kept are one row for each edge, the numbers of the last `MOST_UNITS` units (so that a line that
came twice counts once), and what cannot be judged by a line alone, up to `MOST_CLAIMS` each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Line = Mapping[str, Any]

MOST_UNITS = 200_000
MOST_CLAIMS = 100_000
MOST_WAITING = 100_000
MOST_PLACES = 10_000
MOST_EXAMPLES = 3
MOST_IN_LIST = 64

HTTP, MESSAGE, TASK, JOB = "http", "message", "task", "job"
# The sender's ID was taken over; all other sources mean that it was not there, or not fit.
TAKEN_OVER = frozenset({"inherited", "baggage", "given", "trace"})
# An ID came along at least.
RECEIVED = TAKEN_OVER - {"given"} | {"request_id"}
OTHER = "__overflow__"


class Way(NamedTuple):
    """Into which service something came, and how: *place* is the queue, empty for requests."""

    service: str
    kind: str
    place: str


class Unit(NamedTuple):
    """What the last line of a unit of work says about how it began."""

    id: str
    way: Way
    caller: str
    source: str
    correlation_id: str
    causation: str


@dataclass(slots=True)
class Tally:
    """How often a way was gone, and what was lost on it."""

    calls: int = 0
    lost_id: int = 0
    lost_clock: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def show(self, correlation_id: str) -> None:
        """Keep the ID of an operation to look at, if there is room."""
        if len(self.examples) < MOST_EXAMPLES and correlation_id not in self.examples:
            self.examples.append(correlation_id)


def text_of(line: Line, name: str) -> str:
    """Return the text under *name*, nothing if there is none."""
    value = line.get(name)
    return value if isinstance(value, str) else ""


def texts_of(line: Line, name: str) -> list[str]:
    """Return the texts under *name*, as many as a line of ours may have."""
    values = line.get(name)
    found = values[:MOST_IN_LIST] if isinstance(values, list) else []
    return [value for value in found if isinstance(value, str)]


def number_of(line: Line, name: str) -> int:
    """Return the whole number under *name*, 0 if there is none."""
    value = line.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def is_last(line: Line) -> bool:
    """Tell whether *line* is the one that sums up a unit of work."""
    return isinstance(line.get("outcome"), str) and "duration_ms" in line


def unit_id(line: Line) -> str:
    """Return the ID of the unit of work that wrote *line*: that of its first strand."""
    return text_of(line, "lc_hop") or text_of(line, "lc_at")[:16] or text_of(line, "span_id")


def unit_of(line: Line) -> Unit:
    """Return what a last line says."""
    source = text_of(line, "correlation_source")
    system, place = text_of(line, "messaging_system"), text_of(line, "messaging_destination_name")
    task = text_of(line, "task_name")
    if text_of(line, "http_request_method"):
        kind, where = HTTP, ""
    else:
        where = f"{system}:{place}" if place else system or task
        kind = TASK if task and system else MESSAGE
        if not system and source != "message" and not text_of(line, "caller"):
            kind = JOB
    service = text_of(line, "service") or "?"
    way = Way(service, kind, where)
    caller = text_of(line, "caller")
    operation, causation = text_of(line, "correlation_id"), text_of(line, "causation_id")
    return Unit(unit_id(line), way, caller, source, operation, causation)


def is_without_clock(line: Line) -> bool:
    """Tell whether *line* is the first one of a unit that got an ID and no clock, it seems.

    A unit that has heard of a broken hop goes on as another strand.
    """
    return (
        line.get("lc_broken") is True
        and line.get("lc") == 1
        and not line.get("lc_hop")
        and not line.get("lc_after")
        and not line.get("lc_seen")
    )


class Edges:
    """What the lines say of edges; feed it with `add`, in any order."""

    def __init__(self) -> None:
        # By caller and way; and what came without naming its caller.
        self.called: dict[tuple[str, Way], Tally] = {}
        self.arrived: dict[Way, Tally] = {}
        # Messages sent, by sender and place; all lines and units that were counted.
        self.sent: Counter[tuple[str, str]] = Counter()
        self.units = 0
        # Correlation IDs under which callees have answered, with those who were answered.
        self.claims: dict[str, set[str]] = {}
        self.unclaimed = 0
        # Units that got an ID, and no clock it seems.
        self.clockless: list[Unit] = []
        self._seen: dict[str, None] = {}
        self._first: dict[str, None] = {}
        self._last: dict[str, Unit] = {}

    def add(self, line: Line) -> None:
        """Take in one line."""
        first = is_without_clock(line)
        if first:
            self._note_first(unit_id(line))
        if not is_last(line):
            return
        unit = unit_of(line)
        if unit.id in self._seen:
            return
        _keep(self._seen, unit.id, None, MOST_UNITS)
        self.units += 1
        self._count(unit)
        self._count_sent(line, unit.way.service)
        if line.get("lc_broken") is True and unit.source in RECEIVED:
            # Where nobody is named no baggage came, and the clock travels with it.
            if unit.id in self._first or not unit.caller:
                self._first.pop(unit.id, None)
                self._without_clock(unit)
            else:
                _keep(self._last, unit.id, unit, MOST_WAITING)

    def _note_first(self, number: str) -> None:
        unit = self._last.pop(number, None)
        if unit is not None:
            self._without_clock(unit)
        elif number not in self._seen:
            _keep(self._first, number, None, MOST_WAITING)

    def tally(self, unit: Unit) -> Tally:
        """Return the counts that *unit* belongs to."""
        if unit.caller:
            return self.tally_of(unit.caller, unit.way)
        return _row(self.arrived, unit.way, Way(OTHER, unit.way.kind, OTHER))

    def tally_of(self, caller: str, way: Way) -> Tally:
        """Return the counts of an edge."""
        return _row(self.called, (caller, way), (OTHER, Way(OTHER, way.kind, OTHER)))

    def _count(self, unit: Unit) -> None:
        tally = self.tally(unit)
        tally.calls += 1
        tally.sources[unit.source] += 1
        if unit.caller and unit.source not in TAKEN_OVER:
            tally.lost_id += 1
        elif unit.caller:
            return
        tally.show(unit.correlation_id)

    def _count_sent(self, line: Line, service: str) -> None:
        places = texts_of(line, "messaging_sent_to")
        # Of several places no more is known than that each got one.
        amount = number_of(line, "messaging_sent") if len(places) == 1 else 1
        for place in places:
            key = (service, place)
            if key in self.sent or len(self.sent) < MOST_PLACES:
                self.sent[key] += amount
        for text in texts_of(line, "answered_as"):
            if text in self.claims or len(self.claims) < MOST_CLAIMS:
                self.claims.setdefault(text, set()).add(service)
            else:
                self.unclaimed += 1

    def _without_clock(self, unit: Unit) -> None:
        if len(self.clockless) < MOST_CLAIMS:
            self.clockless.append(unit)
        else:
            self.unclaimed += 1


def _keep(kept: dict[str, Any], key: str, value: Any, most: int) -> None:
    """Keep *value*, and let go of the oldest one where there are too many."""
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value


def _row(rows: dict[Any, Tally], key: Any, other: Any) -> Tally:
    row = rows.get(key)
    if row is None:
        row = rows.setdefault(key if len(rows) < MOST_PLACES else other, Tally())
    return row
