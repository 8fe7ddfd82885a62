"""Tell the story of one operation: its lines by cause, who is to blame, what is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from obskit.order import CONCURRENT, Event, Order, Word, relation
from obskit.story import blame, clocks
from obskit.story.blame import Verdict
from obskit.story.clocks import Clocks
from obskit.story.units import Unit, units_of, was_answered

Line = Mapping[str, Any]
MOST_PAIRS = 5
MOST_SIBLINGS = 100


@dataclass(frozen=True, slots=True)
class Hop:
    """A unit that got the ID but no clock; *sender* is who sent it, as far as the IDs tell."""

    unit: Unit
    sender: str | None


@dataclass(frozen=True, slots=True)
class Loss:
    """Lines of one service on one machine that were written and are not here: at least *count*."""

    service: str
    host: str
    count: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """Work that was done after its caller had left."""

    unit: Unit
    caller: Unit
    lines: int


@dataclass(frozen=True, slots=True)
class Story:
    """What happened in one operation.

    All but *clocks* follows from the causal clock alone: the story is the same whatever the
    timestamps say and in whatever order the lines come.
    """

    correlation_id: str
    order: Order
    units: list[Unit]
    words: list[Word | None]
    verdict: Verdict
    broken: list[Hop]
    left: list[Leaving]
    lost: list[Loss]
    together: list[tuple[Unit, Unit]]
    clocks: Clocks

    @property
    def events(self) -> list[Event]:
        """The lines in causal order."""
        return self.order.events

    @property
    def culprit(self) -> blame.Culprit | None:
        """The first one to blame, None where nothing failed."""
        return self.verdict.culprits[0] if self.verdict.culprits else None

    @property
    def root(self) -> Unit | None:
        """The unit that all began with."""
        return self.units[0] if self.units else None

    @property
    def is_bad_news(self) -> bool:
        """Whether somebody is to blame, or something is broken or lost."""
        return bool(self.culprit or self.broken or self.lost or self.order.forged)


def tell(lines: Iterable[Line], correlation_id: str) -> Story:
    """Return the story of the operation *correlation_id*.

    Use it on lines from `read` or from elsewhere; those of other operations are passed over.
    """
    order = Order(line for line in lines if line.get("correlation_id") == correlation_id)
    units = units_of(order)
    return Story(
        correlation_id=correlation_id,
        order=order,
        units=units,
        words=_words(order.events),
        verdict=blame.judge(units),
        broken=list(_broken(units)),
        left=list(_left(units)),
        lost=_lost(order, units),
        together=_together(units),
        clocks=clocks.measure(order.events),
    )


def _words(events: list[Event]) -> list[Word | None]:
    """Return how each line relates to the one printed above it."""
    return [None, *(relation(one, other) for one, other in pairwise(events))] if events else []


def _broken(units: list[Unit]) -> Iterator[Hop]:
    for unit in units:
        first = min(unit.events, key=lambda event: event.lc)
        if first.line.get("lc_broken") is True and not first.after and not first.seen:
            sender = unit.parent.name if unit.parent else unit.said("caller")
            yield Hop(unit, str(sender) if sender else None)


def _left(units: list[Unit]) -> Iterator[Leaving]:
    for unit in units:
        caller = unit.parent
        if not (unit.is_request and caller and _gave_up(unit, caller)):
            continue
        after = sum(relation(event, caller.last) == CONCURRENT for event in unit.events)
        if after:
            yield Leaving(unit, caller, after)


def _gave_up(unit: Unit, caller: Unit) -> bool:
    """Tell whether *caller* surely went on without an answer of *unit*."""
    if was_answered(unit) or caller.last.incomplete or unit.first.broken:
        return False
    return (
        unit.outcome == "client_gone"
        or any(
            "timeout" in str(event.line.get("error_type")).lower()
            or event.line.get("outcome") == "timeout"
            for event in caller.events
        )
        or (caller.outcome == "dependency" and unit.outcome in ("ok", "client_error"))
    )


def _lost(order: Order, units: list[Unit]) -> list[Loss]:
    by_hop = {unit.id: (unit.service, unit.host) for unit in units}
    counts: Counter[tuple[str, str]] = Counter()
    known = set()
    for strand, holes in order.missing().items():
        chain = order.strands.get(strand)
        hop = chain.events[0].hop if chain else strand
        known.add(hop)
        counts[by_hop.get(hop, ("?", "?"))] += sum(last - first + 1 for first, last in holes)
    for hop in dict.fromkeys(event.hop for event in order.gaps):
        if hop not in known:
            counts[by_hop[hop]] += 1
    return [Loss(*where, count) for where, count in sorted(counts.items())]


def _together(units: list[Unit]) -> list[tuple[Unit, Unit]]:
    """Return units that one caller began and that ran at the same time, whatever time said."""
    found: list[tuple[Unit, Unit]] = []
    for unit in units:
        for one, other in combinations(unit.children[:MOST_SIBLINGS], 2):
            ends = {relation(one.first, other.last), relation(one.last, other.first)}
            if ends == {CONCURRENT}:
                found.append((one, other))
                if len(found) == MOST_PAIRS:
                    return found
    return found
