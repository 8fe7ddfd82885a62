"""Write a story for programs: as JSON, and as a log that ShiViz draws."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson

from obskit.order import Event
from obskit.story.blame import Culprit
from obskit.story.clocks import Clocks
from obskit.story.telling import Story
from obskit.story.units import Unit
from obskit.story.words import clean

SHIVIZ_PATTERN = r"(?<host>\S*) (?<clock>{.*})\n(?<event>.*)"


def render_json(story: Story, *, times: bool = True) -> str:
    """Return *story* as one JSON object, indented.

    Use it in scripts and tests. ``lines`` are in causal order; ``relation`` says how each one
    relates to the one before it, ``causes`` are indexes of the lines that told it something.
    Without *times* no wall clock is in it.
    """
    index = {id(event): number for number, event in enumerate(story.events)}
    found: dict[str, Any] = {
        "correlation_id": story.correlation_id,
        "culprit": _culprit(story.culprit, index),
        "also_failed": [_culprit(one, index) for one in story.verdict.culprits[1:]],
        "made_good": [unit.name for unit in story.verdict.recovered],
        "units": [_unit(unit) for unit in story.units],
        "lines": [
            _line(event, word, index, times=times)
            for event, word in zip(story.events, story.words, strict=True)
        ],
        "broken_hops": [{"to": hop.unit.name, "from": hop.sender} for hop in story.broken],
        "after_caller_left": [
            {"unit": one.unit.name, "caller": one.caller.name, "lines": one.lines}
            for one in story.left
        ],
        "same_time": [[one.name, other.name] for one, other in story.together],
        "lost": [
            {"service": loss.service, "host": loss.host, "lines": loss.count} for loss in story.lost
        ],
        "repeated": story.order.repeated,
        "conflicts": len(story.order.conflicts),
        "forged": [index[id(event)] for event in story.order.forged],
        "without_place": _sorted(story.order.unplaced, times=times),
    }
    if times:
        found["clocks"] = _clocks(story.clocks)
    return orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str).decode()


def _culprit(culprit: Culprit | None, index: dict[int, int]) -> dict[str, Any] | None:
    if culprit is None:
        return None
    return {
        "name": culprit.name,
        "service": culprit.unit.service if culprit.unit else None,
        "fault": culprit.fault,
        "line": index.get(id(culprit.evidence)),
        "first_sign": index.get(id(culprit.sign)),
        "made_fail": [unit.name for unit in culprit.victims],
    }


def _unit(unit: Unit) -> dict[str, Any]:
    return {
        "id": unit.id,
        "name": unit.name,
        "service": unit.service,
        "host": unit.host,
        "outcome": unit.outcome,
        "duration_ms": unit.said("duration_ms"),
        "parent": unit.parent.id if unit.parent else None,
        "parent_guessed": unit.guessed,
    }


def _line(event: Event, word: str | None, index: dict[int, int], *, times: bool) -> dict[str, Any]:
    line = {key: value for key, value in event.line.items() if times or key != "timestamp"}
    causes = sorted(index[id(cause)] for cause, _ in event.causes)
    return {"relation": word, "causes": causes, "incomplete": event.incomplete, "line": line}


def _sorted(lines: list[Any], *, times: bool) -> list[dict[str, Any]]:
    plain = [{key: line[key] for key in line if times or key != "timestamp"} for line in lines]
    return sorted(plain, key=lambda line: repr(sorted(line.items(), key=lambda item: item[0])))


def _clocks(clocks: Clocks) -> dict[str, Any]:
    return {
        "contradicting": clocks.contradicting,
        "offsets": [
            {
                "service": item.clock[0],
                "host": item.clock[1],
                "reference": item.reference[0],
                "least_seconds": _finite(item.least),
                "most_seconds": _finite(item.most),
            }
            for item in clocks.offsets
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if abs(value) < float("inf") else None


def render_shiviz(story: Story) -> str:
    """Return *story* as a log for ShiViz, which draws who told whom.

    Its first line is the expression that ShiViz needs to read the rest, its second one is
    empty. Lost lines leave no gap: the lines of a strand are numbered as they are here, since
    ShiViz draws nothing where a number is missing.
    """
    ranks: dict[tuple[str, int], int] = {}
    counts: dict[str, int] = defaultdict(int)
    names: dict[str, str] = {}
    vectors: dict[int, dict[str, int]] = {}
    rows = [SHIVIZ_PATTERN, ""]
    for event in story.events:
        counts[event.strand] += 1
        ranks[event.strand, event.n] = counts[event.strand]
        if event.strand not in names:
            service = "_".join(clean(event.line.get("service") or "unknown").split())
            names[event.strand] = f"{service}-{len(names) + 1}"
        vector: dict[str, int] = {}
        for before in event.predecessors:
            for strand, rank in vectors[id(before)].items():
                vector[strand] = max(rank, vector.get(strand, 0))
        vector[event.strand] = counts[event.strand]
        vectors[id(event)] = vector
        clock = {names[strand]: rank for strand, rank in vector.items()}
        rows.append(f"{names[event.strand]} {orjson.dumps(clock).decode()}")
        rows.append(
            f"{clean(event.line.get('level') or '').upper()} {clean(event.line.get('message', ''))}"
        )
    return "\n".join(rows) + "\n"
