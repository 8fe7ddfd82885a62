"""Put entries into a spool: durable ones are in a file before the call returns."""

from __future__ import annotations

import errno
import os
from _thread import RLock
from collections.abc import Sequence
from time import monotonic
from weakref import WeakSet

from obskit import health
from obskit.shipping.spool import segments
from obskit.shipping.spool.records import LONGEST_BODY, RECORD_SIZE
from obskit.shipping.spool.room import FULL, Room, SpoolFull
from obskit.shipping.spool.writer import Writer

# What was dropped is written at once, and then after so long at the earliest.
TELL_SECONDS = 1.0
# About what the record of it takes.
DROP_SIZE = 100


class Appender:
    """Write into one spool; for any thread, and for a signal handler in the middle of an append.

    A segment is made with the first append. A child after a fork begins with segments of its own.

    Args:
        folder: That of the service; made with mode 0700 where it is absent.
        most: Bytes that the segments of all processes may have.
        fsync: Whether a durable append waits for the disk, to survive a crash of the machine.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, folder: str | os.PathLike[str], most: int, fsync: bool = False) -> None:
        self.folder = os.fspath(folder)
        segments.prepare(self.folder)
        self._most = most
        self._fsync = fsync
        self._room = Room(self.folder, most)
        self._renew()
        _appenders.add(self)

    def _renew(self) -> None:
        # Reentrant: a signal handler may log while its own thread is in append().
        self._lock = RLock()
        self._busy = False
        self._writers: dict[tuple[str, bool], Writer] = {}
        self._drops: dict[tuple[str, str], int] = {}
        self._tell_at = 0.0
        self._inner: Appender | None = None
        self._room.forget()

    def append(self, bodies: Sequence[bytes], durable: bool, kind: str = "line") -> bool:
        """Write all of *bodies* with one write, or nothing of them.

        Args:
            bodies: Canonical lines without newline, or encoded spans; none of them empty.
            durable: Whether they are never given up for lack of room.
            kind: ``line`` or ``span``.

        Returns:
            False if best-effort entries found no room: they are counted as dropped then.

        Raises:
            SpoolFull: There is no room for durable entries. Nothing is counted.
            OSError: They could not be written. Nothing is counted; a later append may work, but
                for EMSGSIZE: together they are larger than a record or the spool may be.
        """
        with self._lock:
            if self._busy:
                return self._other().append(bodies, durable, kind)
            self._busy = True
            try:
                return self._append(bodies, durable, kind)
            finally:
                self._busy = False

    def _append(self, bodies: Sequence[bytes], durable: bool, kind: str) -> bool:
        if not bodies:
            return True
        one = bodies[0] if len(bodies) == 1 else None
        size = (len(one) if one is not None else sum(map(len, bodies))) + RECORD_SIZE * len(bodies)
        if size > LONGEST_BODY or size > self._most:
            raise OSError(errno.EMSGSIZE, "too much for one append")
        if self._drops:
            self._tell_drops()
        if not self._room.take(size, durable):
            if durable:
                raise SpoolFull(self.folder, self._most)
            self._drop(FULL, len(bodies), kind)
            return False
        writer = self._writer(kind, durable)
        if one is not None:
            writer.append(one)
        else:
            writer.append_all(bodies)
        if durable and self._fsync:
            writer.sync()
        if writer.size >= self._room.segment_size:
            writer.finish()
        return True

    def _writer(self, kind: str, durable: bool) -> Writer:
        """Return the segment to write: the one at hand, unless it is finished or gone."""
        key = (kind, durable)
        writer = self._writers.get(key)
        if writer is not None:
            if writer.is_open:
                writer.look()
            if writer.is_open:
                return writer
        writer = self._writers[key] = Writer(self.folder, kind, durable)
        return writer

    def dropped(self, reason: str, count: int, kind: str = "line") -> None:
        """Write that *count* entries were logged that could not be kept; never raises OSError.

        It is kept in mind for a later append or for the end where it cannot be written, or much
        was dropped not long ago.
        """
        with self._lock:
            if self._busy:
                self._other().dropped(reason, count, kind)
                return
            self._busy = True
            try:
                self._drop(reason, count, kind)
            finally:
                self._busy = False

    def _drop(self, reason: str, count: int, kind: str) -> None:
        if count > 0:
            self._drops[kind, reason] = self._drops.get((kind, reason), 0) + count
            self._tell_drops()

    def _tell_drops(self, *, at_last: bool = False) -> None:
        """Write what was dropped: seldom, for a spool that is full has no room for each time."""
        now = monotonic()
        if now < self._tell_at and not at_last:
            return
        self._tell_at = now + TELL_SECONDS
        try:
            for (kind, reason), count in list(self._drops.items()):
                if at_last or self._room.take(DROP_SIZE, True):
                    self._writer(kind, False).drop(reason, count)
                    del self._drops[kind, reason]
        except OSError:
            pass  # it stays in mind

    def _other(self) -> Appender:
        """Return the one for whoever comes in the middle of an append."""
        if self._inner is None:
            self._inner = Appender(self.folder, self._most, self._fsync)
        return self._inner

    def look(self) -> None:
        """See to it now that what was written is in the folder: the process may be about to end."""
        with self._lock:
            for writer in () if self._busy else self._writers.values():
                try:
                    if writer.is_open:
                        writer.look(now=True)
                except OSError as error:
                    health.internal_error("shipping.spool", error)

    def leave_to_parent(self) -> None:
        """Begin anew in a child: what is open is the parent's."""
        writers = self._writers
        self._renew()
        for writer in writers.values():
            writer.leave()

    def close(self) -> None:
        """Finish the segments; a later append begins new ones."""
        with self._lock:
            inner, self._inner = self._inner, None
            if inner is not None:
                inner.close()
            self._tell_drops(at_last=True)
            writers, self._writers = self._writers, {}
            for writer in writers.values():
                writer.finish()


_appenders: WeakSet[Appender] = WeakSet()


def _leave_all() -> None:
    for appender in list(_appenders):
        try:
            appender.leave_to_parent()
        except Exception as error:
            health.internal_error("shipping.spool.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)
