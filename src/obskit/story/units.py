"""Make units of work out of lines: who did what, for whom, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obskit.order import Event, Order

FAILURES = frozenset({"timeout", "dependency", "server_error", "rejected"})
_LOUD = frozenset({"error", "critical", "fatal", "exception"})


class Unit:
    """One request, message or job in one process, with its lines in causal order.

    *parent* is the unit that caused it. *guessed* says that this is known from the IDs only,
    because the clock was not carried along.
    """

    __slots__ = ("children", "events", "guessed", "id", "parent", "summary")

    def __init__(self, hop: str, events: list[Event]) -> None:
        self.id = hop
        self.events = events
        self.parent: Unit | None = None
        self.guessed = False
        self.children: list[Unit] = []
        self.summary: Event | None = next(
            (event for event in reversed(events) if isinstance(event.line.get("outcome"), str)),
            None,
        )

    def said(self, name: str) -> Any:
        """Return what the last line, or else the first one that has it, says under *name*."""
        for event in ([self.summary] if self.summary else []) + self.events:
            if event.line.get(name) not in (None, ""):
                return event.line[name]
        return None

    @property
    def service(self) -> str:
        """The service that did it."""
        return str(self.said("service") or "?")

    @property
    def host(self) -> str:
        """The machine that it was done on."""
        return str(self.said("host") or "?")

    @property
    def outcome(self) -> str | None:
        """How it ended, None where no line says so."""
        return str(self.summary.line["outcome"]) if self.summary else None

    @property
    def is_request(self) -> bool:
        """Whether somebody may have waited for an answer."""
        return self.said("http_request_method") is not None

    @property
    def work(self) -> str:
        """What it was, without the name of the service."""
        method, destination = (
            self.said("http_request_method"),
            self.said("messaging_destination_name"),
        )
        if method:
            route = self.said("http_route")
            known = route and route != "__unmatched__"
            return f"{method} {route if known else self.said('url_path') or route or ''}".strip()
        if destination and not self.said("task_name"):
            return f"{self.said('messaging_system') or 'message'} {destination}"
        return str(self.said("task_name") or "")

    @property
    def name(self) -> str:
        """Service and work, as it is called in sentences."""
        return f"{self.service} {self.work}".strip()

    @property
    def first(self) -> Event:
        """Its first line."""
        return self.events[0]

    @property
    def last(self) -> Event:
        """Its last line."""
        return self.events[-1]

    @property
    def failed(self) -> bool:
        """Whether its last line says that it failed."""
        return self.outcome in FAILURES

    def __repr__(self) -> str:
        return f"<Unit {self.name} outcome={self.outcome}>"


def is_loud(event: Event) -> bool:
    """Tell whether a line is about an error."""
    return str(event.line.get("level")).lower() in _LOUD or "error_type" in event.line


def units_of(order: Order) -> list[Unit]:
    """Return the units of work in the order in which they begin, with parents and children."""
    groups: dict[str, list[Event]] = {}
    for event in order.events:
        groups.setdefault(event.hop, []).append(event)
    units = {hop: Unit(hop, events) for hop, events in groups.items()}
    spans = {str(event.line.get("span_id")): units[event.hop] for event in reversed(order.events)}
    for unit in units.values():
        parent = _by_clock(unit, order, units)
        by_id = units.get(str(unit.said("causation_id"))) or spans.get(
            str(unit.said("parent_span_id"))
        )
        if by_id is not None and by_id is not unit and not _is_below(by_id, unit):
            unit.parent, unit.guessed = by_id, parent is None
        elif parent is not None and not _is_below(parent, unit):
            unit.parent = parent
        if unit.parent is not None:
            unit.parent.children.append(unit)
    return list(units.values())


def _by_clock(unit: Unit, order: Order, units: dict[str, Unit]) -> Unit | None:
    """Return the unit that sent what *unit* began with: its pointer is the first one."""
    for strand, n in unit.first.after:
        chain = order.strands.get(strand)
        sender = chain.up_to(n) if chain else None
        if sender is not None and sender.hop != unit.id:
            return units[sender.hop]
        if chain is None and strand in units and strand != unit.id:
            return units[strand]
    return None


def _is_below(unit: Unit, other: Unit) -> bool:
    """Tell whether *unit* was caused by *other*: forged IDs may go in a circle."""
    seen = 0
    above: Unit | None = unit
    while above is not None and seen < 10_000:
        if above is other:
            return True
        above, seen = above.parent, seen + 1
    return seen >= 10_000


def ancestors(unit: Unit) -> Iterator[Unit]:
    """Yield the units that *unit* was done for, the nearest one first."""
    above = unit.parent
    while above is not None:
        yield above
        above = above.parent


def was_answered(child: Unit) -> bool:
    """Tell whether a line of the caller's, or of anybody above it, knows of a line of *child*."""
    return any(above.last.coarse.get(child.id) for above in ancestors(child))
