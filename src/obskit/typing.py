"""Describe the borders: what an observer and a carrier must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from obskit.observation import Observation


class Observer(Protocol):
    """Listen to units of work. What it raises is contained and counted."""

    def start(self, observation: Observation) -> None:
        """Hear that *observation* has begun; its context is attached."""

    def end(self, observation: Observation) -> None:
        """Hear that *observation* is over; its context is still attached."""


class Carrier(Protocol):
    """Hold the headers of a message that is about to be sent."""

    def __setitem__(self, name: str, value: str, /) -> None:
        """Set header *name*, replacing what is there under that name."""
