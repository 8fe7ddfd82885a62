"""Say what is wrong with a destination, seldom enough to be read."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from obskit import health

SILENT_SECONDS = 60.0

Say = Callable[[str, dict[str, Any]], None]


class Notices:
    """What is said about one destination.

    Args:
        say: Writes a line.
        what: What is sent there: ``spans``.
        to: Its URL.
    """

    __slots__ = ("_away", "_say", "_silent_until", "_to", "_what")

    def __init__(self, say: Say, what: str, to: str) -> None:
        self._say = say
        self._what = what
        self._to = to
        self._away = False
        self._silent_until = 0.0

    def cannot_send(self, reason: str) -> None:
        """Say that the destination does not take any, unless much was said not long ago."""
        self._away |= self._seldom("cannot be sent", {"obskit_reason": reason})

    def refused(self, count: int, reason: str) -> None:
        """Say that *count* were refused, unless much was said not long ago."""
        self._seldom("were refused", {"obskit_lost": count, "obskit_reason": reason})

    def sent(self) -> None:
        """Say that it takes them again, if it was said that it did not."""
        if self._away:
            self._away = False
            self._now("are sent again", {})

    def lost(self, count: int, reason: str) -> None:
        """Say that *count* are lost, for there will be no other time."""
        self._now("were lost", {"obskit_lost": count, "obskit_reason": reason})

    def _seldom(self, message: str, fields: dict[str, Any]) -> bool:
        now = monotonic()
        if now < self._silent_until:
            return False
        self._silent_until = now + SILENT_SECONDS
        self._now(message, fields)
        return True

    def _now(self, message: str, fields: dict[str, Any]) -> None:
        try:
            self._say(f"{self._what} {message}", {"obskit_to": self._to, **fields})
        except Exception as error:
            health.internal_error(f"shipping.{self._what}", error)
