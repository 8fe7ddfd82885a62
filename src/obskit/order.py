"""Read the causal clock back: put lines in the order of cause, and say what is known of two.

Pure: it takes the lines of one operation as mappings, in any order, some of them twice, some
of them lost, and looks at no time. `clock` says what the fields mean.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from obskit.places import Event as Event
from obskit.places import Line, Place
from obskit.places import place as place

CAUSED: Literal["caused"] = "caused"
SEEN_AFTER: Literal["seen after"] = "seen after"
CONCURRENT: Literal["concurrent"] = "concurrent"
CANNOT_TELL: Literal["cannot tell"] = "cannot tell"
Word = Literal["caused", "seen after", "concurrent", "cannot tell"]


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
        numbered = [event for event in found if not event.sub]
        self.strands = _chains(numbered, lambda event: event.strand, lambda event: event.n)
        self.hops = _chains(numbered, lambda event: event.hop, lambda event: event.lc)
        held = [event for event in found if event.sub]
        self.held = _chains(held, lambda event: event.hop, lambda event: event.rank)
        # Each edge leads to a larger rank, so this is an order that respects all of them.
        for event in sorted(found, key=lambda event: (event.rank, event.strand, event.n)):
            self._connect(event)
        self.events = list(_sorted(found, self.hops))

    def _unique(self, lines: Iterable[Line]) -> list[Event]:
        found: dict[tuple[str, int, int], Event] = {}
        for line in lines:
            event = place(line)
            if event is None:
                self.unplaced.append(line)
                continue
            at = event.place
            other = found.setdefault(at, event)
            if other is not event:
                self.repeated += 1
                found[at] = self._choose(other, event)
        return list(found.values())

    def _choose(self, one: Event, other: Event) -> Event:
        """Return the same one of two lines whichever came first."""
        contents = [_content(event.line) for event in (one, other)]
        if contents[0] != contents[1]:
            self.conflicts.add((one.strand, one.n))
            return one if contents[0] < contents[1] else other
        return min(one, other, key=lambda event: str(event.line.get("timestamp")))

    def _connect(self, event: Event) -> None:
        """Find the lines that came right before *event*, and whether some of them are lost."""
        before_in_strand, before_in_hop = self._before(event)
        if event.sub and before_in_hop is not None:
            event.base = before_in_hop.lc
        if (before_in_strand.n if before_in_strand else 0) != event.n - (not event.sub):
            event.incomplete = True
        if not _follows(event, before_in_hop):
            event.incomplete = True
            if not event.sub:
                self.gaps.append(event)
        for before in (before_in_strand, before_in_hop, self._held_before(event)):
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
        _know(event, before_in_strand)

    def _before(self, event: Event) -> tuple[Event | None, Event | None]:
        """Return the numbered lines before *event* in its strand and in its hop."""
        strand, hop = self.strands.get(event.strand), self.hops.get(event.hop)
        if event.sub:
            return (
                None if strand is None else strand.up_to(event.n),
                None if hop is None else hop.up_to(event.lc),
            )
        return (
            None if strand is None else strand.before(event),
            None if hop is None else hop.before(event),
        )

    def _held_before(self, event: Event) -> Event | None:
        """Return the last line of its hop that was held back before *event*."""
        held = self.held.get(event.hop)
        if held is None:
            return None
        return held.before(event) if event.sub else held.up_to(event.rank)

    def _add(self, event: Event, before: Event) -> bool:
        if before.rank >= event.rank:
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
            own = ((event.strand, event.n),) if event.sub and event.n else ()
            for strand, n in (*own, *event.after):
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
        self.numbers: list[Any] = [number(event) for event in self.events]

    def up_to(self, number: Any) -> Event | None:
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

    The number grows by one, or jumps over what was heard; there the last one is named. A line
    that was held back has the largest number that was known.
    """
    last, step = before.lc if before else 0, 0 if event.sub else 1
    if not event.seen:
        return event.lc == last + step
    named = max((number for name, number in event.seen if name == event.hop), default=0)
    return named == last and event.lc == max(number for _, number in event.seen) + step


def _content(line: Line) -> str:
    return repr(sorted((key, value) for key, value in line.items() if key != "timestamp"))


def _know(event: Event, before_in_strand: Event | None) -> None:
    """Give *event* its vectors, from those of its predecessors."""
    fine: dict[str, int] = {}
    coarse: dict[str, int] = {}
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
    """Say what is known of two lines; of those in an order the one with the lower rank is first.

    Of a line that was held back its process knows when it was, and nobody whom it has caused.
    """
    first, second = (one, other) if one.rank <= other.rank else (other, one)
    if first is second:
        return CAUSED
    if first.rank == second.rank:  # who claims to be a cause with that is forged
        return CANNOT_TELL if first.broken or second.broken or first.sub else CONCURRENT
    if first.sub:
        known = first.hop == second.hop or second.coarse.get(first.hop, 0) > first.lc
        return SEEN_AFTER if known else CANNOT_TELL
    if first.strand == second.strand:
        if first.n < second.n + (second.sub > 0):
            return CAUSED
    elif second.fine.get(first.strand, 0) >= first.n:
        return CAUSED
    if first.hop == second.hop or second.coarse.get(first.hop, 0) >= first.lc:
        return SEEN_AFTER
    return CANNOT_TELL if first.broken or second.broken or second.incomplete else CONCURRENT


def _must_wait(event: Event, held: list[tuple[Any, Event]], done: set[int]) -> bool:
    """Tell whether a line that was *held* back may have caused *event*: nobody tells of that."""
    while held and id(held[0][1]) in done:
        heapq.heappop(held)
    return bool(held) and held[0][0] < event.key


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
    held = [item for item in ready if item[1].sub]
    unbroken = sum(not event.broken for event in events)
    done: set[int] = set()
    current: Event | None = None
    while ready or current:
        if current is None or _must_wait(current, held, done):
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
            if follower.sub:
                heapq.heappush(held, (follower.key, follower))
            # What may have lost causes waits for all that has smaller numbers.
            if follower.hop == event.hop and not follower.incomplete:
                if not (follower.broken and unbroken):
                    current = follower
