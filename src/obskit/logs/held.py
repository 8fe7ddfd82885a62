"""Keep lines below the level of a unit of work, and write them only if it ends badly.

They are kept as they were logged, without being made into JSON; what could change or be large is
made plain at once. Where somebody has asked for the lines of the operation, they are written at
once instead.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from threading import RLock
from time import time_ns
from typing import Any

from obskit import clock, context
from obskit.context import PROCESS, Context
from obskit.logs import below, constant, levels, pipeline
from obskit.logs.line import RESERVED, Error, described
from obskit.logs.losses import contain
from obskit.observation import FAILURES, Message, Observation

MOST_UNITS = 1000
MOST_BYTES_OF_UNIT = 256 * 1024
MOST_BYTES = 16 * 1024**2
LONGEST_TEXT = 8192
LONGEST_FIELDS = 16_000
# What a line takes beside its texts, about.
OWN_BYTES = 500
_NUMBERS = frozenset({int, float, bool, type(None)})

Told = tuple[int, str, object, Mapping[str, Any], "Error | None", "str | None", int]


# Where a line stands that took no number, behind all of its hop so far and before what follows:
# the strand with the number of its last line, the largest Lamport number that was known, causes
# that no line had told yet (fine, coarse), whether the hop is broken, and how many such lines of
# the unit of work there were.
Place = tuple[clock.Strand, int, int, tuple[str, ...], tuple[str, ...], bool, int]

# A line that is kept, with the context that it was logged in, and about how many bytes it takes.
Line = tuple[Context, "Place | None", Told, int]


class Ring:
    """The last lines below the level of one unit of work; *over* when it takes no more."""

    __slots__ = ("count", "lines", "over", "size")

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.size = 0
        self.count = 0
        self.over = False


class Watch:
    """Takes what is logged below the level, where that is wanted: `levels.watch`."""

    def __init__(self, most: int, durable: tuple[str, ...]) -> None:
        self.most = most
        self._durable = tuple(item.partition("=")[0].strip() for item in durable)

    def wants(self) -> bool:
        """Tell whether lines below the level of this task's unit of work are of use."""
        here = context.get()
        if here is None:
            return False
        unit = here.unit
        return unit.debug or (self.most > 0 and not unit.answered and unit is not PROCESS)

    def take(
        self, level: int, logger: str, message: object, fields: Mapping[str, Any],
        template: object = None, *, error: Error | None = None, stack: str | None = None,
        when_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Write or keep a line below the level, or leave it; takes what `pipeline.emit` does."""
        try:
            here = context.get()
            if here is None:
                return
            unit = here.unit
            if unit.debug:
                pipeline.emit(
                    level, logger, message, fields, template,
                    error=error, stack=stack, when_ns=when_ns,
                )  # fmt: skip
            elif self.most and not (unit.answered or unit is PROCESS or self._is_durable(logger)):
                at_ns = time_ns() if when_ns is None else when_ns
                told, size = _plain(level, logger, message, fields, error, stack, at_ns)
                _keep(here, told, size, self.most)
        except Exception as fault:
            contain(fault)

    # What `logging` asks, which is not imported before there is a watch.
    is_below = staticmethod(below.is_below)
    log = staticmethod(below.log)

    def _is_durable(self, logger: str) -> bool:
        names = self._durable
        return bool(names) and any(logger == one or logger.startswith(one + ".") for one in names)


_lock = RLock()
# The oldest first; whoever ends takes his own out.
_rings: dict[Ring, None] = {}
_bytes = 0


def configure(most: int, durable: tuple[str, ...]) -> None:
    """Keep at most *most* lines of each unit of work from now on; none if it is 0."""
    levels.watch = Watch(most, durable)
    below.install()


def forget() -> None:
    """Take no lines any more, and throw away those that are kept."""
    levels.watch = None
    below.remove()
    with _lock:
        for ring in list(_rings):
            _drop(ring)


def _plain(
    level: int,
    logger: str,
    message: object,
    fields: Mapping[str, Any],
    error: Error | None,
    stack: str | None,
    when_ns: int,
) -> tuple[Told, int]:
    """Return what is told as values that do not change and hold nothing alive, and its size."""
    size = OWN_BYTES
    kept = dict(fields)
    for value in kept.values():
        kind = type(value)
        if kind is str and len(value) <= LONGEST_TEXT:
            size += len(value)
        elif kind not in _NUMBERS:
            kept, size = _rendered(fields)
            break
    if type(message) is not str or len(message) > LONGEST_TEXT:
        from obskit.logs.rendering import Careful

        message = Careful().text(message)[:LONGEST_TEXT]
    size += len(message)
    if error is not None:
        error = described(error)
        size += len(error.message) + len(error.stack)
    return (level, logger, message, kept, error, stack, when_ns), size + len(stack or "")


def _rendered(fields: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return *fields* made of what JSON has, as far as a line has room for them, and the size."""
    from obskit.logs import budget
    from obskit.logs.formats import json
    from obskit.logs.rendering import Careful

    made = Careful().fields(fields, RESERVED)
    made = budget.fit("", made, LONGEST_FIELDS, json.dumps)[1]
    # The line will be shortened once more, which is what is said on it.
    made.pop(budget.TRUNCATED, None)
    return made, OWN_BYTES + len(json.dumps(made))


def place(number: int) -> Place | None:
    """Return where a line would stand that was held back now, as the one with this *number*."""
    position = clock.here()
    if position is None:
        return None
    strand, n, after = position
    hop = strand.hop
    lc, floor, heard = hop.lc, hop.floor, hop.heard
    if heard and lc:
        # The number jumps here: without the last one a lost line could hide in the gap.
        heard = (f"{hop.id}-{lc}", *heard)
    return strand, n, lc if lc > floor else floor, after, heard, hop.broken, number


def _keep(here: Context, told: Told, size: int, most: int) -> None:
    """Keep a line, and throw away the oldest ones for which there is no more room."""
    global _bytes
    unit = here.unit
    with _lock:
        ring: Ring | None = unit.held
        if ring is None:
            ring = unit.held = Ring()
            _rings[ring] = None
        if ring.over:
            return
        ring.count += 1
        ring.lines.append((here, place(ring.count), told, size))
        ring.size += size
        _bytes += size
        while len(ring.lines) > most or ring.size > MOST_BYTES_OF_UNIT:
            gone = ring.lines.popleft()[3]
            ring.size -= gone
            _bytes -= gone
        while _rings and (len(_rings) > MOST_UNITS or _bytes > MOST_BYTES):
            _drop(next(iter(_rings)))


def _drop(ring: Ring) -> list[Line]:
    """Take *ring* out of those that are kept, and return its lines."""
    global _bytes
    with _lock:
        lines = list(ring.lines)
        if ring in _rings:
            del _rings[ring]
            _bytes -= ring.size
        ring.over = True
        ring.size = 0
        ring.lines.clear()
    return lines


class Rings:
    """Hear of the end of units of work; be the first to, so that held lines precede the summary."""

    __slots__ = ()

    hears_starts = hears_steps = False

    def start(self, observation: Observation) -> None:
        """Hear that *observation* has begun: nothing is kept yet."""

    def end(self, observation: Observation) -> None:
        """Write what was kept of *observation* if it ended badly, and throw it away if not."""
        here = observation.context
        if here is None or not observation.entry or here.unit.held is None:
            return
        lines = _drop(here.unit.held)
        if _is_bad(observation):
            for line in lines:
                _write(line)


def _is_bad(observation: Observation) -> bool:
    return observation.outcome in FAILURES or (
        isinstance(observation, Message) and (observation.retried or observation.dead_lettered)
    )


def _write(line: Line) -> None:
    """Write a line that was kept, as what it was when it was logged."""
    try:
        if not pipeline.is_on():
            return
        here, at, (level, logger, message, fields, error, stack, when_ns), _ = line
        fields, process = {**fields, "obskit_held": True}, pipeline._process
        rendered = here.rendered
        if rendered is None or rendered[0] is not process:
            rendered = constant.render(here, process)
        clocks = "" if at is None else piece(at)
        pipeline._slowly(
            here, rendered, level, logger, message, fields, error, stack, when_ns, clocks
        )
    except Exception as fault:
        contain(fault)


def piece(place: Place) -> str:
    """Return the clock fields of a line that was held back, with a comma before each."""
    strand, n, lc, after, heard, broken, number = place
    text = f',"lc":{lc},"lc_at":"{strand.id}-{n}.{number}"'
    if strand.id != strand.hop.id:
        text += f',"lc_hop":"{strand.hop.id}"'
    if broken:
        text += ',"lc_broken":true'
    if after:
        text += ',"lc_after":["' + '","'.join(after) + '"]'
    if heard:
        text += ',"lc_seen":["' + '","'.join(heard) + '"]'
    return text


def _begin_anew() -> None:
    """Leave what is kept to the parent, after a fork."""
    global _lock, _bytes
    _lock = RLock()
    for ring in list(_rings):
        ring.lines.clear()
        ring.size = 0
    _rings.clear()
    _bytes = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
