"""Write one segment: all of an append or nothing of it, whatever happens in the middle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import monotonic

from obskit.shipping.spool import records, segments

# So often a writer looks whether its file is still in its folder.
LOOK_SECONDS = 1.0


class Writer:
    """A segment that this process writes; one call at a time.

    Args:
        folder: Where it is made, with the folder if need be.
        kind: ``line`` or ``span``.
        durable: Whether what is in it is never given up.
    """

    __slots__ = (
        "_code",
        "_descriptor",
        "_inode",
        "_is_listed",
        "_look_at",
        "_path",
        "_seed",
        "number",
        "size",
    )

    def __init__(self, folder: str, kind: str, durable: bool) -> None:
        self._descriptor, self._path, name = segments.make(folder, kind, durable)
        self._seed = records.seed_of(name)
        self._code = records.CODES[kind]
        self.size = records.HEAD_SIZE
        self.number = 0
        self._remember()

    def _remember(self) -> None:
        self._is_listed = False
        self._inode = os.fstat(self._descriptor).st_ino
        self._look_at = monotonic() + LOOK_SECONDS

    def append(self, body: bytes) -> None:
        """Write one entry."""
        self._write(records.encode(self._code, self.number, body, self._seed), 1)

    def append_all(self, bodies: Sequence[bytes]) -> None:
        """Write several entries with one write."""
        data = records.encode_all(self._code, self.number, bodies, self._seed)
        self._write(data, len(bodies))

    def drop(self, reason: str, count: int) -> None:
        """Write that *count* were dropped."""
        self._write(records.encode_drop(self.number, reason, count, self._seed), count)

    def _write(self, data: bytes, count: int) -> None:
        size, number = self.size, self.number
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                segments.write_all(self._descriptor, data[written:])
            self.size = size + len(data)
            self.number = number + count
        except OSError:
            self._return_to(size, number)
            raise
        except BaseException:
            # The exception of a signal handler: the record is there, or it is not.
            self._return_to(size, number, len(data), count)
            raise

    def _return_to(self, size: int, number: int, more: int = 0, count: int = 0) -> None:
        """Take back what stands there in part; a whole append of *more* bytes stays."""
        self.size, self.number = size, number
        try:
            there = os.fstat(self._descriptor).st_size
            if more and there == size + more:
                self.size, self.number = there, number + count
            elif there != size:
                os.ftruncate(self._descriptor, size)
        except OSError:
            self.leave()

    @property
    def is_open(self) -> bool:
        """Whether it can be written."""
        return self._descriptor >= 0

    def sync(self) -> None:
        """Wait until the disk has it, and that it is in its folder."""
        os.fdatasync(self._descriptor)
        if not self._is_listed:
            folder = os.open(os.path.dirname(self._path), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._is_listed = True

    def look(self, *, now: bool = False) -> None:
        """See to it, once in a while, that the file is in its folder, and not only open here.

        What was removed with its folder is made anew under the same name: what was logged is
        still there, and ids stay. What was moved away has all that was logged so far.
        """
        if monotonic() < self._look_at and not now:
            return
        try:
            is_there = os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            is_there = False
        if is_there:
            self._look_at = monotonic() + LOOK_SECONDS
        elif os.fstat(self._descriptor).st_nlink:
            self.leave()
        else:
            self._restore()

    def _restore(self) -> None:
        data = segments.rest(self._descriptor, 0)
        os.makedirs(os.path.dirname(self._path), segments.FOLDER_MODE, exist_ok=True)
        restored = segments.put(self._path, data)
        self.leave()
        self._descriptor = restored
        self._remember()

    def finish(self) -> None:
        """Write that nothing follows, if that can be done, and let go of the file."""
        try:
            self.look(now=True)
            if self.is_open:
                end = records.encode(records.END, self.number, b"", self._seed)
                self._write(end, 0)
        except OSError:
            pass  # a reader sees that the writer is gone
        self.leave()

    def leave(self) -> None:
        """Let go of the file as it is: to the parent, or because it cannot be written."""
        # First forgotten, then closed: a fork in between must not close another's file.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
