"""Count the lines that are lost, and say so in the log itself as soon as it takes lines again."""

from __future__ import annotations

import contextvars
import threading
from time import monotonic

from obskit import health

LOGGER, WARNING = "obskit", 30
# Not more often than this, however often it happens.
SILENT_SECONDS = 10.0
LOST = ("logs", "internal error")


def contain(fault: Exception) -> None:
    """Count a line that an error of ours has cost; never raises if there is room for one call."""
    before = health.lost.get(LOST, 0)
    try:
        health.lose(*LOST)
        health.internal_error("logs.pipeline", fault)
    except Exception:
        # At the end of the stack's space nothing more can be called.
        if health.lost.get(LOST, 0) == before:
            health.lost[LOST] = before + 1


class Losses:
    """What one stream has not taken, by reason; *waiting* is true while no line has told of it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._unsaid: dict[str, int] = {}
        self._silent_until = 0.0
        self.waiting = False

    def add(self, reason: str, count: int = 1) -> None:
        """Count *count* lines that are lost for *reason*."""
        health.lose("logs", reason, count)
        with self._lock:
            self._unsaid[reason] = self._unsaid.get(reason, 0) + count
            self.waiting = True

    def tell(self, *, at_last: bool = False) -> None:
        """Write one line about what was lost since the last one, if it is time for it.

        With *at_last* it is: there will be no other time.
        """
        with self._lock:
            now = monotonic()
            if not self.waiting or (now < self._silent_until and not at_last):
                return
            self._silent_until = now + SILENT_SECONDS
            lost, self._unsaid, self.waiting = self._unsaid, {}, False
        _write(lost)


def _write(lost: dict[str, int]) -> None:
    from obskit.logs import pipeline

    if pipeline.is_on() and pipeline.enabled(LOGGER, WARNING):
        fields = {"obskit_lost": sum(lost.values()), "obskit_reason": ", ".join(lost)}
        # It is about the process, whoever's thread this is.
        here = contextvars.Context()
        here.run(pipeline.emit, WARNING, LOGGER, "lines were lost", fields)
