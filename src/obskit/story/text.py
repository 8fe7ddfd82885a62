"""Write a story for people: on a terminal, in a ticket, in a README."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from obskit.fields import LINE_NAMES
from obskit.order import CANNOT_TELL, CAUSED, CONCURRENT, SEEN_AFTER, Event
from obskit.story.blame import Culprit
from obskit.story.lanes import draw
from obskit.story.telling import Story
from obskit.story.units import Unit
from obskit.story.words import clean, cut, ending, milliseconds, offset

MARKS = {CAUSED: "↓", SEEN_AFTER: "⇣", CONCURRENT: "∥", CANNOT_TELL: "?", None: " "}
ANSWERED = "↩"
MEANINGS = {
    MARKS[CAUSED]: "caused by the line above",
    MARKS[SEEN_AFTER]: "after the line above; whether because of it is not recorded",
    ANSWERED: "heard the answer of the unit above, which was ready before the line above",
    MARKS[CONCURRENT]: "beside the line above: neither is known to have reached the other",
    MARKS[CANNOT_TELL]: "cannot tell: lines are lost, or a hop carried no clock",
}
WIDTH = 120
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Look:
    """How the text is to look."""

    width: int = WIDTH
    times: bool = True
    whole: bool = False
    color: bool = False


def render_text(
    story: Story,
    *,
    width: int = WIDTH,
    times: bool = True,
    whole: bool = False,
    color: bool = False,
) -> str:
    """Return *story* as text.

    Use it wherever a person reads: each line of the log has a mark that says how it relates
    to the one above, and a lane for its unit of work.

    Args:
        story: From `tell`.
        width: Columns that a line may have.
        times: Whether the wall clocks are shown; without them the text depends on causes only.
        whole: Whether nothing is cut and all fields and stacks are shown.
        color: Whether the terminal's colours are used.
    """
    look = Look(width, times, whole, color)
    blocks = [_heading(story), _verdict(story, look), _lines(story, look), *_sections(story, look)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _heading(story: Story) -> list[str]:
    services = list(dict.fromkeys(unit.service for unit in story.units))
    lines = [f"Story of {clean(story.correlation_id)}"]
    if story.root is not None:
        lines.append(f"{clean(story.root.name)}: {ending(story.root)}")
    lines.append(f"{_count(len(services), 'service')}, {_count(len(story.events), 'line')}")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _verdict(story: Story, look: Look) -> list[str]:
    lines: list[str] = []
    for culprit in story.verdict.culprits:
        word = "Also failed" if lines else "Culprit"
        lines += _blamed(word, culprit, look)
    if not lines:
        made_good = bool(story.verdict.recovered)
        lines.append(f"No culprit: {'all was made good' if made_good else 'nothing failed'}.")
    lines += [f"Made good: {clean(unit.name)} ({ending(unit)})" for unit in story.verdict.recovered]
    return lines


def _blamed(word: str, culprit: Culprit, look: Look) -> Iterator[str]:
    unit = culprit.unit
    details = "" if unit is None else f" ({ending(unit)})"
    sentence = f"{word}: {clean(culprit.name)}: {clean(culprit.fault)}{details}"
    yield f"{_BOLD}{_RED}{sentence}{_PLAIN}" if look.color else sentence
    if unit is not None:
        for event in unit.events:
            if (
                event is not unit.summary
                and event is not culprit.evidence
                and _level(event) == "ERROR"
            ):
                yield f"  said         {_quoted(event)}"
                break
        mine = _own_fields(unit.events)
        if mine:
            yield f"  about        {mine}"
    if culprit.sign is not None:
        yield f"  first sign   {_quoted(culprit.sign)}"
    for victim in culprit.victims:
        yield f"  made fail    {clean(victim.name)} ({ending(victim)})"


def _quoted(event: Event) -> str:
    line = event.line
    return f"{clean(line.get('service') or '?')} {_level(event)} {clean(line.get('message', ''))}"


def _level(event: Event) -> str:
    return clean(event.line.get("level") or "").upper()


def _own_fields(events: list[Event]) -> str:
    found: dict[str, Any] = {}
    for event in events:
        found |= _fields(event)
    return " ".join(f"{clean(name)}={clean(value)}" for name, value in found.items())


def _fields(event: Event) -> dict[str, Any]:
    """Return what the application itself has put on a line."""
    return {name: value for name, value in event.line.items() if name not in LINE_NAMES}


def _lines(story: Story, look: Look) -> list[str]:
    events, culprit = story.events, story.culprit
    if not events:
        return ["No line of it has a clock."]
    pictures = draw(events, story.units)
    services = max(len(_service(event)) for event in events)
    levels = max(len(_level(event)) for event in events)
    shown: dict[str, dict[str, Any]] = {}
    rows = []
    marks = list(_marks(story))
    for event, sign, picture in zip(events, marks, pictures, strict=True):
        start = f"{_time(event)}  " if look.times else ""
        start += f"{sign} {picture}  {_service(event):<{services}}  "
        level = f"{_level(event):<{levels}}  "
        text = _said(event, shown.setdefault(event.hop, {}), look)
        mark = "  ◀ culprit" if culprit is not None and event is culprit.evidence else ""
        room = look.width - len(start) - len(level) - len(mark)
        rows.append(start + _colored(level, look) + _fitted(text, room, look) + mark)
        rows += _stack(event, len(start), look)
    return [*rows, "", *(f"{sign} {MEANINGS[sign]}" for sign in MEANINGS if sign in marks)]


def _marks(story: Story) -> Iterator[str]:
    """Yield how each line relates to the one above it.

    A callee often writes its last line when its answer is on the way: caller and last line
    are beside each other then, but what people see is that the answer came back.
    """
    units = {unit.id: unit for unit in story.units}
    above: Event | None = None
    for event, word in zip(story.events, story.words, strict=True):
        heard = above is not None and any(cause.hop == above.hop for cause, _ in event.causes)
        if above is not None and word == CONCURRENT and heard:
            answers = units[above.hop].parent is units[event.hop]
            yield ANSWERED if answers else MARKS[word]
        else:
            yield MARKS[word]
        above = event


def _service(event: Event) -> str:
    return clean(event.line.get("service") or "?")


def _time(event: Event) -> str:
    """Return the time of day as the line has it: shown, never shifted."""
    return cut(clean(event.line.get("timestamp") or "")[11:23], 12).ljust(12)


def _fitted(text: str, room: int, look: Look) -> str:
    return text if look.whole else cut(text, max(20, room))


def _colored(level: str, look: Look) -> str:
    word = level.strip()
    if not look.color or word not in ("WARNING", "ERROR", "CRITICAL"):
        return level
    return f"{_YELLOW if word == 'WARNING' else _RED}{level}{_PLAIN}"


def _said(event: Event, known: dict[str, Any], look: Look) -> str:
    """Return message, error and ending of a line, and those fields that are new in its unit."""
    line = event.line
    parts = [clean(line.get("message", ""))]
    if "outcome" in line:
        method, route = line.get("http_request_method"), line.get("http_route")
        status = line.get("http_response_status_code")
        facts = (method, route, status, line["outcome"], milliseconds(line.get("duration_ms")))
        parts += [clean(fact) for fact in facts if fact]
    if "error_type" in line:
        parts.append(f"{clean(line['error_type'])}: {clean(line.get('error_message', ''))}")
    for name, value in _fields(event).items():
        if look.whole or known.get(name) != value:
            parts.append(f"{clean(name)}={clean(value)}")
            known[name] = value
    return " ".join(filter(None, parts))


def _stack(event: Event, indent: int, look: Look) -> list[str]:
    stack = event.line.get("error_stack")
    if not look.whole or not isinstance(stack, str):
        return []
    return [" " * indent + clean(row) for row in stack.splitlines()]


def _sections(story: Story, look: Look) -> Iterator[list[str]]:
    yield _section("Broken hops", (_hop(hop.unit, hop.sender) for hop in story.broken))
    yield _section(
        "After the caller had left",
        (
            f"{clean(one.unit.name)} went on: {_count(one.lines, 'line')}, {ending(one.unit)};"
            f" {clean(one.caller.name)} no longer waited ({ending(one.caller)})"
            for one in story.left
        ),
    )
    yield _section(
        "At the same time",
        (f"{clean(one.name)} and {clean(other.name)}" for one, other in story.together),
    )
    if look.times:
        yield _section("Clocks", _clocks(story))
    yield _section(
        "Lost lines",
        (
            f"{clean(loss.service)} on {clean(loss.host)}: at least {_count(loss.count, 'line')}"
            if loss.service != "?"
            else f"of a unit that left no line here: at least {_count(loss.count, 'line')}"
            for loss in story.lost
        ),
    )
    yield _section("Not to be believed", _doubts(story))
    yield _section("Without a place", _unplaced(story, look))


def _section(title: str, lines: Iterator[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return [title, *found] if found else []


def _hop(unit: Unit, sender: str | None) -> str:
    text = f"{clean(unit.name)} got the ID but no clock"
    return f"{text}; it came from {clean(sender)}" if sender else f"{text}; nobody knows from whom"


def _clocks(story: Story) -> Iterator[str]:
    if story.clocks.contradicting:
        yield (
            "the timestamps contradict each other: a clock has jumped or drifted,"
            " or they are not genuine"
        )
        return
    hosts: dict[str, set[str]] = {}
    for event in story.events:
        hosts.setdefault(_service(event), set()).add(str(event.line.get("host")))
    several = any(len(names) > 1 for names in hosts.values())
    yield from (offset(item, several) for item in story.clocks.offsets if item.is_off)


def _doubts(story: Story) -> Iterator[str]:
    order = story.order
    if order.conflicts:
        yield f"{_count(len(order.conflicts), 'place')} claimed by two different lines"
    if order.forged:
        yield f"{_count(len(order.forged), 'line')} with a cause that comes later than itself"


def _unplaced(story: Story, look: Look) -> Iterator[str]:
    rows = sorted(
        f"{clean(line.get('service') or '?')}  {clean(line.get('level') or '').upper()}  "
        f"{clean(line.get('message', ''))}"
        for line in story.order.unplaced
    )
    yield from (row if look.whole else cut(row, look.width - 2) for row in rows)
