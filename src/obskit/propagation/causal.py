"""Carry the causal clock: the header ``Obskit-Cause`` and the baggage entry ``cause``."""

from __future__ import annotations

from obskit import clock

HEADER = "obskit-cause"


def value() -> str | None:
    """Return what a message sent now must carry, writing a join line where it is too much."""
    if clock.join_line is not None and clock.pending() > clock.MOST_POINTERS:
        clock.join_line()
    return clock.header()


def heard(text: str | None) -> None:
    """Take in the clock that an answer carries, if it carries a valid one."""
    if text and (cause := clock.parse(text)):
        clock.join(cause)
