"""Read tracebacks that Python has printed, with their chains, groups and repetitions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from obskit.logs import frames
from obskit.logs.frames import Place

MOST_REPEATED = 1000
MOST_LINES = 20_000

_START = re.compile(r"(?:Exception Group )?Traceback \(most recent call last\):\s*$")
_BOX = re.compile(r"( *)([|+])(.*)$")
_FRAME = re.compile(r'  File "(.*)", line (\d+)(?:, in (.*))?$')
_REPEATED = re.compile(r"  \[Previous line repeated (\d+) more times?\]$")
_ERROR = re.compile(r"([^\W\d][\w.<>]*)(?::(?: (.*))?)?$", re.DOTALL)
_MARKS = re.compile(r"[\s~^]+$")
_CHAIN = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}


@dataclass(slots=True)
class Link:
    """One exception of a printed chain; its *places* begin with the one that raised."""

    how: str = ""
    type: str = ""
    message: str = ""
    places: list[Place] = field(default_factory=list)
    members: list[Printed] = field(default_factory=list)


@dataclass(slots=True)
class Printed:
    """A printed traceback: the exceptions of its chain in the order of their printing."""

    links: list[Link]


# A line of text, or the members of a group, each a list of the same kind.
_Items = list[Any]


def parse(text: str) -> Printed | None:
    """Return what is printed in *text*; None where it holds no whole traceback."""
    lines = text.splitlines()[:MOST_LINES]
    first = next((i for i, line in enumerate(lines) if _START.match(line.lstrip(" +|"))), None)
    return None if first is None else _read(_unboxed(lines[first:]))


def _unboxed(lines: list[str]) -> _Items:
    """Return the lines without their margins, members of groups as lists of lines."""
    items: _Items = []
    index = 0
    while index < len(lines):
        if lines[index].startswith("  + "):
            box, index = _box(lines, index, 2)
            items += box
        else:
            items.append(lines[index])
            index += 1
    return items


def _box(lines: list[str], index: int, column: int) -> tuple[_Items, int]:
    """Return what stands at the margin of *column*, and where the lines go on behind it."""
    items: _Items = []
    while index < len(lines):
        found = _BOX.match(lines[index])
        if found is None or len(found[1]) != column:
            break
        if found[2] == "|" or found[3].startswith(" "):
            items.append(found[3][1:])
            index += 1
        elif found[3].startswith("-+-"):
            members, index = _members(lines, index + 1, column + 2)
            items.append(members)
        else:
            break
    return items, index


def _members(lines: list[str], index: int, column: int) -> tuple[list[_Items], int]:
    members: list[_Items] = []
    while True:
        member, index = _box(lines, index, column)
        members.append(member)
        found = _BOX.match(lines[index]) if index < len(lines) else None
        if found is None or found[2] != "+" or len(found[1]) != column:
            return members, index
        index += 1
        if not found[3].strip("-"):
            return members, index


def _read(items: _Items) -> Printed | None:
    """Return the chain that *items* tell, None where they end before an exception does."""
    links = [Link()]
    reading = "start"
    for item in items:
        link = links[-1]
        if not isinstance(item, str):
            link.members = [member for one in item if (member := _read(one)) is not None]
        elif (how := _CHAIN.get(item)) and link.type:
            links.append(Link(how))
            reading = "start"
        elif reading == "message":
            link.message += "\n" + item
        elif not _START.match(item) and (item or reading == "frames"):
            if item[:2] == "  ":
                _read_frame(link.places, item)
                continue
            found = _ERROR.match(item)
            if found is None:
                return None
            link.type, link.message = found[1], found[2] or ""
            reading = "message"
        else:
            reading = "frames" if item else reading
    return _finished(links)


def _finished(links: list[Link]) -> Printed | None:
    if not links[-1].type:
        return None
    for link in links:
        link.message = link.message.rstrip("\n")
        link.places.reverse()
    return Printed(links)


def _read_frame(places: list[Place], line: str) -> None:
    found = _FRAME.match(line)
    if found is not None:
        if found[3] is not None:
            places.append(frames.place_of(found[1], int(found[2]), found[3], "", ""))
        return
    repeated = _REPEATED.match(line)
    if repeated is not None and places:
        places += [places[-1]] * min(int(repeated[1]), MOST_REPEATED)
    elif (
        places and not places[-1].library and ": " not in places[-1].text and not _MARKS.match(line)
    ):
        places[-1] = places[-1]._replace(text=f"{places[-1].text}: {line.strip()}")
