"""Hold what waits to be sent: bounded, without a lock, and what matters most is lost last.

Many threads put, one takes. No lock is held at any time, so a fork finds none taken, and a
signal handler may put and wait in the middle of another put.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from obskit import health

MOST_ITEMS = 20_000


class Backlog:
    """What waits, in two queues.

    Args:
        signal: What it is, as losses of it are counted: ``spans``.
        most: Bytes that it may hold, by the estimates that come with the items.
    """

    __slots__ = ("_added", "_done", "_most", "_ordinary", "_precious", "_signal")

    def __init__(self, signal: str, most: int) -> None:
        self._signal = signal
        self._most = most
        self._ordinary: deque[tuple[int, Any]] = deque()
        self._precious: deque[tuple[int, Any]] = deque()
        # The interpreter does not switch threads within such a sum. If it did, the difference
        # would be off by one item, until nothing waits any more.
        self._added = 0
        self._done = 0

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._precious)

    @property
    def size(self) -> int:
        """Bytes that are waiting or on their way."""
        return self._added - self._done

    def put(self, item: Any, size: int, precious: bool) -> int:
        """Add *item*, and return how many more there are now.

        Where there is no room something ordinary is dropped, and counted.
        """
        dropped = 0
        if self._added - self._done + size > self._most or len(self) >= MOST_ITEMS:
            has_room, dropped = self._make_room(size, precious)
            if not has_room:
                health.lose(self._signal, "queue full")
                return -dropped
        self._added += size
        (self._precious if precious else self._ordinary).append((size, item))
        return 1 - dropped

    def _make_room(self, size: int, precious: bool) -> tuple[bool, int]:
        """Tell whether there is room for *size* bytes, and how many items were dropped for it."""
        dropped = 0
        if not precious or size > self._most:
            return False, dropped
        while self._added - self._done + size > self._most or len(self) >= MOST_ITEMS:
            try:
                freed, _ = self._ordinary.popleft()
            except IndexError:
                return False, dropped
            self._added -= freed
            dropped += 1
            health.lose(self._signal, "queue full")
        return True, dropped

    def get(self) -> tuple[int, Any] | None:
        """Return the next item with its size, which counts until it is `done`; None if none is."""
        for queue in (self._precious, self._ordinary):
            try:
                return queue.popleft()
            except IndexError:
                continue
        return None

    def done(self, size: int) -> None:
        """Give the room of *size* bytes free; for the one who takes."""
        self._done += size
        if not self._ordinary and not self._precious and self._done != self._added:
            self._done = self._added
