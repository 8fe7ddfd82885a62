"""Observe units of work: start and end them, tell the observers, judge the outcome."""

from obskit.observation.blocks import message_context, observe, unit_of_work
from obskit.observation.decorate import decorate
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
from obskit.observation.record import ENTRIES, EXITS, Kind, Observation

__all__ = [
    "CALLED_OFF",
    "ENTRIES",
    "EXITS",
    "FAILURES",
    "OUTCOMES",
    "Kind",
    "Observation",
    "Outcome",
    "configure",
    "decorate",
    "dependency",
    "end",
    "extract",
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
