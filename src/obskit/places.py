"""Read the place of a line in its operation, and what it says of lines before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Line = Mapping[str, Any]
Place = tuple[str, int]

LARGEST = 2**53
MOST_POINTERS = 4096
_POINTER = re.compile(r"([0-9a-f]{16})-([0-9]{1,16})", re.ASCII)
_PLACE = re.compile(r"([0-9a-f]{16})-([0-9]{1,16})(?:\.([0-9]{1,16}))?", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Event:
    """A line with its place in the operation, and what is known to lie before it.

    *fine* and *coarse* are its vectors: the last line of each other strand that caused it, the
    last one of each other hop that came before it. Lines without a new cause share them with
    their predecessor. *incomplete* says that lines of its past are lost, *broken* that a hop
    without a clock is in it. A line that was held back took no number: it has that of the last
    line before it, and a *sub*-number, which is 0 for all others.
    """

    __slots__ = (
        "after",
        "base",
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
        "sub",
    )

    def __init__(self, line: Line, strand: str, n: int, sub: int, lc: int, hop: str) -> None:
        self.line = line
        self.strand = strand
        self.n = n
        self.sub = sub
        self.lc = lc
        self.hop = hop
        # The number of the line of its hop that it was held back behind.
        self.base = 0
        self.after: tuple[Place, ...] = ()
        self.seen: tuple[Place, ...] = ()
        self.broken = False
        self.incomplete = False
        # What other strands and hops are known to have told this line.
        self.causes: list[tuple[Event, Any]] = []
        self.predecessors: list[Event] = []
        self.fine: dict[str, int] = {}
        self.coarse: dict[str, int] = {}

    @property
    def place(self) -> tuple[str, int, int]:
        """What no other line may claim."""
        return (self.strand, self.n, self.sub)

    @property
    def rank(self) -> tuple[int, int]:
        """What grows along each edge, and with each line of a hop."""
        return (self.lc, self.sub)

    @property
    def key(self) -> tuple[bool, int, bool, int, int, str, int]:
        """What sorts lines of which no more is known; what is behind a broken hop comes last.

        Of two that were held back the one whose own hop had got so far is likely the first.
        """
        return (self.broken, self.lc, self.sub > 0, -self.base, self.sub, self.strand, self.n)

    def __repr__(self) -> str:
        return f"<Event {self.strand}-{self.n}.{self.sub} lc={self.lc}>"


def place(line: Line) -> Event | None:
    """Return *line* as an event, or None if it has no readable clock."""
    text, lc = line.get("lc_at"), line.get("lc")
    match = _PLACE.fullmatch(text) if isinstance(text, str) else None
    if match is None or type(lc) is not int:
        return None
    strand, n, sub = match[1], int(match[2]), int(match[3] or 0)
    # What is held back before the first line has its number 0.
    least = 1 if match[3] is None else 0
    if n < least or not least <= lc <= LARGEST or (match[3] and not sub):
        return None
    hop = line.get("lc_hop", strand)
    if not (isinstance(hop, str) and _ID.fullmatch(hop)):
        return None
    event = Event(line, strand, n, sub, lc, hop)
    event.broken = line.get("lc_broken") is True
    event.after, torn = _pairs(line.get("lc_after"))
    event.seen, torn_too = _pairs(line.get("lc_seen"))
    event.incomplete = torn or torn_too
    return event


def _pair(text: object) -> Place | None:
    match = _POINTER.fullmatch(text) if isinstance(text, str) else None
    return (match[1], int(match[2])) if match else None


def _pairs(value: object) -> tuple[tuple[Place, ...], bool]:
    """Return the pointers in *value*, and whether some of it is not readable."""
    if value is None:
        return (), False
    if not isinstance(value, (list, tuple)) or len(value) > MOST_POINTERS:
        return (), True
    found = [_pair(item) for item in value]
    return tuple(pair for pair in found if pair), None in found
