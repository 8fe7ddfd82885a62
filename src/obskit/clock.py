"""Keep the causal clock: who logged before whom, without trusting any wall clock.

Every line of a unit of work gets a Lamport number and a place on a *strand*, a chain of
lines in one process that surely follow each other. Strands that diverge (tasks, threads)
are found through the ContextVar: a copied context holds a position that the strand's
head has left behind.
"""

from __future__ import annotations

import os
import re
import threading
from contextvars import ContextVar
from typing import NamedTuple

LARGEST_LC = 2**52
LARGEST_N = 2**31 - 1
LONGEST_HEADER = 256
MOST_POINTERS = 8

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_HEADER = re.compile(
    r"1\.([0-9a-z]{1,11})"
    r"(?:\.([0-9a-f]{16}))?"
    r"((?:\.[0-9a-f]{16}[-~][0-9a-z]{1,11}){0,8})"
    r"(\.x)?",
    re.ASCII,
)


class Cause(NamedTuple):
    """Say what is known to have happened before a message was sent.

    *after* holds fine pointers ``<strand>-<n>`` (all lines of that strand up to n), *seen*
    coarse ones ``<hop>-<lc>`` (all lines of that hop up to lc). *broken* means that some
    hop behind this one carried the operation but no clock.
    """

    lc: int
    after: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    broken: bool = False


class Hop:
    """Count the Lamport number of one operation inside one process."""

    __slots__ = ("generation", "id", "lc", "lock")

    def __init__(self, hop_id: str, lc: int) -> None:
        self.id = hop_id
        self.lc = lc
        # Reentrant, because a signal handler may log while its own thread is in tick().
        self.lock = threading.RLock()
        self.generation = _generation


class Strand:
    """Number the lines of one chain densely, so that a hole means a lost line."""

    __slots__ = ("head", "hop", "id", "tail")

    def __init__(self, hop: Hop, strand_id: str, *, broken: bool = False) -> None:
        self.hop = hop
        self.id = strand_id
        self.head = 0
        tail = '"' if strand_id == hop.id else f'","lc_hop":"{hop.id}"'
        self.tail = tail + ',"lc_broken":true' if broken else tail


# The sender's own strand and nothing else, as most requests carry it.
_PLAIN_HEADER = re.compile(r"1\.([0-9a-z]{1,10})\.([0-9a-f]{16})-([0-9a-z]{1,5})", re.ASCII)

# strand, number of the last line emitted here, pending fine and coarse pointers, broken
Position = tuple[Strand, int, tuple[str, ...], tuple[str, ...], bool]

_position: ContextVar[Position | None] = ContextVar("obskit_clock", default=None)
_generation = 0


def _renew_after_fork() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


current = _position.get
"""Return where this task stands, or None outside of a unit of work."""

attach = _position.set
"""Make a position the place of this task."""


def begin(strand_id: str, cause: Cause | None = None, *, broken: bool = False) -> Position:
    """Return the first position of a hop that begins with *cause*."""
    if cause is None:
        return (Strand(Hop(strand_id, 0), strand_id, broken=broken), 0, (), (), broken)
    broken = broken or cause.broken
    strand = Strand(Hop(strand_id, cause.lc), strand_id, broken=broken)
    return (strand, 0, cause.after, cause.seen, broken)


def tick() -> str:
    """Count one emitted line and return its clock fields as a piece of JSON.

    The piece has no braces and no outer commas; it is empty outside of a unit of work.
    """
    position = _position.get()
    if position is None:
        return ""
    strand, n, after, seen, broken = position
    hop = strand.hop
    if hop.generation != _generation:
        strand, n, after = _reborn(strand, n, after, broken)
        hop = strand.hop
    while True:
        # Straight-line code: no call and no allocation that a signal handler or a
        # finalizer could use to come in between the comparison and the two stores.
        with hop.lock:
            if strand.head == n:
                n += 1
                strand.head = n
                lc = hop.lc + 1
                hop.lc = lc
                break
        strand, n, after = _diverge(strand, n, after, broken)
    if not after and not seen:
        _position.set((strand, n, (), (), broken))
        return f'"lc":{lc},"lc_at":"{strand.id}-{n}{strand.tail}'
    _position.set((strand, n, (), (), broken))
    piece = f'"lc":{lc},"lc_at":"{strand.id}-{n}{strand.tail}'
    if after:
        piece += ',"lc_after":["' + '","'.join(after) + '"]'
    if seen:
        piece += ',"lc_seen":["' + '","'.join(seen) + '"]'
    return piece


def _diverge(
    strand: Strand, n: int, after: tuple[str, ...], broken: bool
) -> tuple[Strand, int, tuple[str, ...]]:
    if n:
        after = _merge(after, (f"{strand.id}-{n}",))
    return Strand(strand.hop, os.urandom(8).hex(), broken=broken), 0, after


def _reborn(
    strand: Strand, n: int, after: tuple[str, ...], broken: bool
) -> tuple[Strand, int, tuple[str, ...]]:
    """Begin anew in a forked child: the parent goes on counting the old strand."""
    if n:
        after = _merge(after, (f"{strand.id}-{n}",))
    strand_id = os.urandom(8).hex()
    return Strand(Hop(strand_id, strand.hop.lc), strand_id, broken=broken), 0, after


def join(cause: Cause) -> None:
    """Take in the clock of an answer: what the callee did came before our next line."""
    position = _position.get()
    if position is None:
        return
    strand, n, after, seen, broken = position
    hop = strand.hop
    if hop.generation != _generation:
        strand, n, after = _reborn(strand, n, after, broken)
        hop = strand.hop
    lc = cause.lc
    with hop.lock:
        if hop.lc < lc:
            hop.lc = lc
    if cause.broken and not broken:
        strand, n, after = _diverge(strand, n, after, broken=True)
        broken = True
    _position.set((strand, n, _merge(after, cause.after), _merge(seen, cause.seen), broken))


def frontier() -> Cause | None:
    """Return what a message sent now must carry, or None outside of a unit of work."""
    position = _position.get()
    if position is None:
        return None
    strand, n, after, seen, broken = position
    hop = strand.hop
    if n:
        after = _merge(after, (f"{strand.id}-{n}",))
    lc = hop.lc
    return Cause(lc, after, _merge(seen, (f"{hop.id}-{lc}",)), broken)


def pending() -> int:
    """Return how many pointers a message sent now would carry."""
    cause = frontier()
    return 0 if cause is None else len(cause.after) + len(cause.seen) - 1


def header() -> str | None:
    """Return the frontier as the value of ``Obskit-Cause``, or None outside of a unit."""
    position = _position.get()
    if position is None:
        return None
    strand, n, after, seen, broken = position
    hop = strand.hop
    lc = hop.lc
    text = "1." + base36(lc)
    if hop.id != strand.id or not n:
        text += "." + hop.id
    if n:
        text += f".{strand.id}-{base36(n)}"
    if after or seen:
        room = MOST_POINTERS - 1 if n else MOST_POINTERS
        items = [_on_wire(pointer, "-") for pointer in after if pointer[:16] != strand.id]
        items += [_on_wire(pointer, "~") for pointer in seen if pointer[:16] != hop.id]
        text += "".join(items[-room:])
    return text + ".x" if broken else text


def parse(text: str) -> Cause | None:
    """Return the Cause in a value of ``Obskit-Cause``, or None if it is not a valid one."""
    match = _PLAIN_HEADER.fullmatch(text)
    if match is not None:
        lc = int(match[1], 36)
        return Cause(lc, (f"{match[2]}-{int(match[3], 36)}",), (f"{match[2]}-{lc}",))
    if len(text) > LONGEST_HEADER:
        return None
    match = _HEADER.fullmatch(text)
    if match is None:
        return None
    lc = int(match[1], 36)
    if lc > LARGEST_LC:
        return None
    after: list[str] = []
    seen: list[str] = []
    for item in match[3].split(".")[1:]:
        number = int(item[17:], 36)
        if item[16] == "~":
            if number > LARGEST_LC:
                return None
            seen.append(f"{item[:16]}-{number}")
        elif number > LARGEST_N:
            return None
        else:
            after.append(f"{item[:16]}-{number}")
    hop = match[2] or (after[0][:16] if after else None)
    if hop is not None:
        seen.insert(0, f"{hop}-{lc}")
    return Cause(lc, tuple(after), tuple(seen), match[4] is not None)


def base36(number: int) -> str:
    """Return a non-negative *number* in base 36."""
    if number < 36:
        return _DIGITS[number]
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def _on_wire(pointer: str, mark: str) -> str:
    return f".{pointer[:16]}{mark}{base36(int(pointer[17:]))}"


def _merge(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Unite two sets of pointers; of one strand or hop, the larger number stays."""
    if not old:
        return new
    if not new or new == old:
        return old
    numbers = {pointer[:16]: int(pointer[17:]) for pointer in old}
    for pointer in new:
        strand, number = pointer[:16], int(pointer[17:])
        numbers[strand] = max(number, numbers.get(strand, 0))
    return tuple(f"{strand}-{number}" for strand, number in numbers.items())
