"""Find the operation that somebody asks for, and those that failed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from obskit.story.parsing import Line
from obskit.story.reading import Counts, read
from obskit.story.telling import Story, tell
from obskit.story.units import FAILURES

SHORTEST = 4
MOST_KNOWN = 20_000
MOST_SUGGESTIONS = 5
_OTHER_IDS = ("trace_id", "span_id", "parent_span_id", "causation_id", "client_correlation_id")
_PLAIN = re.compile(r"[A-Za-z0-9._:~+=@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """The operation that is asked for, with its lines."""

    correlation_id: str
    lines: list[Line]


class NotFound(Exception):
    """No operation is known by this ID; the text says what was meant, perhaps."""


class Ambiguous(Exception):
    """Several operations are known by this ID; the text names them."""


def find(
    sources: Iterable[str | Path],
    wanted: str,
    *,
    field: str | None = None,
    counts: Counts | None = None,
) -> Found:
    """Return the one operation that *wanted* means.

    Args:
        sources: As for `read`.
        wanted: A correlation ID or the beginning of one (four characters or more), a trace or
            span ID, or, with *field*, the value of that field.
        field: Name of a field of the application, such as ``order_id``.
        counts: Is filled on the way.

    Raises:
        NotFound: There is none.
        Ambiguous: There are several.
        SourceError: As for `read`.
    """
    sources = list(sources)
    counts = Counts() if counts is None else counts
    by_id: dict[str, list[Line]] = {}
    by_other: dict[str, str] = {}
    for line in read(sources, needle=_needle(wanted), counts=counts):
        correlation_id = line.get("correlation_id")
        if not isinstance(correlation_id, str) or not correlation_id:
            continue
        if field is None and correlation_id.startswith(wanted):
            by_id.setdefault(correlation_id, []).append(line)
        elif name := _where(line, wanted, field):
            by_other.setdefault(correlation_id, name)
    if wanted in by_id:
        return Found(wanted, by_id[wanted])
    if by_id and len(wanted) < SHORTEST:
        raise NotFound(f"{wanted!r} is too short: give {SHORTEST} characters or more")
    return _only(sources, wanted, by_id, _matching(by_other, field))


def _needle(wanted: str) -> bytes:
    # What JSON may write in two ways is looked for in parsed lines.
    return wanted.encode() if _PLAIN.fullmatch(wanted) else b""


def _where(line: Line, wanted: str, field: str | None) -> str | None:
    """Return the name of the field in which a line has the value, None if it has not."""
    if field is not None:
        return field if str(line.get(field)) == wanted else None
    for name in _OTHER_IDS:
        value = line.get(name)
        if isinstance(value, str) and (value == wanted or _is_start(value, wanted, name)):
            return name
    return next((str(name) for name, value in line.items() if value == wanted), None)


def _is_start(value: str, wanted: str, name: str) -> bool:
    return name == "trace_id" and len(wanted) >= SHORTEST and value.startswith(wanted)


def _matching(by_other: dict[str, str], field: str | None) -> dict[str, str]:
    """Prefer operations that have the value in an ID or in the field that was asked for."""
    chosen = {key: name for key, name in by_other.items() if name in _OTHER_IDS or name == field}
    return chosen or by_other


def _only(
    sources: list[str | Path],
    wanted: str,
    by_id: dict[str, list[Line]],
    by_other: dict[str, str],
) -> Found:
    candidates = [*by_id, *by_other]
    if len(by_id) == 1:
        return Found(*next(iter(by_id.items())))
    if not candidates:
        raise NotFound(_suggestion(sources, wanted))
    if len(candidates) > 1:
        shown = "\n".join(f"  {name}" for name in sorted(candidates)[:MOST_SUGGESTIONS])
        more = len(candidates) - MOST_SUGGESTIONS
        rest = f"\n  and {more} more" if more > 0 else ""
        raise Ambiguous(f"{wanted!r} means {len(candidates)} operations:\n{shown}{rest}")
    found = candidates[0]
    lines = [
        line for line in read(sources, needle=found.encode()) if line.get("correlation_id") == found
    ]
    return Found(found, lines)


def _suggestion(sources: list[str | Path], wanted: str) -> str:
    counts, known = Counts(), dict[str, None]()
    for line in read(sources, counts=counts):
        if len(known) < MOST_KNOWN and isinstance(line.get("correlation_id"), str):
            known[line["correlation_id"]] = None
    if not counts.ours:
        return nothing_of_ours(counts)
    if not known:
        return f"none of the {counts.ours:,} lines of obskit belongs to an operation"
    close = difflib.get_close_matches(wanted, known, MOST_SUGGESTIONS, 0.6)
    start = f"no operation {wanted!r} among {len(known):,}"
    return f"{start}; did you mean {' or '.join(close)}?" if close else start


def nothing_of_ours(counts: Counts) -> str:
    """Say that there is no line of obskit, and what may be the reason."""
    if not counts.lines and counts.cut_off:
        return f"there is nothing left to read in {', '.join(counts.cut_off)}"
    if not counts.lines:
        return "there is nothing to read: name files or folders, or pipe logs in"
    return (
        f"no line of obskit in {counts.lines:,} lines of {counts.files:,} files:"
        " are these the logs of a program that ran under `obskit run`?"
    )


def failures(
    sources: Iterable[str | Path], *, everything: bool = False, counts: Counts | None = None
) -> list[Story]:
    """Return the stories of the operations that failed, in the order in which they were found.

    Use it where no ID is known. Two passes are made: the first one notes the IDs only.
    With *everything* those that went well are told too.
    """
    sources = list(sources)
    counts = Counts() if counts is None else counts
    wanted: dict[str, list[Line]] = {}
    for line in read(sources, counts=counts):
        correlation_id = line.get("correlation_id")
        if not isinstance(correlation_id, str) or not correlation_id:
            continue
        if everything or line.get("outcome") in FAILURES or "error_type" in line:
            wanted.setdefault(correlation_id, [])
    if wanted:
        for line in read(sources):
            lines = wanted.get(str(line.get("correlation_id")))
            if lines is not None:
                lines.append(line)
    stories = [tell(lines, correlation_id) for correlation_id, lines in wanted.items()]
    return [story for story in stories if everything or story.culprit is not None]
