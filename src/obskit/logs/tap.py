"""Hand lines to who ships them, and tell those that must not be lost from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from obskit.logs.formats import json

Take = Callable[[bytes], None]
TakeDurably = Callable[[bytes, bool], None]


def tap(take: Take, take_durably: TakeDurably, durable: Sequence[str]) -> Take:
    """Return what each line is handed to, as JSON.

    Args:
        take: Takes a line that may be lost at worst.
        take_durably: Takes one that must not be, and whether its caller waits for that.
        durable: Names of loggers whose lines are of that kind, with those below them;
            ``name=wait`` lets their callers wait.
    """
    marks = [mark for item in durable for mark in _marks(item)]
    if not marks:
        return take

    def choose(line: bytes) -> None:
        # Quotes within texts are escaped: this is found as a key of the line, or of a dictionary
        # in it, and a line too many in the spool does no harm.
        for mark, waits in marks:
            if mark in line:
                take_durably(line, waits)
                return
        take(line)

    return choose


def both(first: Take, second: Take) -> Take:
    """Return what hands a line to one after the other."""

    def write(line: bytes) -> None:
        first(line)
        second(line)

    return write


def _marks(item: str) -> list[tuple[bytes, bool]]:
    """Return the bytes that a line of a logger has, and of one below it."""
    name, _, word = item.partition("=")
    piece = json.logger[name.strip()].encode()
    waits = word.strip() == "wait"
    return [(piece, waits), (piece[:-1] + b".", waits)]
