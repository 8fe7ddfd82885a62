"""Observe units of work: start and end them, tell the observers, judge the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obskit.observation import failure
from obskit.observation.lifecycle import (
    configure,
    end,
    extract,
    finish,
    inject,
    is_suppressed,
    leave,
    start,
    suppress,
)
from obskit.observation.outcome import (
    CALLED_OFF,
    FAILURES,
    OUTCOMES,
    Outcome,
    dependency,
    is_cancelled,
    is_timeout,
    judge,
)
from obskit.observation.record import ENTRIES, EXITS, Kind, Message, Observation

if TYPE_CHECKING:
    from obskit.observation.blocks import message_context, observe, unit_of_work

__all__ = [
    "CALLED_OFF",
    "ENTRIES",
    "EXITS",
    "FAILURES",
    "OUTCOMES",
    "Kind",
    "Message",
    "Observation",
    "Outcome",
    "configure",
    "dependency",
    "end",
    "extract",
    "failure",
    "finish",
    "inject",
    "is_cancelled",
    "is_suppressed",
    "is_timeout",
    "judge",
    "leave",
    "message_context",
    "observe",
    "start",
    "suppress",
    "unit_of_work",
]


def __getattr__(name: str) -> Any:
    """Return what people observe their own code with; servers begin without it."""
    if name not in ("message_context", "observe", "unit_of_work"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from obskit.observation import blocks

    value = globals()[name] = getattr(blocks, name)
    return value
