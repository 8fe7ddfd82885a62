"""Keep a spool within its size, though several processes write into it.

Nobody looks into the folder for each record: a look tells how much room there is, and half of it,
shared among those that write, may be filled before the next look.
"""

from __future__ import annotations

import errno
from time import monotonic

from obskit.shipping.spool import segments
from obskit.shipping.spool.segments import Segment

SMALLEST_SEGMENT, LARGEST_SEGMENT = 4096, 4 * 1024 * 1024
SMALLEST_SHARE = 64 * 1024
# A spool that is full is not looked through for each line that wants in.
FULL_SECONDS = 0.05
FULL = "spool full"


class SpoolFull(OSError):
    """There is no room for what must not be lost."""

    def __init__(self, folder: str, most: int) -> None:
        super().__init__(errno.ENOSPC, f"the spool has its {most} bytes", folder)


class Room:
    """The room in one folder.

    Best-effort records may take seven eighths of it, so that there is room for durable ones.

    Args:
        folder: Where the segments are.
        most: Bytes that all of them may have.
    """

    __slots__ = ("_folder", "_full_until", "_left", "_most", "segment_size")

    def __init__(self, folder: str, most: int) -> None:
        self._folder = folder
        self._most = most
        self.segment_size = max(SMALLEST_SEGMENT, min(LARGEST_SEGMENT, most // 16))
        self.forget()

    def forget(self) -> None:
        """Know nothing, as a child after a fork."""
        self._left = {True: 0, False: 0}
        self._full_until = {True: 0.0, False: 0.0}

    def take(self, size: int, durable: bool) -> bool:
        """Take room for *size* bytes; tell whether there was any."""
        left = self._left
        if left[durable] < size and not self._look(size, durable):
            return False
        left[durable] -= size
        left[not durable] -= size
        return True

    def _look(self, size: int, durable: bool) -> bool:
        now = monotonic()
        if now < self._full_until[durable]:
            return False
        files = segments.listing(self._folder)
        used = sum(one.size for one in files)
        limit = self._limit(durable)
        if used + size > limit:
            used = self._give_up(files, used, limit - size)
        writers = max(1, sum(not one.gone for one in files))
        for which in (True, False):
            free = self._limit(which) - used
            share = max(free // (2 * writers), min(SMALLEST_SHARE, self._most // 256))
            self._left[which] = max(0, min(free, share))
        if used + size > limit:
            self._full_until[durable] = now + FULL_SECONDS
            return False
        self._left[durable] = max(self._left[durable], size)
        return True

    def _limit(self, durable: bool) -> int:
        return self._most if durable else self._most // 8 * 7

    def _give_up(self, files: list[Segment], used: int, limit: int) -> int:
        """Give up the oldest best-effort segments; return what is used then."""
        # One more than must be: else the next look would be for the next record.
        limit -= self.segment_size
        for one in files:
            if used <= limit:
                break
            if not one.durable and not one.gone and segments.give_up(one):
                used -= one.size
        return used
