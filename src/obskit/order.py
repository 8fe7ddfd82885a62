"""Read the causal clock back: put lines in the order of cause, and say what is known of two.

Pure: it takes the lines of one operation as mappings, in any order, some of them twice, some
of them lost, and looks at no time. `clock` says what the fields mean.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

CAUSED: Literal["caused"] = "caused"
SEEN_AFTER: Literal["seen after"] = "seen after"
CONCURRENT: Literal["concurrent"] = "concurrent"
CANNOT_TELL: Literal["cannot tell"] = "cannot tell"
Word = Literal["caused", "seen after", "concurrent", "cannot tell"]

Line = Mapping[str, Any]
Place = tuple[str, int]

LARGEST = 2**53
MOST_POINTERS = 4096
_PLACE = re.compile(r"([0-9a-f]{16})-([0-9]{1,16})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Event:
    """A line with its place in the operation, and what is known to lie before it.

    *fine* and *coarse* are its vectors: the last line of each other strand that caused it, the
    last one of each other hop that came before it. Lines without a new cause share them with
    their predecessor. *incomplete* says that lines of its past are lost, *broken* that a hop
    without a clock is in it.
    """

    __slots__ = (
        "after",
        "broken",
        "causes",
        "coarse",
        "fine",
        "hop",
        "incomplete",
        "lc",
        "line",
        "n",
        "predecessors",
        "seen",
        "strand",
    )

    def __init__(self, line: Line, strand: str, n: int, lc: int, hop: str) -> None:
        self.line = line
        self.strand = strand
        self.n = n
        self.lc = lc
        self.hop = hop
        self.after: tuple[Place, ...] = ()
        self.seen: tuple[Place, ...] = ()
        self.broken = False
        self.incomplete = False
        # What other strands and hops are known to have told this line.
        self.causes: list[tuple[Event, Word]] = []
        self.predecessors: list[Event] = []
        self.fine: dict[str, int] = {}
        self.coarse: dict[str, int] = {}

    @property
    def key(self) -> tuple[bool, int, str, int]:
        """What sorts lines of which no more is known; what is behind a broken hop comes last."""
        return (self.broken, self.lc, self.strand, self.n)

    def __repr__(self) -> str:
        return f"<Event {self.strand}-{self.n} lc={self.lc}>"


def place(line: Line) -> Event | None:
    """Return *line* as an event, or None if it has no readable clock."""
    at, lc = _pair(line.get("lc_at")), line.get("lc")
    if at is None or at[1] < 1 or type(lc) is not int or not 0 < lc <= LARGEST:
        return None
    hop = line.get("lc_hop", at[0])
    if not (isinstance(hop, str) and _ID.fullmatch(hop)):
        return None
    event = Event(line, *at, lc, hop)
    event.broken = line.get("lc_broken") is True
    event.after, torn = _pairs(line.get("lc_after"))
    event.seen, torn_too = _pairs(line.get("lc_seen"))
    event.incomplete = torn or torn_too
    return event


def _pair(text: object) -> Place | None:
    match = _PLACE.fullmatch(text) if isinstance(text, str) else None
    return (match[1], int(match[2])) if match else None


def _pairs(value: object) -> tuple[tuple[Place, ...], bool]:
    """Return the pointers in *value*, and whether some of it is not readable."""
    if value is None:
        return (), False
    if not isinstance(value, (list, tuple)) or len(value) > MOST_POINTERS:
        return (), True
    found = [_pair(item) for item in value]
    return tuple(pair for pair in found if pair), None in found


class Order:
    """The lines of one operation in causal order.

    *events* are the lines with a clock, sorted; *unplaced* those without one. *repeated*
    counts copies that were left out, *conflicts* names places that two different lines claim,
    *forged* holds lines whose pointers contradict their own number, *gaps* those right before
    which their hop has lost a line.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self.repeated = 0
        self.conflicts: set[Place] = set()
        self.forged: list[Event] = []
        self.gaps: list[Event] = []
        self.unplaced: list[Line] = []
        found = self._unique(lines)
        self.strands = _chains(found, lambda event: event.strand, lambda event: event.n)
        self.hops = _chains(found, lambda event: event.hop, lambda event: event.lc)
        # Each edge leads to a larger number, so this is an order that respects all of them.
        for event in sorted(found, key=lambda event: (event.lc, event.strand, event.n)):
            self._connect(event)
            _know(event, self.strands[event.strand])
        self.events = list(_sorted(found, self.hops))

    def _unique(self, lines: Iterable[Line]) -> list[Event]:
        found: dict[Place, Event] = {}
        for line in lines:
            event = place(line)
            if event is None:
                self.unplaced.append(line)
                continue
            at = (event.strand, event.n)
            other = found.setdefault(at, event)
            if other is not event:
                self.repeated += 1
                found[at] = self._choose(at, other, event)
        return list(found.values())

    def _choose(self, at: Place, one: Event, other: Event) -> Event:
        """Return the same one of two lines whichever came first."""
        contents = [_content(event.line) for event in (one, other)]
        if contents[0] != contents[1]:
            self.conflicts.add(at)
            return one if contents[0] < contents[1] else other
        return min(one, other, key=lambda event: str(event.line.get("timestamp")))

    def _connect(self, event: Event) -> None:
        """Find the lines that came right before *event*, and whether some of them are lost."""
        before_in_strand = self.strands[event.strand].before(event)
        before_in_hop = self.hops[event.hop].before(event)
        if (before_in_strand.n if before_in_strand else 0) != event.n - 1:
            event.incomplete = True
        if not _follows(event, before_in_hop):
            event.incomplete = True
            self.gaps.append(event)
        for before in (before_in_strand, before_in_hop):
            if before is not None:
                self._add(event, before)
        for chains, pointers, word in (
            (self.strands, event.after, CAUSED),
            (self.hops, event.seen, SEEN_AFTER),
        ):
            for name, number in pointers:
                target = chains[name].up_to(number) if name in chains else None
                if target is None or chains[name].number(target) != number:
                    event.incomplete = True
                if target is None or (word == SEEN_AFTER and name == event.hop):
                    continue
                if self._add(event, target):
                    event.causes.append((target, word))

    def _add(self, event: Event, before: Event) -> bool:
        if before.lc >= event.lc:
            if not self.forged or self.forged[-1] is not event:
                self.forged.append(event)
            event.incomplete = True
            return False
        event.predecessors.append(before)
        event.incomplete = event.incomplete or before.incomplete
        event.broken = event.broken or before.broken
        return True

    def missing(self) -> dict[str, list[tuple[int, int]]]:
        """Return the lost lines of each strand as ranges of numbers; none is listed in vain."""
        told: dict[str, int] = defaultdict(int)
        for event in self.events:
            for strand, n in event.after:
                told[strand] = max(told[strand], n)
        found = {}
        for strand in told.keys() | self.strands.keys():
            numbers = self.strands[strand].numbers if strand in self.strands else []
            holes = list(_holes(numbers, told.get(strand, 0)))
            if holes:
                found[strand] = holes
        return dict(sorted(found.items()))


class Chain:
    """Events in the order of a number that grows along a strand (n) or a hop (lc)."""

    __slots__ = ("events", "number", "numbers")

    def __init__(self, events: list[Event], number: Any) -> None:
        self.events = sorted(events, key=lambda event: (number(event), event.strand, event.n))
        self.number = number
        self.numbers: list[int] = [number(event) for event in self.events]

    def up_to(self, number: int) -> Event | None:
        """Return the last event with at most this *number*."""
        index = bisect_right(self.numbers, number)
        return self.events[index - 1] if index else None

    def before(self, event: Event) -> Event | None:
        """Return the one before *event*; of forged ones with the same number too."""
        index = bisect_right(self.numbers, self.number(event)) - 1
        while self.events[index] is not event:
            index -= 1
        return self.events[index - 1] if index else None


def _chains(events: list[Event], name: Any, number: Any) -> dict[str, Chain]:
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        groups[name(event)].append(event)
    return {key: Chain(group, number) for key, group in groups.items()}


def _holes(numbers: list[int], told: int) -> Iterator[tuple[int, int]]:
    expected = 1
    for number in numbers:
        if number > expected:
            yield expected, number - 1
        expected = number + 1
    if told >= expected:
        yield expected, told


def _follows(event: Event, before: Event | None) -> bool:
    """Tell whether nothing is lost between *event* and the line *before* it in its hop.

    The number grows by one, or jumps over what was heard; there the last one is named.
    """
    last = before.lc if before else 0
    if not event.seen:
        return event.lc == last + 1
    named = max((number for name, number in event.seen if name == event.hop), default=0)
    return named == last and event.lc == max(number for _, number in event.seen) + 1


def _content(line: Line) -> str:
    return repr(sorted((key, value) for key, value in line.items() if key != "timestamp"))


def _know(event: Event, strand: Chain) -> None:
    """Give *event* its vectors, from those of its predecessors."""
    fine: dict[str, int] = {}
    coarse: dict[str, int] = {}
    before_in_strand = strand.before(event)
    for before in event.predecessors:
        if before.hop == event.hop:
            coarse = _united(coarse, before.coarse)
        else:
            coarse = _united(coarse, before.coarse, before.hop, before.lc)
    if before_in_strand is not None and before_in_strand in event.predecessors:
        fine = before_in_strand.fine
    for cause, word in event.causes:
        if word == CAUSED:
            fine = _united(fine, cause.fine, cause.strand, cause.n)
    event.fine, event.coarse = fine, coarse


def _united(
    one: dict[str, int], other: dict[str, int], name: str = "", n: int = 0
) -> dict[str, int]:
    """Return the larger number of each name; the very same dict where nothing is new."""
    if not one and not name:
        return other
    if one is not other and any(one.get(key, 0) < number for key, number in other.items()):
        one = one | {key: number for key, number in other.items() if one.get(key, 0) < number}
    if name and one.get(name, 0) < n:
        one = one | {name: n}
    return one


def relation(one: Event, other: Event) -> Word:
    """Say what is known of two lines; of those in an order the one with the lower lc is first."""
    first, second = (one, other) if one.lc <= other.lc else (other, one)
    if first is second:
        return CAUSED
    if first.lc == second.lc:  # who claims to be a cause with that is forged
        return CANNOT_TELL if first.broken or second.broken else CONCURRENT
    if first.strand == second.strand:
        if first.n < second.n and first.lc < second.lc:
            return CAUSED
    elif second.fine.get(first.strand, 0) >= first.n:
        return CAUSED
    if first.hop == second.hop:
        if first.lc < second.lc:
            return SEEN_AFTER
    elif second.coarse.get(first.hop, 0) >= first.lc:
        return SEEN_AFTER
    if first.broken or second.broken or (second.incomplete and first.lc < second.lc):
        return CANNOT_TELL
    return CONCURRENT


def _sorted(events: list[Event], hops: dict[str, Chain]) -> Iterator[Event]:
    """Yield causes before effects: on in the same hop while that is sure, else by number."""
    followers: dict[int, list[Event]] = defaultdict(list)
    waits: dict[int, int] = {}
    for event in events:
        before = {id(one): one for one in event.predecessors}
        waits[id(event)] = len(before)
        for one in before.values():
            followers[id(one)].append(event)
    ready = [(event.key, event) for event in events if not waits[id(event)]]
    heapq.heapify(ready)
    unbroken = sum(not event.broken for event in events)
    done: set[int] = set()
    current: Event | None = None
    while ready or current:
        if current is None:
            _, current = heapq.heappop(ready)
            if id(current) in done:
                current = None
                continue
        event, current = current, None
        done.add(id(event))
        unbroken -= not event.broken
        yield event
        for follower in followers[id(event)]:
            waits[id(follower)] -= 1
            if waits[id(follower)]:
                continue
            heapq.heappush(ready, (follower.key, follower))
            # What may have lost causes waits for all that has smaller numbers.
            if follower.hop == event.hop and not follower.incomplete:
                if not (follower.broken and unbroken):
                    current = follower
