"""A file, turned over at a size.

Written: one line each, as it is or in another ``format=``. At ``size=`` (64 MiB) the file becomes
``<name>.1``, the one before ``<name>.2``, and so on, up to ``keep=`` (5). A file that somebody
else has moved away is left to him, and another one begun.
Promised: what is taken was written, and with ``fsync=1`` is on the disk. What a full disk cuts off
is taken away again; a line that a crash cut off is ended by the next one.
Limits: 1 MiB or 5000 entries a batch.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, Verdict

_SIZE, _KEEP = 64 * 1024 * 1024, 5
_WHY = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk full",
    errno.EACCES: "no permission",
    errno.EROFS: "read-only",
    errno.ENOENT: "no such folder",
}


class File:
    """One file, which one process at a time writes."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 1024 * 1024
    most_entries = 5000

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._path = target.path
        self._most = target.number("size", _SIZE)
        self._keep = target.number("keep", _KEEP)
        self._is_synced = target.flag("fsync")
        self._encode = reading.encoder(target) or reading.whole
        self._file = -1

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Write *batch* to the end of the file."""
        data = b"".join([self._encode(entry.body) + b"\n" for entry in batch])
        try:
            self._open()
            size = os.fstat(self._file).st_size
            if size and size + len(data) > self._most:
                self._turn_over()
                size = 0
            self._write(data, size)
        except OSError as error:
            self.close()
            why = _WHY.get(error.errno or 0, "cannot be written")
            return Verdict(AGAIN, why, answer=os.strerror(error.errno or errno.EIO))
        return ALL_TAKEN

    def _open(self) -> None:
        if self._file >= 0 and self._is_there():
            return
        self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o640)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def _is_there(self) -> bool:
        """Tell whether the path is still that of the open file."""
        try:
            found, held = os.stat(self._path), os.fstat(self._file)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def _turn_over(self) -> None:
        self.close()
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._keep + 1))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            try:
                os.replace(newer, older)
            except FileNotFoundError:
                continue
        if not self._keep:
            os.unlink(self._path)
        self._open()

    def _write(self, data: bytes, size: int) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
            if self._is_synced:
                os.fdatasync(self._file)
        except OSError:
            self._take_back(size, len(data) - len(left))
            raise

    def _take_back(self, size: int, written: int) -> None:
        """Cut off what was *written* after *size*, unless somebody else has written, too."""
        try:
            if written and os.fstat(self._file).st_size == size + written:
                os.ftruncate(self._file, size)
        except OSError:
            pass  # what was wrong before is said

    def forget(self) -> None:
        """Let go of the file, after a fork."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def make(target: Target, facts: Facts) -> File:
    """Return the backend that *target* describes."""
    return File(target)
