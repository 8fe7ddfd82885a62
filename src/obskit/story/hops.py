"""Say on which edges between services the ID or the clock gets lost, and on which it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from obskit.story.edges import HTTP, JOB, MOST_EXAMPLES, TAKEN_OVER, Edges, Tally, Unit, Way
from obskit.story.reading import Counts, read
from obskit.story.senders import Senders

UNKNOWN = "?"
# A scheduler sends nothing that could be lost.
OWN_BEGINNINGS = frozenset({"schedule", "given"})


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one service to another, or messages by way of a queue (*place*).

    *lost_id* of the *calls* arrived without the caller's ID, *lost_clock* with the ID but
    without the clock. *caller* is "?" where nobody knows, "a or b" where it was one of them.
    """

    caller: str
    callee: str
    kind: str
    place: str
    calls: int
    lost_id: int
    lost_clock: int
    examples: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """How many calls lost something."""
        return self.lost_id + self.lost_clock

    @property
    def share(self) -> float:
        """Which part of the calls lost something: 0 to 1."""
        return min(1.0, self.lost / self.calls) if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came into a service from nobody that wrote a line here.

    *callers* are services that call it, too: then it is not sure that all of this is from
    outside. Neither is it where *unclear* ones belong to an operation that others work on.
    """

    service: str
    kind: str
    place: str
    count: int
    callers: tuple[str, ...]
    unclear: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hops:
    """The edges, those that lose most first; what came from outside; how many units there were.

    *unjudged* lost ones were more than could be kept: they are missing in the counts.
    """

    edges: tuple[Edge, ...]
    outside: tuple[Arrivals, ...]
    units: int
    unjudged: int = 0


def hops(
    sources: Iterable[str | Path], *, entries: Iterable[str] = (), counts: Counts | None = None
) -> Hops:
    """Return the edges between the services whose lines are in *sources*.

    Use it to find where an ID gets lost. Lines may come in any order. A second pass is made
    where something lost anything.

    Args:
        sources: As for `read`.
        entries: Services that are called from outside. If there are any, what comes into the
            others without an ID is lost.
        counts: Is filled on the way.

    Raises:
        SourceError: As for `read`.
    """
    sources = list(sources)
    edges = Edges()
    for line in read(sources, counts=counts):
        edges.add(line)
    senders = Senders(edges)
    if senders.wanted:
        for line in read(sources):
            senders.add(line)
    return judge(edges, senders, frozenset(entries))


def judge(edges: Edges, senders: Senders, entries: frozenset[str] = frozenset()) -> Hops:
    """Return what both passes have found."""
    unclear = _requests(edges, senders, entries)
    _messages(edges)
    if entries:
        _declared(edges, entries)
    found = [
        Edge(caller, *way, tally.calls, tally.lost_id, tally.lost_clock, _lost_ones(tally))
        for (caller, way), tally in edges.called.items()
        if tally.calls
    ]
    found.sort(key=lambda edge: (-edge.share, -edge.lost, edge.caller, edge.callee, edge.place))
    return Hops(tuple(found), tuple(_outside(edges, unclear)), edges.units, edges.unclaimed)


def _requests(edges: Edges, senders: Senders, entries: frozenset[str]) -> Counter[Way]:
    """Count what is known to be lost; return how much may be, by where it came."""
    unclear: Counter[Way] = Counter()
    unknown, known = [], set()
    for caller, unit in senders.without_clock():
        if caller in ("", UNKNOWN):
            unknown.append((caller, unit))
        else:
            known.add(unit.id)
            _move(edges, caller, unit, lost_clock=1)
    for caller, unit in senders.lost():
        if unit.id not in known:
            known.add(unit.id)
            _move(edges, caller, unit, lost_id=1)
    for caller, unit in unknown:
        if unit.id in known:
            continue
        if entries and unit.way.service not in entries:
            _move(edges, UNKNOWN, unit, lost_clock=1)
        elif caller:
            unclear[unit.way] += 1
    return unclear


def _lost_ones(tally: Tally) -> tuple[str, ...]:
    return tuple(tally.examples) if tally.lost_id or tally.lost_clock else ()


def _move(edges: Edges, caller: str, unit: Unit, *, lost_id: int = 0, lost_clock: int = 0) -> None:
    """Count *unit* for the edge that it came by, no longer as one from outside."""
    tally = edges.tally_of(caller, unit.way)
    if not unit.caller:
        before = edges.tally(unit)
        before.calls -= 1
        before.sources[unit.source] -= 1
        if unit.correlation_id in before.examples:
            before.examples.remove(unit.correlation_id)
        tally.calls += 1
    tally.lost_id += lost_id
    tally.lost_clock += lost_clock
    tally.show(unit.correlation_id)


def _messages(edges: Edges) -> None:
    """Count messages that came without an ID for those who sent more than arrived with one."""
    for way, arrived in list(edges.arrived.items()):
        if way.kind in (HTTP, JOB):
            continue
        missing = {
            sender: sent - _received(edges, sender, way)
            for (sender, place), sent in edges.sent.items()
            if place == way.place or place == _exchange(edges, sender, way)
        }
        missing = {sender: count for sender, count in missing.items() if count > 0}
        lost = min(_without_id(arrived), sum(missing.values()))
        if lost:
            _charge(edges, " or ".join(sorted(missing)), way, arrived, lost)


def _without_id(tally: Tally) -> int:
    skipped = TAKEN_OVER | OWN_BEGINNINGS
    return sum(count for source, count in tally.sources.items() if source not in skipped)


def _received(edges: Edges, sender: str, way: Way) -> int:
    tally = edges.called.get((sender, way))
    return tally.calls if tally else 0


def _exchange(edges: Edges, sender: str, way: Way) -> str:
    """Return where *sender* publishes what comes by *way*, if it publishes to one place only."""
    if not _received(edges, sender, way):
        return ""
    system = way.place.partition(":")[0]
    places = [
        place for name, place in edges.sent if name == sender and place.partition(":")[0] == system
    ]
    return places[0] if len(places) == 1 else ""


def _declared(edges: Edges, entries: frozenset[str]) -> None:
    """Count as lost what came without a caller into services that nobody calls from outside."""
    for way, arrived in list(edges.arrived.items()):
        if way.service in entries or way.kind == JOB:
            continue
        lost = _without_id(arrived)
        if lost:
            _charge(edges, UNKNOWN, way, arrived, lost)


def _charge(edges: Edges, caller: str, way: Way, arrived: Tally, lost: int) -> None:
    """Count *lost* of those that came by *way* for the edge from *caller*."""
    tally = edges.tally_of(caller, way)
    tally.calls += lost
    tally.lost_id += lost
    arrived.calls -= lost
    for example in arrived.examples:
        tally.show(example)
    for source in arrived.sources.keys() - TAKEN_OVER - OWN_BEGINNINGS:
        taken = min(lost, arrived.sources[source])
        arrived.sources[source] -= taken
        lost -= taken


def _outside(edges: Edges, unclear: Counter[Way]) -> list[Arrivals]:
    found = []
    for way, tally in sorted(edges.arrived.items()):
        if tally.calls > 0:
            callers = {caller for caller, other in edges.called if other == way}
            callers -= {UNKNOWN, way.service}
            examples = tuple(tally.examples[:MOST_EXAMPLES])
            found.append(
                Arrivals(*way, tally.calls, tuple(sorted(callers)), unclear[way], examples)
            )
    return found
