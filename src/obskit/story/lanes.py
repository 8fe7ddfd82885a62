"""Draw each unit of work as a lane, and causes between units as lines from lane to lane."""

from __future__ import annotations

from obskit.order import Event
from obskit.story.units import Unit, is_loud

MOST_LANES = 12
DOT, ERROR = "●", "✗"


def draw(events: list[Event], units: list[Unit]) -> list[str]:
    """Return for each line its part of the picture, all of the same width."""
    last = {unit.id: id(unit.last) for unit in units}
    lanes: list[str | None] = []
    where: dict[str, int] = {}
    rows = []
    for event in events:
        lane = where.get(event.hop)
        if lane is None:
            lane = where[event.hop] = _take(lanes, event.hop)
        sources = {where[cause.hop] for cause, _ in event.causes if cause.hop in where} - {lane}
        rows.append(_row(lanes, lane, sources, ERROR if is_loud(event) else DOT))
        if last[event.hop] == id(event) and lanes[lane] == event.hop:
            lanes[lane] = None
    width = max(map(len, rows), default=0)
    return [row.ljust(width) for row in rows]


def _take(lanes: list[str | None], hop: str) -> int:
    """Return the first free lane; those who find none share the last one."""
    if None in lanes:
        lane = lanes.index(None)
        lanes[lane] = hop
        return lane
    if len(lanes) == MOST_LANES:
        lanes[-1] = hop
        return MOST_LANES - 1
    lanes.append(hop)
    return len(lanes) - 1


def _row(lanes: list[str | None], own: int, sources: set[int], mark: str) -> str:
    low, high = min({own, *sources}), max({own, *sources})
    cells = []
    for lane in range(len(lanes)):
        cells.append(mark if lane == own else _cell(lanes[lane], lane, low, high, sources))
        cells.append("─" if low <= lane < high else " ")
    return "".join(cells).rstrip()


def _cell(hop: str | None, lane: int, low: int, high: int, sources: set[int]) -> str:
    inside = low <= lane <= high
    if inside and lane in sources:
        goes_on = hop is not None
        if lane == low:
            return "├" if goes_on else "└"
        if lane == high:
            return "┤" if goes_on else "┘"
        return "┼"
    if hop is not None:
        return "│"
    return "─" if inside else " "
