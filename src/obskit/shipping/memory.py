"""Hold lines that wait to be sent where there is no spool for them: bounded, of one process."""

from __future__ import annotations

import os
from collections.abc import Mapping

from obskit import health
from obskit.shipping.backlog import Backlog
from obskit.shipping.entry import Entry

# What a line takes beside its text, as long as it waits.
WEIGHT = 150
SIGNALS = {"line": "logs", "span": "spans"}


class Memory:
    """What waits for one destination; it is read as the spool is.

    Args:
        kind: What it holds: ``line`` or ``span``.
        most: Bytes that it may hold.
    """

    def __init__(self, kind: str, most: int) -> None:
        self.signal = SIGNALS[kind]
        self._most = most
        self.renew()

    def renew(self) -> None:
        """Begin with nothing, as a child of the process must."""
        self._backlog = Backlog(self.signal, self._most)
        self._source = os.urandom(8).hex()
        self._number = 0
        self._taken = 0

    def put(self, body: bytes) -> None:
        """Keep *body*; what there is no room for is counted."""
        self._number += 1
        self._backlog.put((self._number, body), len(body) + WEIGHT, False)

    @property
    def waiting(self) -> int:
        """How many wait; those of the batch in hand are not among them."""
        return len(self._backlog)

    def batch(self, most_entries: int, most_bytes: int) -> list[Entry]:
        """Return what is next, until `decide` says what has become of it."""
        entries: list[Entry] = []
        size = 0
        while len(entries) < most_entries and size < most_bytes:
            found = self._backlog.get()
            if found is None:
                break
            taken, (number, body) = found
            self._taken += taken
            size += len(body)
            entries.append(Entry(f"{self._source}-{number:x}", body))
        return entries

    def decide(self, taken: int, dead: int = 0, dropped: Mapping[str, int] | None = None) -> None:
        """Let go of the batch in hand; who has sent it counts what became of it."""
        self._backlog.done(self._taken)
        self._taken = 0

    def lose(self, reason: str, count: int) -> None:
        """Count *count* of them as lost."""
        health.lose(self.signal, reason, count)
