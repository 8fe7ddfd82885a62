"""Know what lines are written to: a file, a pipe, a socket, a terminal, or nothing any more."""

from __future__ import annotations

import enum
import os
import select
import stat

from obskit import health

# A write of at most so many bytes to a pipe is never mixed with those of other processes.
PIPE_BUF = 4096
LONGEST_IN_FILE = 16_000
_CLOSED_DESCRIPTOR = -1
_NUMBERS = {"stdout": 1, "stderr": 2}


class Kind(enum.Enum):
    """What kind of stream it is."""

    FILE = "file"
    PIPE = "pipe"
    SOCKET = "socket"
    TERMINAL = "terminal"
    CLOSED = "closed"


class Sink:
    """A descriptor, and what it is open for; *path* where it is a file of ours."""

    __slots__ = ("descriptor", "identity", "kind", "path")

    def __init__(self, descriptor: int, path: str = "") -> None:
        self.descriptor = descriptor
        self.path = path
        self._look()

    def _look(self) -> None:
        found = _status(self.descriptor)
        self.kind = _kind(self.descriptor, found)
        self.identity = (found.st_dev, found.st_ino) if found is not None else None

    @property
    def longest(self) -> int:
        """The longest line that suits it."""
        return PIPE_BUF if self.kind in (Kind.PIPE, Kind.SOCKET) else LONGEST_IN_FILE

    @property
    def can_stall(self) -> bool:
        """Whether a write can wait for a reader."""
        return self.kind in (Kind.PIPE, Kind.SOCKET, Kind.TERMINAL)

    @property
    def can_refuse(self) -> bool:
        """Whether a write can be asked not to wait, without changing the descriptor for others."""
        return self.kind in (Kind.PIPE, Kind.SOCKET)

    @property
    def takes_lines(self) -> bool:
        """Whether it has room again; of a full disk nobody can tell."""
        return self.can_stall and is_writable(self.descriptor, 0)

    def renew(self) -> bool:
        """Follow a file that was moved, or a descriptor that was redirected; tell if it was."""
        if self.kind is Kind.CLOSED:
            return False
        found = _status_of_path(self.path) if self.path else _status(self.descriptor)
        if found is not None and (found.st_dev, found.st_ino) == self.identity:
            return False
        if self.path:
            return self._reopen()
        before = self.kind
        self._look()
        if self.kind is Kind.SOCKET and before is not Kind.SOCKET:
            # The stream was closed, and its number went to a connection of the program's.
            self.kind = Kind.CLOSED
        return True

    def _reopen(self) -> bool:
        try:
            opened = _open(self.path)
        except OSError as error:
            health.internal_error("logs.writer", error)
            return False
        # Over the old one, so that a thread that is about to write hits one or the other.
        os.dup2(opened, self.descriptor, inheritable=False)
        os.close(opened)
        self._look()
        return True

    def close(self) -> None:
        """Close what we opened."""
        if self.path:
            os.close(self.descriptor)


def open_sink(stream: str) -> Sink:
    """Return the sink named *stream*; where a file cannot be opened, stdout or stderr.

    The folder of a file is made if it is missing. The reason is reported by a line.
    """
    if stream in _NUMBERS:
        return Sink(_NUMBERS[stream])
    if stream.startswith("fd:"):
        return Sink(int(stream[3:]))
    try:
        if not os.path.exists(stream):
            os.makedirs(os.path.dirname(stream) or ".", exist_ok=True)
        return Sink(_open(stream), stream)
    except (OSError, ValueError) as error:
        health.internal_error("logs.writer", error)
        stdout = Sink(1)
        return Sink(2) if stdout.kind is Kind.CLOSED else stdout


def _open(path: str) -> int:
    # Not to wait for the reader of a named pipe; it is our own description of the file.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    return os.open(path, flags, 0o666)


def _status(descriptor: int) -> os.stat_result | None:
    try:
        return os.fstat(descriptor)
    except (OSError, OverflowError):
        return None


def _status_of_path(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _kind(descriptor: int, found: os.stat_result | None) -> Kind:
    if found is None:
        return Kind.CLOSED
    if stat.S_ISFIFO(found.st_mode):
        return Kind.PIPE
    if stat.S_ISSOCK(found.st_mode):
        return Kind.SOCKET
    if stat.S_ISCHR(found.st_mode) and os.isatty(descriptor):
        return Kind.TERMINAL
    return Kind.FILE


def is_writable(descriptor: int, milliseconds: int | None) -> bool:
    """Tell whether a write would find room, or an error, within the time; None waits for it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


CLOSED = Sink(_CLOSED_DESCRIPTOR)
