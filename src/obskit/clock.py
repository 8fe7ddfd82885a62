"""Keep the causal clock: who logged before whom, without trusting any wall clock.

Every line of a unit of work gets a Lamport number and a place on a *strand*, a chain of
lines in one process that surely follow each other. Strands that diverge (tasks, threads)
are found through the ContextVar: a copied context holds a position that the strand's
head has left behind.
"""

from __future__ import annotations

import os
import re
import sys
from _thread import RLock
from collections.abc import Callable
from contextvars import ContextVar

from obskit.pattern import Pattern
from obskit.pointers import base36 as base36
from obskit.pointers import fit as _fit
from obskit.pointers import merge as _merge
from obskit.pointers import on_wire as _on_wire
from obskit.pointers import read as _pointers
from obskit.record import Record

LARGEST_LC = 2**52
LARGEST_N = 2**31 - 1
LONGEST_HEADER = 256
MOST_POINTERS = 8

_HEADER = Pattern(
    r"1\.([0-9a-z]{1,11})"
    r"(?:\.([0-9a-f]{16}))?"
    r"((?:\.[0-9a-f]{16}[-~][0-9a-z]{1,11}){0,8})"
    r"(\.x)?",
    re.ASCII,
)


class Cause(Record):
    """Say what is known to have happened before a message was sent.

    *after* holds fine pointers ``<strand>-<n>`` (all lines of that strand up to n), *seen*
    coarse ones ``<hop>-<lc>`` (all lines of that hop up to lc, which is that of a line).
    *broken* means that some hop behind this one carried the operation but no clock.
    """

    lc: int
    after: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    broken: bool = False


class Hop:
    """Count the Lamport number of one operation inside one process.

    *lc* is that of the last line, *floor* the largest that was heard. What was *heard*
    since that line stands here and not at the position: a task that took in an answer may
    end without a line, and whoever waited for it writes the next one. There are *news* while
    any of it is for the next line to tell, and for ever where the hop was *torn*: broken late.
    """

    torn = False

    def __init__(
        self, hop_id: str, floor: int, heard: tuple[str, ...], broken: bool, news: bool
    ) -> None:
        self.id = hop_id
        self.lc = 0
        self.floor = floor
        self.heard = heard
        self.broken = broken
        self.news = news
        self.generation = _generation


class Strand:
    """Number the lines of one chain densely, so that a hole means a lost line."""

    def __init__(self, hop: Hop, strand_id: str) -> None:
        self.hop = hop
        self.id = strand_id
        self.head = 0
        broken = self.broken = hop.broken
        tail = '"' if strand_id == hop.id else f'","lc_hop":"{hop.id}"'
        self.tail = f'{tail},"lc_broken":true' if broken else tail


# The sender's own strand and nothing else, as most requests carry it.
PLAIN = r"1\.([0-9a-z]{1,10})\.([0-9a-f]{16})(?:-([0-9a-z]{1,5}))?"
_PLAIN_HEADER = Pattern(PLAIN, re.ASCII)

# strand, number of the last line emitted here, pending fine pointers
Position = tuple[Strand, int, tuple[str, ...]]

_position: ContextVar[Position | None] = ContextVar("obskit_clock", default=None)
# With its global lock CPython lets no other thread, signal handler or finalizer go on in the
# middle of code without calls and loops: there a number is taken without a lock of ours.
ATOMIC: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
# One for all hops: it is held for a few stores, and a lock of each hop's own costs more to make
# than to share. Reentrant, because a signal handler may log while its own thread is in tick().
_lock = RLock()
_generation = 0
_heirs: dict[Hop, Hop] = {}

join_line: Callable[[], None] | None = None
"""Write a line now, because a message has more pointers than it can carry; set by the log."""


def _renew_after_fork() -> None:
    global _generation, _heirs, _lock
    _generation += 1
    _heirs = {}
    # A thread that was not forked along may hold the old one.
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


current = _position.get
"""Return where this task stands, or None outside of a unit of work."""

attach = _position.set
"""Make a position the place of this task."""


def begin(strand_id: str, cause: Cause | None = None, broken: bool = False) -> Position:
    """Return the first position of a hop that begins with *cause*."""
    if cause is None:
        return (Strand(Hop(strand_id, 0, (), broken, False), strand_id), 0, ())
    hop = Hop(strand_id, cause.lc, cause.seen, broken or cause.broken, True)
    return (Strand(hop, strand_id), 0, cause.after)


def follow(strand_id: str, number: str, before: str, last: str | None) -> Position:
    """Return the first position of a hop that begins with what a plain header says."""
    lc = int(number, 36)
    heard = (f"{before}-{lc}",) if lc or last else ()
    hop = Hop(strand_id, lc, heard, False, True)
    return Strand(hop, strand_id), 0, () if last is None else (f"{before}-{int(last, 36)}",)


def tick() -> str:
    """Count one emitted line and return its clock fields as a piece of JSON.

    The piece has no braces and no outer commas; it is empty outside of a unit of work.
    """
    return fields()[1:]


def _fields() -> str:
    position = current()
    if position is None:
        return ""
    strand, n, after = position
    hop = strand.hop
    # From the last comparison to the last store there is no call and no allocation that a
    # thread, a signal handler or a finalizer could use to come in between; below it is the same.
    if after or hop.generation != _generation or strand.head != n or hop.news:
        return _fields_with_news(strand, n, after)
    n += 1
    strand.head = n
    lc = hop.lc + 1
    hop.lc = lc
    attach((strand, n, ()))
    return f',"lc":{lc},"lc_at":"{strand.id}-{n}{strand.tail}'


def _fields_with_news(strand: Strand, n: int, after: tuple[str, ...]) -> str:
    if strand.hop.generation != _generation:
        strand, n, after = _reborn(strand, n, after)
    hop = strand.hop
    while strand.head != n or strand.broken is not hop.broken:
        strand, n, after = _diverge(strand, n, after)
    n += 1
    strand.head = n
    last = lc = hop.lc
    if hop.floor > lc:
        lc = hop.floor
    lc += 1
    hop.lc = lc
    heard = hop.heard
    hop.heard = ()
    hop.news = hop.torn
    attach((strand, n, ()))
    piece = f',"lc":{lc},"lc_at":"{strand.id}-{n}{strand.tail}'
    if after:
        piece += ',"lc_after":["' + '","'.join(after) + '"]'
    if heard:
        # The number jumps here: without the last one a lost line could hide in the gap.
        own = f'{hop.id}-{last}","' if last else ""
        piece += f',"lc_seen":["{own}' + '","'.join(heard) + '"]'
    return piece


def _locked_fields() -> str:
    with _lock:
        return _fields()


fields = _fields if ATOMIC else _locked_fields
"""Do what `tick` does, and return the fields with a comma before each."""


def _diverge(strand: Strand, n: int, after: tuple[str, ...]) -> Position:
    """Begin a strand where another task went on first, or where the hop is broken from now on."""
    if n:
        after = _merge(after, (f"{strand.id}-{n}",))
    return Strand(strand.hop, os.urandom(8).hex()), 0, after


def _reborn(strand: Strand, n: int, after: tuple[str, ...]) -> Position:
    """Begin anew in a forked child: the parent goes on counting the old strand."""
    old = strand.hop
    hop = _heirs.get(old)
    if hop is None:
        hop = _heirs.setdefault(old, _heir(old))
    if n:
        after = _merge(after, (f"{strand.id}-{n}",))
    return Strand(hop, os.urandom(8).hex()), 0, after


def _heir(old: Hop) -> Hop:
    """Return the hop that all tasks of *old* share in this child."""
    heard = _merge((f"{old.id}-{old.lc}",), old.heard) if old.lc else old.heard
    return Hop(os.urandom(8).hex(), max(old.lc, old.floor), heard, old.broken, True)


def here() -> Position | None:
    """Return the position of this task, a new one in a forked child."""
    position = _position.get()
    if position is not None and position[0].hop.generation != _generation:
        position = _reborn(*position)
        _position.set(position)
    return position


def join(cause: Cause) -> None:
    """Take in the clock of an answer: what the callee did came before our next line."""
    position = here()
    if position is None:
        return
    strand, n, after = position
    hop, lc, broken = strand.hop, cause.lc, cause.broken
    news = tuple(pointer for pointer in cause.seen if pointer[:16] != hop.id)
    with _lock:
        heard: tuple[str, ...] | None = None
        # A line may be numbered meanwhile; the next one sees all that is taken in.
        while hop.heard is not heard:
            heard = hop.heard
            merged = _merge(heard, news)
        if lc > hop.floor:
            hop.floor = lc
        hop.heard = merged
        hop.news = True
        if broken:
            hop.broken = hop.torn = True
    _position.set((strand, n, _merge(after, cause.after)))


def pending() -> int:
    """Return how many pointers a message sent now would carry."""
    position = here()
    if position is None:
        return 0
    (strand, n, after), hop = position, position[0].hop
    others = sum(pointer[:16] != strand.id for pointer in after) if n else len(after)
    return (n > 0) + others + len(hop.heard) + (hop.floor > hop.lc)


def short_header() -> str | None:
    """Return what `header` does where that is as short as most are, else None."""
    position = _position.get()
    if position is None:
        return None
    strand, n, after = position
    hop = strand.hop
    lc = hop.lc
    if after or hop.heard or lc < hop.floor or hop.broken or hop.generation != _generation:
        return None
    if not n:
        return f"1.{base36(lc)}.{hop.id}"
    # A line that has come in between is one more that is known.
    return f"1.{base36(lc)}.{hop.id}-{base36(n)}" if hop.id == strand.id else None


def header() -> str | None:
    """Return the ``Obskit-Cause`` of a message sent now, or None outside of a unit of work."""
    position = _position.get()
    if position is None:
        return None
    strand, n, after = position
    hop = strand.hop
    if hop.generation != _generation:
        strand, n, after = here() or position
        hop = strand.hop
    with _lock:
        lc, floor, heard, broken = hop.lc, hop.floor, hop.heard, hop.broken
    text = "1." + base36(lc if lc > floor else floor)
    if hop.id != strand.id or not n:
        text += "." + hop.id
    items = []
    if after:
        own = (f"{strand.id}-{n}",) if n else ()
        items = [_on_wire(pointer, "-") for pointer in _merge(own, after)]
    elif n:
        text += f".{strand.id}-{base36(n)}"
    # No line of this hop has the largest number: say which one is the last that has one.
    coarse = [f".{hop.id}~{base36(lc)}"] if floor > lc else []
    if heard:
        coarse += [_on_wire(pointer, "~") for pointer in heard]
    if items or coarse:
        room = MOST_POINTERS - (n > 0 and not after)
        return _fit(text, items, coarse, room, LONGEST_HEADER, broken)
    return text + ".x" if broken else text


def parse(text: str) -> Cause | None:
    """Return the Cause in a value of ``Obskit-Cause``, or None if it is not a valid one."""
    match = _PLAIN_HEADER.fullmatch(text)
    if match is not None:
        number, hop, last = match.groups()
        lc = int(number, 36)
        fine = () if last is None else (f"{hop}-{int(last, 36)}",)
        return Cause(lc, fine, (f"{hop}-{lc}",) if lc or fine else ())
    match = None if len(text) > LONGEST_HEADER else _HEADER.fullmatch(text)
    if match is None:
        return None
    lc = int(match[1], 36)
    pointers = _pointers(match[3], LARGEST_N, LARGEST_LC)
    if lc > LARGEST_LC or pointers is None:
        return None
    after, seen = pointers
    hop = match[2] or (after[0][:16] if after else "")
    if hop and lc and not any(pointer[:16] == hop for pointer in seen):
        seen.insert(0, f"{hop}-{lc}")
    seen = [pointer for pointer in seen if not pointer.endswith("-0")]
    return Cause(lc, tuple(after), tuple(seen), match[4] is not None)
