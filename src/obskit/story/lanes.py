"""Draw each unit of work as a lane, and causes between units as lines from lane to lane."""

from __future__ import annotations

from obskit.order import Event
from obskit.story.units import Unit, is_loud

MOST_LANES = 12
DOT, ERROR = "●", "✗"


def draw(events: list[Event], units: list[Unit]) -> list[str]:
    """Return for each line its part of the picture, all of the same width."""
    parents = {id(unit.first): unit.parent.id for unit in units if unit.parent is not None}
    closing = _closing(events, parents)
    lanes: list[str | None] = []
    where: dict[str, int] = {}
    rows = []
    for event in events:
        lane = where.get(event.hop)
        if lane is None:
            lane = where[event.hop] = _take(lanes, event.hop)
        parent = parents.get(id(event))
        causes = [parent] if parent in where else [cause.hop for cause, _ in event.causes]
        sources = {where[hop] for hop in causes if hop in where} - {lane}
        over = [hop for hop in closing.get(id(event), ()) if lanes[where[hop]] == hop]
        for hop in over:
            lanes[where[hop]] = None
        rows.append(_row(lanes, lane, sources, ERROR if is_loud(event) else DOT))
    width = max(map(len, rows), default=0)
    return [row.ljust(width) for row in rows]


def _closing(events: list[Event], parents: dict[int, str]) -> dict[int, list[str]]:
    """Return the units whose lanes end at an event: their last, or the first of a late child."""
    last: dict[str, int] = {}
    for event in events:
        last[event.hop] = id(event)
        if id(event) in parents:
            last[parents[id(event)]] = id(event)
    closing: dict[int, list[str]] = {}
    for hop, event_id in last.items():
        closing.setdefault(event_id, []).append(hop)
    return closing


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
