"""Hold files by ``flock`` and say who does: the kernel lets go on any death."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "linux":
    import fcntl

LONGEST_SIGNATURE = 16
# Written behind the process ID of a head that only looks after its workers.
IDLE = "idle"

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_WRITE = os.O_RDWR | os.O_CREAT | _READ


class Lock:
    """A lock that this process holds, or has inherited.

    A program that becomes a daemon closes every descriptor, and ours are numbers of files of
    its own from then on: so what is written to or closed is looked at before.
    """

    __slots__ = ("_descriptor", "_file")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._file = _file_of(descriptor)

    def is_ours(self) -> bool:
        """Tell whether the lock has not been closed behind our back."""
        return _file_of(self._descriptor) == self._file

    def sign(self, *, idle: bool = False) -> None:
        """Write into the file that this process has it, in place of who did before."""
        if self.is_ours():
            _sign(self._descriptor, idle=idle)

    def close(self) -> None:
        """Let go, unless a process that was forked holds it too."""
        if self.is_ours():
            with suppress(OSError):
                os.close(self._descriptor)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sign(descriptor: int, *, idle: bool) -> None:
    text = f"{os.getpid()} {IDLE if idle else ''}"
    os.pwrite(descriptor, text.ljust(LONGEST_SIGNATURE).encode(), 0)


def take(path: Path, *, idle: bool = False) -> Lock | None:
    """Take the lock of *path* and sign it; None where another process has it.

    Raises:
        OSError: It cannot be opened, written or locked.
    """
    descriptor = os.open(path, _WRITE, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sign(descriptor, idle=idle)
        return Lock(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise


def hold(folder: Path) -> Lock | None:
    """Lock *folder* for sharing; None where it was wiped meanwhile.

    Raises:
        OSError: It cannot be opened or locked.
    """
    descriptor = os.open(folder, _READ | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_ino == folder.stat().st_ino:
            return Lock(descriptor)
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock of *path*."""
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if path.is_dir() else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
