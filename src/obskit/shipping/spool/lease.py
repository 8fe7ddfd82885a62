"""Let one process of a service send what is in the spool."""

from __future__ import annotations

import os

from obskit import health
from obskit.shipping.spool.segments import FILE_MODE, FOLDER_MODE, fcntl

NAME = "lease"


class Lease:
    """The right to read one spool: of one process at most, and free as soon as that is gone.

    Args:
        folder: That of the service.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._path = os.path.join(os.fspath(folder), NAME)
        self._descriptor = -1
        self.trouble = "" if fcntl is not None else "no file locks on this system"

    @property
    def held(self) -> bool:
        """Whether it is ours: not where the folder was removed, and not in a child."""
        if self._descriptor < 0:
            return False
        if not self._is_there(self._descriptor):
            self.release()
            return False
        return True

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except OSError:
            return False

    def acquire(self) -> bool:
        """Take it if nobody has it; tell whether it is ours. Never raises OSError.

        Where that fails for another reason than another holder, `trouble` says why.
        """
        if self.held:
            return True
        if fcntl is None:
            return False
        self.trouble = ""
        try:
            return self._take()
        except OSError as error:
            self.trouble = error.strerror or type(error).__name__
            return False

    def _take(self) -> bool:
        os.makedirs(os.path.dirname(self._path), FOLDER_MODE, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._path, flags, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = self._is_there(descriptor)
        except BlockingIOError:
            taken = False
        except OSError:
            os.close(descriptor)
            raise
        if not taken:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        _held.append(self)
        self._sign(descriptor)
        return True

    def _sign(self, descriptor: int) -> None:
        """Leave a note for people who it is."""
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass

    def release(self) -> None:
        """Let it go."""
        if self._descriptor >= 0:
            # Closing alone would leave it to a child that was forked without Python's knowledge.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.leave()

    def leave(self) -> None:
        """Leave it to the parent, in a child."""
        descriptor, self._descriptor = self._descriptor, -1
        if self in _held:
            _held.remove(self)
        if descriptor >= 0:
            os.close(descriptor)


_held: list[Lease] = []


def _leave_all() -> None:
    for lease in list(_held):
        try:
            lease.leave()
        except Exception as error:
            health.internal_error("shipping.spool.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)
