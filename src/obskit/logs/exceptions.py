"""Describe an exception on one line: root cause first, without variables, libraries folded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from obskit.logs import frames
from obskit.logs.shortening import shorten
from obskit.record import Record
from obskit.urls import masked

if TYPE_CHECKING:
    from obskit.logs.printed import Printed

__all__ = ["Description", "describe", "of_text", "shorten"]

LONGEST_MESSAGE = 8192
LONGEST_HEADER = 500
MOST_NOTES = 10
MOST_LINKS = 20
MOST_MEMBERS = 10
MOST_DEPTH = 8
NESTED_SYNTAX = 200

CAUSED = "caused "
DURING = "while it was handled: "


class Description(Record):
    """What is known of an error.

    *stack* begins with the root cause; each exception stands at the margin, above its
    notes and frames (two blanks), the frame that raised first. *fingerprint* is the same
    for errors of the same types at the same places of the application, whatever their
    messages and line numbers.
    """

    type: str
    message: str
    fingerprint: str
    stack: str


class _Link(Record):
    """One exception of a chain, and how it followed from the one before it."""

    error: BaseException
    how: str


class _Text:
    """What is gathered for a description."""

    __slots__ = ("lines", "marks", "seen")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.marks: list[str] = []
        self.seen: set[int] = set()


def describe(error: BaseException) -> Description:
    """Return what is known of *error*; never raises."""
    try:
        kind, message = _type(error), _message(error)
        text = _Text()
        _write_chain(error, text, "", 0)
        return Description(kind, message, _fingerprint(*text.marks), "\n".join(text.lines))
    except Exception:
        return _least(error)


def _least(error: BaseException) -> Description:
    """Describe an error that cannot be looked at, such as at the end of the stack's space."""
    name = type.__name__
    try:
        name = str(type.__getattribute__(type(error), "__name__"))
    except Exception:
        name = "BaseException"
    return Description(name, "", "", name)


def _write_chain(error: BaseException, text: _Text, label: str, depth: int) -> None:
    if id(error) in text.seen:
        text.lines.append(f"[{label}] {_type(error)}, as above")
        return
    for link in _chain(error, text.seen):
        if isinstance(link, str):
            text.lines.append(link)
            continue
        if isinstance(link.error, BaseExceptionGroup):
            _write_members(link.error, text, label, depth)
        _write_one(link, text, f"[{label}] " if label else "")


def _chain(error: BaseException, seen: set[int]) -> list[_Link | str]:
    """Return an error and what led to it, the root first; each error of a circle once."""
    links: list[_Link | str] = []
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        cause = here.__cause__
        before = cause if cause is not None or here.__suppress_context__ else here.__context__
        how = CAUSED if cause is not None else DURING
        links.append(_Link(here, "" if before is None or id(before) in seen else how))
        here = before
    links.reverse()
    if len(links) > MOST_LINKS:
        half = MOST_LINKS // 2
        links[half:-half] = [f"... {len(links) - MOST_LINKS} exceptions left out"]
    return links


def _write_members(group: BaseExceptionGroup[Any], text: _Text, label: str, depth: int) -> None:
    members = group.exceptions
    if depth >= MOST_DEPTH:
        text.lines.append(f"... {len(members)} exceptions left out")
        return
    for number, member in enumerate(members[:MOST_MEMBERS], 1):
        inner = label if len(members) == 1 else f"{label}.{number}".lstrip(".")
        _write_chain(member, text, inner, depth + 1)
    if len(members) > MOST_MEMBERS:
        text.lines.append(f"... {len(members) - MOST_MEMBERS} exceptions left out")


def _write_one(link: _Link, text: _Text, label: str) -> None:
    error = link.error
    kind = _type(error)
    trail = frames.trail(error.__traceback__)
    text.marks.append(kind)
    text.marks += trail.identities
    text.lines.append(label + header(link.how, kind, _message(error)))
    text.lines += _details(error)
    if trail.text:
        text.lines.append(trail.text)


def header(how: str, kind: str, message: str) -> str:
    """Return the line at the margin; further lines of the message are indented."""
    if len(message) > LONGEST_HEADER:
        message = f"{message[:LONGEST_HEADER]} ... ({len(message)} characters)"
    if "\n" in message or "\r" in message:
        message = "\n    ".join(message.splitlines())
    return f"{how}{kind}: {message}" if message else how + kind


def _details(error: BaseException) -> Iterator[str]:
    """Yield what stands between an exception and its frames: notes, the place in bad syntax."""
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, (list, tuple)):
        for note in notes[:MOST_NOTES]:
            yield "  note: " + "\n    ".join(masked(_safely(note)[:LONGEST_HEADER]).splitlines())
    if isinstance(error, SyntaxError) and isinstance(error.text, str):
        where = f"{_safely(error.filename)}:{_safely(error.lineno)}"
        yield f"  {where}: {error.text.strip()[:NESTED_SYNTAX]}"


def _type(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__
    module: Any = kind.__module__
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return name
    return f"{module}.{name}"


def _message(error: BaseException) -> str:
    message = _safely(error)
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]} ... ({len(message)} characters)"
    return masked(message)


def _safely(value: object) -> str:
    try:
        text = str(value)
    except Exception as fault:
        return f"<{type(value).__name__} whose str failed: {type(fault).__name__}>"
    return text if type(text) is str else str.__str__(text)


@lru_cache(maxsize=1024)
def _fingerprint(*marks: str) -> str:
    try:
        from hashlib import blake2b
    except ImportError:  # the interpreter is about to end
        return ""
    seen = "\n".join(dict.fromkeys(marks)).encode("utf-8", "backslashreplace")
    return blake2b(seen, digest_size=8).hexdigest()


def of_text(text: str) -> Description | None:
    """Return what a printed traceback says, or None where *text* is none.

    It has the fingerprint that `describe` gives the same error, as far as the text shows it.
    """
    try:
        from obskit.logs.printed import parse

        printed = parse(text)
        return None if printed is None else _of_printed(printed)
    except Exception:
        return None


def _of_printed(printed: Printed) -> Description:
    lines: list[str] = []
    marks: list[str] = []
    _write_printed(printed, lines, marks, "")
    last = printed.links[-1]
    return Description(last.type, masked(last.message), _fingerprint(*marks), "\n".join(lines))


def _write_printed(printed: Printed, lines: list[str], marks: list[str], label: str) -> None:
    for link in printed.links:
        for number, member in enumerate(link.members, 1):
            inner = label if len(link.members) == 1 else f"{label}.{number}".lstrip(".")
            _write_printed(member, lines, marks, inner)
        trail = frames.trail_of(link.places)
        marks.append(link.type)
        marks += trail.identities
        mark = f"[{label}] " if label else ""
        how = {"cause": CAUSED, "context": DURING}.get(link.how, "")
        lines.append(mark + header(how, link.type, masked(link.message)))
        if trail.text:
            lines.append(trail.text)
