"""Carry the causal clock: the header ``Obskit-Cause`` and the baggage entry ``cause``."""

from __future__ import annotations

from obskit import clock

HEADER = "obskit-cause"


# What is pending beside what was heard and came after: our own strand, hop, and a fork's.
_OWN_POINTERS = 4


def value() -> str | None:
    """Return what a message sent now must carry, writing a join line where it is too much."""
    position = clock.current()
    if position is None:
        return None
    several = len(position[2]) + len(position[0].hop.heard)
    if (
        several > clock.MOST_POINTERS - _OWN_POINTERS
        and clock.join_line is not None
        and clock.pending() > clock.MOST_POINTERS
    ):
        clock.join_line()
    return clock.header()


def heard(text: str | None) -> None:
    """Take in the clock that an answer carries, if it carries a valid one."""
    if text and (cause := clock.parse(text)):
        clock.join(cause)
