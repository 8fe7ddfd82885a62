"""Find out who sent what arrived without naming its sender, in a second pass over the lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from obskit.story.edges import (
    HTTP,
    TAKEN_OVER,
    Edges,
    Line,
    Unit,
    is_last,
    number_of,
    text_of,
    texts_of,
    unit_id,
    unit_of,
)

MOST_IN_OPERATION = 200
LARGEST = 2**53
_POINTERS = ("lc_after", "lc_seen")


@dataclass(slots=True)
class Answer:
    """What is known of an operation whose ID a callee has answered with, and who heard it."""

    heard_by: set[str]
    begun: list[Unit] = field(default_factory=list)
    # Who works on it; if the hearer does, the answer came from a cache.
    present: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Node:
    """A unit of an operation: whom it was caused by, how many it called, whom it has heard.

    *whole* says that a line of it is behind no broken hop, *broken* that one is.
    """

    service: str = ""
    causation: str = ""
    kind: str = ""
    requests: int = 0
    whole: bool = False
    broken: bool = False
    first: int = LARGEST
    # The number of the last line that names a strand.
    heard: dict[str, int] = field(default_factory=dict)
    sent_to: tuple[str, ...] = ()


Nodes = dict[str, Node]


class Senders:
    """Look at the operations that `Edges` could not judge; feed it with the same lines."""

    def __init__(self, edges: Edges) -> None:
        self._answers = {id_: Answer(hearers) for id_, hearers in edges.claims.items()}
        self._operations: dict[str, Nodes] = {unit.correlation_id: {} for unit in edges.clockless}
        self._clockless = edges.clockless
        self._numbers = {unit.id for unit in edges.clockless if not unit.caller}
        self._seen: set[str] = set()

    @property
    def wanted(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._answers or self._operations)

    def add(self, line: Line) -> None:
        """Take in one line."""
        correlation_id = text_of(line, "correlation_id")
        answer = self._answers.get(correlation_id)
        if answer is not None and is_last(line):
            self._add_answer(answer, unit_of(line))
        nodes = self._operations.get(correlation_id)
        if nodes is not None:
            _add_node(nodes, line)

    def _add_answer(self, answer: Answer, unit: Unit) -> None:
        if unit.id in self._seen:
            return
        self._seen.add(unit.id)
        answer.present.add(unit.way.service)
        # With a caller: a proxy may have put an ID of its own in the place of the caller's.
        replaced = unit.caller in answer.heard_by and unit.source in TAKEN_OVER
        if unit.way.kind == HTTP and (not unit.caller or replaced):
            answer.begun.append(unit)

    def lost(self) -> Iterator[tuple[str, Unit]]:
        """Yield each unit whose caller's ID was lost on the way, with that caller."""
        for answer in self._answers.values():
            callers = answer.heard_by - answer.present
            origins = [unit for unit in answer.begun if unit.source not in TAKEN_OVER]
            for unit in origins or answer.begun:
                chosen = callers & {unit.caller} if unit.caller else callers
                if chosen:
                    yield " or ".join(sorted(chosen)), unit

    def without_clock(self) -> Iterator[tuple[str, Unit]]:
        """Yield each unit that got no clock, with who sent it: nothing if from outside, or "?"."""
        for unit in self._clockless:
            nodes = self._operations[unit.correlation_id]
            if not unit.caller:
                yield self._sender(unit, nodes), unit
            elif (cause := nodes.get(unit.causation)) and cause.whole:
                # Else its caller's own clock was broken, and said nothing yet.
                yield unit.caller, unit

    def _sender(self, unit: Unit, nodes: Nodes) -> str:
        """Return who sent *unit*, as far as that is sure; "?" where somebody may have."""
        others = {key for key in nodes if key != unit.id and unit.id not in _above(key, nodes)}
        if unit.way.kind == HTTP:
            chosen = self._who_heard(unit, others, nodes)
        else:
            chosen = [key for key in others if unit.way.place in nodes[key].sent_to]
        if chosen:
            return " or ".join(sorted({nodes[key].service for key in chosen}))
        return "?" if others else ""

    def _who_heard(self, unit: Unit, others: set[str], nodes: Nodes) -> list[str]:
        """Return who has called *unit* by what its answer did to the caller's clock."""
        busy = [key for key in others if nodes[key].requests > _requests_below(key, nodes)]
        hearers = [key for key in busy if unit.id in nodes[key].heard]
        if hearers:
            return self._nearest(hearers, unit.id, nodes)
        # An answer without a line behind it says at least that the clock is broken: to one who
        # is behind no broken hop himself. Where there is none, all may be from outside.
        told = [key for key in busy if nodes[key].broken and not self._is_behind(key, nodes)]
        return told and [*told, *(key for key in busy if self._is_behind(key, nodes))]

    def _is_behind(self, key: str, nodes: Nodes) -> bool:
        return not self._numbers.isdisjoint({key, *_above(key, nodes)})

    def _nearest(self, hearers: list[str], number: str, nodes: Nodes) -> list[str]:
        """Return who may have called the unit *number*, of those whose lines name it.

        Who names it first in a later line has heard an answer, so it is that unit or one below.
        In a first line it may have come with the request.
        """
        sure = [key for key in hearers if nodes[key].heard[number] > nodes[key].first]
        above = {name for key in sure for name in _above(key, nodes)}
        nearest = [key for key in sure if key not in above]
        below = [
            key
            for key in hearers
            if key not in sure
            and (
                not sure
                or not _above(key, nodes).isdisjoint(nearest)
                or self._is_behind(key, nodes)
            )
        ]
        return [*nearest, *below]


def _add_node(nodes: Nodes, line: Line) -> None:
    key = unit_id(line)
    node = nodes.get(key)
    if node is None:
        if len(nodes) >= MOST_IN_OPERATION:
            return
        node = nodes[key] = Node(text_of(line, "service") or "?")
    node.causation = node.causation or text_of(line, "causation_id")
    if line.get("lc_broken") is True:
        node.broken = True
    else:
        node.whole = True
    number = number_of(line, "lc")
    node.first = min(number, node.first)
    for name in _POINTERS:
        for pointer in texts_of(line, name):
            strand = pointer[:16]
            node.heard[strand] = max(number, node.heard.get(strand, 0))
    if is_last(line):
        node.kind = unit_of(line).way.kind
        node.requests = number_of(line, "calls") - number_of(line, "messaging_sent")
        node.sent_to = tuple(texts_of(line, "messaging_sent_to"))


def _above(key: str, nodes: Nodes) -> set[str]:
    """Return the units that caused the unit *key*."""
    found: set[str] = set()
    while (node := nodes.get(key)) and node.causation and node.causation not in found:
        key = node.causation
        found.add(key)
    return found


def _requests_below(key: str, nodes: Nodes) -> int:
    return sum(node.causation == key and node.kind == HTTP for node in nodes.values())
