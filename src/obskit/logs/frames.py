"""Say where an error came from: one short line a frame, frames of libraries folded.

Each place in the code is looked up once; after that its line is a dictionary's answer.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from types import CodeType, TracebackType

from obskit.record import Record

MOST_PLACES = 4096
MOST_TRAILS = 1024
# A longer trail is not worth the memory.
MOST_KEPT = 100
MOST_WALKED = 2000
MOST_SHOWN = 40
SHOWN_BY_LIBRARIES = 4
LONGEST_SOURCE = 160
LONGEST_CYCLE = 8
MOST_LIBRARIES = 4

_FOLDERS_OF_LIBRARIES = ("site-packages", "dist-packages")
_STANDARD = os.path.dirname(os.__file__) + os.sep
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_MAIN = frozenset({"__main__", "__mp_main__"})


class Place(Record):
    """A line of code: as it is shown, the library that it belongs to, and who is to know it.

    *library* is empty for code of the application. *identity* has no line number, so that it
    stays the same when code above is edited.
    """

    text: str
    library: str
    identity: str


class Trail(Record):
    """The way of an error through the code: its text, and what tells it from other ways."""

    text: str
    identities: tuple[str, ...]


# A code object compares equal to its copy in another file, so it is known by its id; it is
# kept beside its place, so that the id belongs to nothing else meanwhile. The same holds of
# places and trails.
_places: dict[tuple[int, int], tuple[CodeType, Place]] = {}
_trails: dict[tuple[int, ...], tuple[list[Place], Trail]] = {}
_applications: frozenset[str] = frozenset()


def configure(applications: Iterable[str]) -> None:
    """Show the frames of these packages, although they are installed among libraries."""
    global _applications
    _applications = frozenset(applications)
    forget()


def forget() -> None:
    """Look all places up again."""
    _places.clear()
    _trails.clear()


def trail(trace: TracebackType | None) -> Trail:
    """Return the trail of a traceback, the frame that raised first."""
    places = walk(trace)
    if len(places) > MOST_KEPT:
        return trail_of(places)
    key = tuple(map(id, places))
    known = _trails.get(key)
    if known is None:
        if len(_trails) >= MOST_TRAILS:
            _trails.clear()
        known = _trails[key] = places, trail_of(places)
    return known[1]


def trail_of(places: Sequence[Place]) -> Trail:
    """Return the trail through *places*."""
    return Trail("\n".join(shown(places)), tuple(identities(places)))


def walk(trace: TracebackType | None) -> list[Place]:
    """Return the places of a traceback, the one that raised first; a long one has a gap."""
    first: list[Place] = []
    while trace is not None and len(first) < MOST_WALKED // 2:
        code, line = trace.tb_frame.f_code, trace.tb_lineno
        known = _places.get((id(code), line))
        first.append(known[1] if known else _look_up(trace, code, line))
        trace = trace.tb_next
    first.reverse()
    return _walk_on(trace) + first if trace is not None else first


def _walk_on(trace: TracebackType | None) -> list[Place]:
    """Return the other end of a long traceback, and a place that says what is left out."""
    last: deque[Place] = deque(maxlen=MOST_WALKED // 2)
    walked = 0
    while trace is not None:
        walked += 1
        code, line = trace.tb_frame.f_code, trace.tb_lineno
        known = _places.get((id(code), line))
        last.append(known[1] if known else _look_up(trace, code, line))
        trace = trace.tb_next
    gap = [Place(f"  ... {walked - len(last)} frames left out", "", "")]
    return [*reversed(last), *(gap if walked > len(last) else [])]


def _look_up(trace: TracebackType, code: CodeType, line: int) -> Place:
    names = trace.tb_frame.f_globals
    source = _source(code.co_filename, line or 0, names)
    place = place_of(code.co_filename, line or 0, code.co_qualname, _module(names), source)
    if len(_places) >= MOST_PLACES:
        forget()
    _places[id(code), line] = code, place
    return place


def _module(names: dict[str, object]) -> str:
    """Return the module that code runs in, also where that module is the program itself."""
    name = names.get("__name__")
    if not isinstance(name, str):
        return ""
    if name in _MAIN:
        known = getattr(names.get("__spec__"), "name", None)
        return known if isinstance(known, str) else ""
    return name


def _source(file: str, line: int, names: dict[str, object] | None) -> str:
    """Return the line of source, at most so long as is read at a glance."""
    try:
        # At the end of the interpreter nothing can be imported any more.
        import linecache

        text = linecache.getline(file, line, names).strip()
    except Exception:
        return ""
    return text if len(text) <= LONGEST_SOURCE else text[:LONGEST_SOURCE] + " ..."


def source(file: str, line: int) -> str:
    """Return a line of source, empty where it is not at hand."""
    return _source(file, line, None)


def place_of(file: str, line: int, function: str, module: str, source: str) -> Place:
    """Return the place of *line* in *file*.

    Args:
        file: Path as Python knows it.
        line: Number of the line.
        function: Name of the function, qualified or not.
        module: Name of the module; empty where it is not known.
        source: The line itself, or nothing.
    """
    path = _short(file)
    library = _library(file)
    where = f"  {path}:{line} in {function}"
    if source and not library:
        where += f": {source}"
    if path == file and file[:1] != "<":
        name = module or _top(os.path.basename(file))
    else:
        name = path.removesuffix(".py").replace(os.sep, ".").removesuffix(".__init__")
    return Place(where, library, f"{name}:{function.rpartition('.')[2]}")


def _short(file: str) -> str:
    """Return the path as from the folder that Python imports it from."""
    best = 0
    # At the end of the interpreter the path is gone.
    for entry in sys.path or ():
        if isinstance(entry, str):
            root = os.path.abspath(entry).rstrip(os.sep) + os.sep
            if len(root) > best and file.startswith(root):
                best = len(root)
    return file[best:] if best > 1 else file


def _library(file: str) -> str:
    """Return the name of the library that *file* belongs to, empty for the application."""
    if file.startswith("<frozen "):
        return _top(file[8:].rstrip(">").replace(".", "/"))
    if file.startswith(_OURS):
        return "obskit"
    parts = file.split(os.sep)
    for folder in _FOLDERS_OF_LIBRARIES:
        if folder in parts:
            index = len(parts) - parts[::-1].index(folder)
            name = _top("/".join(parts[index:]))
            return "" if name in _applications else name
    return _top(file[len(_STANDARD) :]) if file.startswith(_STANDARD) else ""


def _top(path: str) -> str:
    return path.replace(os.sep, "/").partition("/")[0].removesuffix(".py")


def shown(places: Sequence[Place]) -> list[str]:
    """Return the lines of *places*: libraries folded, repetitions counted."""
    if not any(not place.library for place in places):
        return _of_libraries(places)
    lines: list[str] = []
    run: list[Place] = []
    for place in _without_cycles(places):
        if place.library:
            run.append(place)
        else:
            lines += _folded(run, raising=not lines)
            lines.append(place.text)
            run = []
    lines += _folded(run, raising=not lines)
    return _bounded(lines)


def _of_libraries(places: Sequence[Place]) -> list[str]:
    """Show where an error inside of libraries was raised, as nothing else is known."""
    first = [place.text for place in places[:SHOWN_BY_LIBRARIES]]
    return first + _folded(list(places[SHOWN_BY_LIBRARIES:]), raising=False)


def _folded(run: list[Place], *, raising: bool) -> list[str]:
    """Return the lines for a run of library frames; the one that raised is named."""
    if not run:
        return []
    if raising:
        return [run[0].text, *_folded(run[1:], raising=False)]
    names = list(dict.fromkeys(place.library for place in run))
    if len(names) > MOST_LIBRARIES:
        names[MOST_LIBRARIES:] = ["others"]
    frames = "1 frame" if len(run) == 1 else f"{len(run)} frames"
    return [f"  ... {frames} in {', '.join(names)}"]


def _without_cycles(places: Sequence[Place]) -> Iterable[Place]:
    """Yield places; in the stead of those that repeat the ones before, one that counts them."""
    index = 0
    while index < len(places):
        length, times = _cycle_at(places, index)
        yield from places[index : index + length]
        if times > 1:
            of = "that frame" if length == 1 else f"those {length} frames"
            yield Place(f"  ... {of} {times - 1} more times", "", "")
        index += length * times


def _cycle_at(places: Sequence[Place], start: int) -> tuple[int, int]:
    """Return length and number of repetitions of the shortest cycle that begins at *start*."""
    for length in range(1, LONGEST_CYCLE + 1):
        if start + 3 * length > len(places):
            break
        if places[start] != places[start + length]:
            continue
        cycle, times = places[start : start + length], 1
        while places[start + times * length : start + (times + 1) * length] == cycle:
            times += 1
        if times >= 3:
            return length, times
    return 1, 1


def _bounded(lines: list[str]) -> list[str]:
    """Take lines from the middle of a long stack; its ends say most."""
    if len(lines) <= MOST_SHOWN:
        return lines
    head, tail = MOST_SHOWN * 2 // 3, MOST_SHOWN // 3
    gap = f"  ... {len(lines) - head - tail} lines left out"
    return [*lines[:head], gap, *lines[-tail:]]


def identities(places: Sequence[Place]) -> list[str]:
    """Return what tells this way through the code from others, whatever the line numbers."""
    found = [place.identity for place in places if place.identity and not place.library]
    return list(dict.fromkeys(found)) or [place.identity for place in places[:1]]
