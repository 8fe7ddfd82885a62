"""Name the culprit: the earliest unit of work that failed and that no other failure made fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from obskit.order import CAUSED, SEEN_AFTER, Event, relation
from obskit.story.units import Unit, ancestors, is_loud, was_answered

_WORDS = {"timeout": "ran out of time", "rejected": "refused the work"}


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who is to blame, and what shows it.

    *unit* is None where the culprit wrote none of the lines: then *name* is the peer's.
    *evidence* is the line that says it best, *sign* the first warning on the way to it,
    *victims* are the units that failed because of it.
    """

    name: str
    fault: str
    unit: Unit | None
    evidence: Event | None
    sign: Event | None
    victims: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that failed: the culprits, the first one first, and what failed but was made good."""

    culprits: tuple[Culprit, ...] = ()
    recovered: tuple[Unit, ...] = ()


def judge(units: list[Unit]) -> Verdict:
    """Return who is to blame for what failed in one operation."""
    failed = [unit for unit in units if unit.failed]
    if not failed and not any(unit.summary for unit in units):
        return Verdict(tuple(_by_lines(units)))
    recovered = [unit for unit in failed if _is_recovered(unit)]
    blamed: dict[int, tuple[Unit, str]] = {}
    victims: dict[int, list[Unit]] = {}
    for unit in failed:
        if any(one in recovered for one in (unit, *ancestors(unit))):
            continue
        for origin, peer in _origins(unit, frozenset()):
            blamed[id(origin)] = (origin, peer)
            if origin is not unit or peer:
                victims.setdefault(id(origin), []).append(unit)
    ranks = {id(unit): rank for rank, unit in enumerate(units)}
    culprits = [
        _culprit(unit, peer, victims.get(id(unit), []))
        for unit, peer in sorted(blamed.values(), key=lambda pair: _time_of_failure(pair[0], ranks))
    ]
    return Verdict(tuple(culprits), tuple(recovered))


def _time_of_failure(unit: Unit, ranks: dict[int, int]) -> tuple[bool, int, int]:
    """Return what sorts failures by cause: the number of the line that shows it."""
    shown = evidence_of(unit) or unit.last
    return (shown.broken, shown.lc, ranks[id(unit)])


def _is_recovered(unit: Unit) -> bool:
    """Tell whether the failure of *unit* hurt nobody: tried again, or its caller did without."""
    if any(_is_same_work(unit, other) and other.outcome == "ok" for other in _siblings(unit)):
        return True
    caller = unit.parent
    return bool(unit.is_request and caller and caller.summary and not caller.failed)


def _siblings(unit: Unit) -> list[Unit]:
    return [one for one in unit.parent.children if one is not unit] if unit.parent else []


def _is_same_work(unit: Unit, other: Unit) -> bool:
    """Tell whether *other* is a later try: in causal order, sent later, or delivered again."""
    if unit.name != other.name or unit.said("url_path") != other.said("url_path"):
        return False
    if other.said("redelivered") is True and other.said("task_id"):
        # Both were begun by one message: neither of them knows of the other.
        return bool(unit.said("task_id") == other.said("task_id"))
    if relation(unit.first, other.first) in (CAUSED, SEEN_AFTER):
        return unit.first.lc < other.first.lc
    return _sent_later(unit, other)


def _sent_later(unit: Unit, other: Unit) -> bool:
    return (
        any(
            n > m
            for strand, n in other.first.after
            for name, m in unit.first.after
            if name == strand
        )
        or other.first.coarse.get(unit.id, 0) > 0
    )


def _origins(unit: Unit, seen: frozenset[int]) -> Iterator[tuple[Unit, str]]:
    """Yield the units whose failure made *unit* fail, and a peer that wrote no line here."""
    seen |= {id(unit)}
    callees = [one for one in unit.children if id(one) not in seen and _can_hurt(unit, one)]
    if unit.outcome not in ("dependency", "timeout") or (unit.outcome == "timeout" and not callees):
        yield unit, ""
        return
    if not callees:
        peer = unit.said("dependency")
        yield unit, str(peer) if peer and unit.outcome == "dependency" else ""
        return
    for callee in callees:
        if callee.outcome in ("dependency", "timeout"):
            yield from _origins(callee, seen)
        else:
            yield callee, ""


def _can_hurt(unit: Unit, callee: Unit) -> bool:
    """Tell whether a call of *unit* is one that it can have failed by."""
    if not callee.is_request and callee.summary is not None:
        return False
    if callee.failed:
        return not any(
            _is_same_work(callee, one) and one.outcome == "ok" for one in _siblings(callee)
        )
    return callee.summary is None or callee.outcome == "client_gone" or not was_answered(callee)


def evidence_of(unit: Unit) -> Event | None:
    """Return the line that says best what went wrong."""
    summary = unit.summary
    loud = [event for event in unit.events if is_loud(event) and event is not summary]
    with_error = [event for event in loud if "error_type" in event.line]
    if with_error:
        return with_error[0]
    return loud[0] if loud and not (summary and "error_type" in summary.line) else summary


def _culprit(unit: Unit, peer: str, victims: list[Unit]) -> Culprit:
    shown = evidence_of(unit)
    if peer:
        fault = f"did not do what {unit.name} asked of it, and has no line here"
        return Culprit(peer, fault, None, shown, None, tuple(victims))
    return Culprit(
        unit.name, fault_of(unit, shown), unit, shown, _first_sign(unit, shown), tuple(victims)
    )


def fault_of(unit: Unit, shown: Event | None) -> str:
    """Say in a few words what went wrong in *unit*."""
    line = shown.line if shown else {}
    if line.get("error_type"):
        text = str(line.get("error_message") or "")
        return f"{line['error_type']}: {text}" if text else str(line["error_type"])
    if unit.summary is None:
        return "left no last line: it was killed, or its last lines are lost"
    if not unit.failed:
        return "went on after its caller had left"
    if shown is not None and shown is not unit.summary:
        return str(line.get("message"))
    refused = [one for one in unit.children if one.outcome == "client_error"]
    if refused:
        return f"{refused[-1].name} refused what it sent"
    return _WORDS.get(unit.outcome or "", "failed without a word")


def _first_sign(unit: Unit, shown: Event | None) -> Event | None:
    """Return the first warning or error that lies before the evidence, outside of its unit."""
    if shown is None:
        return None
    for above in reversed(list(ancestors(unit))):
        for event in above.events:
            is_sign = str(event.line.get("level")).lower() == "warning" or is_loud(event)
            if is_sign and event.lc < shown.lc and relation(event, shown) in (CAUSED, SEEN_AFTER):
                return event
    return None


def _by_lines(units: list[Unit]) -> Iterator[Culprit]:
    """Blame the unit with the first error, where no unit says how it ended."""
    ranks = {id(unit): rank for rank, unit in enumerate(units)}
    loud = [unit for unit in units if any(map(is_loud, unit.events))]
    for unit in sorted(loud, key=lambda unit: _time_of_failure(unit, ranks))[:1]:
        shown = next(event for event in unit.events if is_loud(event))
        has_error = bool(shown.line.get("error_type"))
        fault = fault_of(unit, shown) if has_error else str(shown.line.get("message"))
        yield Culprit(unit.name, fault, unit, shown, _first_sign(unit, shown), ())
