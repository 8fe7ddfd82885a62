"""Write finished lines: in the caller while the stream takes them, else from a bounded queue.

A line is written by one call of the operating system before the log call returns, so it is
out even if the process is killed right behind it. Only what a stalled stream does not take
waits in the queue, which one thread drains in order.
"""

from __future__ import annotations

import _thread
import errno
import os
import threading
from collections import deque
from time import monotonic, sleep
from typing import Any

from obskit import health, signals
from obskit.logs import sinks
from obskit.logs.losses import Losses
from obskit.logs.sinks import PIPE_BUF, Kind

# After the queue has run empty, its thread waits so long for the next stall.
LINGER_SECONDS = 0.5
TICK_SECONDS = 0.01
POLL_MILLISECONDS = 100
# So long a line waits where no thread can be started, at the end of the interpreter.
LAST_SECONDS = 0.5
MOST_AT_ONCE = 64
# A stream that takes nothing for so long is not waited for at the end; a moment it always has.
PATIENCE, MOMENT = 2.0, 0.1

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_STALLS = frozenset({errno.EAGAIN, errno.ENOBUFS}) | _FULL
_NOT_THIS_WAY = frozenset({errno.EOPNOTSUPP, errno.ESPIPE, errno.EINVAL, errno.ENOSYS})
_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET})

_pwritev: Any = getattr(os, "pwritev", None)
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_write = os.write


class Writer:
    """Write lines to one stream; only the constructor may raise.

    Args:
        stream: ``stdout``, ``stderr``, ``fd:N``, or a file's path.
        most: Bytes that the queue may hold; 0 lets the caller wait for a stalled stream.
        longest: Longest line; 0 for what suits the stream.
    """

    def __init__(self, stream: str, most: int, longest: int = 0) -> None:
        self._most = most
        self._longest = longest
        self._given_back = False
        self._sink = sinks.open_sink(stream)
        self._stalled: sinks.Sink | None = None
        self.renew()
        self._look()
        _writers.append(self)

    def renew(self) -> None:
        """Begin without lines and without locks that somebody may hold, as a child must."""
        self._lock = threading.RLock()
        self._queue: deque[bytes] = deque()
        self._added = self._taken = 0
        self._draining = False
        self._busy = False
        # Whether the first line in the queue is begun, and whether one stands there unfinished.
        self._begun = self._torn = False
        self._moved_at = 0.0
        self._losses = Losses()

    def _look(self) -> None:
        """Find out how the stream can be written to."""
        sink = self._sink
        self.longest = self._longest or sink.longest
        self._descriptor = sink.descriptor
        can_wait = self._most > 0
        self._nowait = can_wait and sink.can_refuse and _pwritev is not None and _NOWAIT > 0
        self._asks = can_wait and sink.can_stall
        # One write that does not wait puts the whole line there or nothing of it.
        self._whole = (can_wait and not self._torn) and (
            sink.kind is Kind.FILE
            or (sink.kind is Kind.PIPE and self._nowait and self.longest <= PIPE_BUF)
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self._sink.kind is Kind.TERMINAL

    @property
    def waiting(self) -> int:
        """Bytes in the queue."""
        return self._added - self._taken

    def write(self, line: bytes) -> None:
        """Write *line*, or keep it for later; what can be neither written nor kept is counted."""
        if self._queue or not self._whole:
            self._write_in_turn(line)
            return
        try:
            if self._nowait:
                written = _pwritev(self._descriptor, (line,), -1, _NOWAIT)
            else:
                written = _write(self._descriptor, line)
        except OSError as error:
            self._refused(line, error)
            return
        if written < len(line):
            self._keep(line[written:], begun=True)

    def _put(self, data: bytes) -> int:
        """Write what the stream takes at once of *data*; return how many bytes that is."""
        if self._nowait:
            return int(_pwritev(self._descriptor, (data,), -1, _NOWAIT))
        if self._asks and not sinks.is_writable(self._descriptor, 0):
            raise BlockingIOError(errno.EAGAIN, "stalled")
        return _write(self._descriptor, data)

    def _write_in_turn(self, line: bytes) -> None:
        """Write *line* where others must not come in between its parts."""
        with self._lock:
            if self._queue or self._busy:
                self._keep(line)
                return
            self._busy = True
            try:
                if self._torn:
                    self._mend()
                if self._most:
                    self._write_or_keep(line)
                else:
                    # However long it takes; also what a signal handler logs meanwhile.
                    self._keep(line)
                    while self._queue:
                        self._drain_some(None)
            finally:
                self._busy = False

    def _mend(self) -> None:
        """End a line whose rest is lost, so that the next one stands by itself."""
        try:
            self._torn = self._put(b"\n") == 0
        except OSError:
            return
        self._look()

    def _write_or_keep(self, line: bytes) -> None:
        try:
            written = self._put(line)
        except OSError as error:
            self._refused(line, error)
            return
        if written < len(line):
            self._keep(line[written:], begun=True)

    def _refused(self, line: bytes, error: OSError) -> None:
        if error.errno in _STALLS:
            self._keep(line)
        elif error.errno in _NOT_THIS_WAY and self._nowait:
            self._nowait = self._whole = False
            self._write_in_turn(line)
        else:
            self._lose(error)

    def _lose(self, error: OSError, count: int = 1) -> None:
        """Count lines that the stream will not take, now or later."""
        if error.errno == errno.EBADF and self._sink is not sinks.CLOSED:
            # The number may soon stand for something else, which is no place for lines.
            self._sink = sinks.CLOSED
            self._look()
        if error.errno in _GONE:
            health.lose("logs", "stream closed", count)
        else:
            self._losses.add("write failed", count)

    def _keep(self, line: bytes, *, begun: bool = False) -> None:
        """Put *line* in the queue, in front if the beginning of it is written already."""
        with self._lock:
            if not self._queue:
                self._moved_at = monotonic()
            if begun:
                self._begun = True
                self._queue.appendleft(line)
            elif self._most and self.waiting + len(line) > self._most:
                self._losses.add("queue full")
                return
            else:
                self._queue.append(line)
            self._added += len(line)
            if self._draining or not self._most:
                return
            self._draining = True
        try:
            _thread.start_new_thread(self._drain, ())
        except RuntimeError:  # at the end of the interpreter, or at the limit of threads
            self._draining = False
            self._drain_here(monotonic(), LAST_SECONDS)

    def _drain(self) -> None:
        """Write what waits; end when nothing has waited for a while."""
        signals.leave()
        idle = 0.0
        try:
            while True:
                if self._queue:
                    self._drain_some(POLL_MILLISECONDS)
                    idle = 0.0
                elif idle < LINGER_SECONDS or self._losses.waiting:
                    self._losses.tell()
                    sleep(TICK_SECONDS)
                    idle += TICK_SECONDS
                elif self._is_done():
                    return
        except Exception as error:
            self._draining = False
            health.internal_error("logs.writer", error)

    def _is_done(self) -> bool:
        with self._lock:
            if not self._queue:
                self._draining = False
            return not self._draining

    def _drain_some(self, milliseconds: int | None) -> None:
        """Write as many lines as go into one write, once the stream takes it."""
        if self._sink.can_stall and not sinks.is_writable(self._descriptor, milliseconds):
            return
        lines = self._next_lines()
        size = sum(map(len, lines))
        try:
            written = self._put(b"".join(lines))
        except OSError as error:
            if error.errno in _NOT_THIS_WAY and self._nowait:
                self._nowait = False
                return
            if error.errno in _STALLS and (self._most or error.errno not in _FULL):
                sleep(TICK_SECONDS)
                return
            if self._given_back:
                return
            self._lose(error, len(lines))
            self._torn = self._torn or self._begun
            self._look()
            written = size
        self._take_off(written)

    def _next_lines(self) -> list[bytes]:
        """Return the first lines; on a pipe, whole ones that are not mixed with others'."""
        room = PIPE_BUF if self._sink.can_stall else MOST_AT_ONCE * PIPE_BUF
        lines: list[bytes] = []
        for index in range(min(len(self._queue), MOST_AT_ONCE)):
            line = self._queue[index]
            room -= len(line)
            if room < 0 and lines:
                break
            lines.append(line)
        return lines

    def _take_off(self, written: int) -> None:
        """Take *written* bytes off the queue; only whoever drains does."""
        self._taken += written
        self._moved_at = monotonic()
        while written > 0 and self._queue:
            line = self._queue[0]
            self._begun = len(line) > written
            if self._begun:
                self._queue[0] = line[written:]
                return
            written -= len(line)
            self._queue.popleft()

    def flush(self, timeout: float) -> None:
        """Wait until nothing waits any more, for at most *timeout* seconds; less if it stands."""
        begun = monotonic()
        while self._queue and self._draining and self._left(begun, timeout) > 0:
            sleep(TICK_SECONDS / 5)
        if not self._draining:
            self._drain_here(begun, timeout)
        if not self._queue:
            self._losses.tell(at_last=True)

    def _left(self, begun: float, timeout: float) -> float:
        return min(begun + timeout, max(begun + MOMENT, self._moved_at + PATIENCE)) - monotonic()

    def _drain_here(self, begun: float, timeout: float) -> None:
        with self._lock:
            while self._queue and not self._draining and (left := self._left(begun, timeout)) > 0:
                self._drain_some(min(POLL_MILLISECONDS, int(1000 * left)))

    def give_up(self) -> None:
        """Count what a stalled stream has not taken; say it, and what follows, on stderr."""
        with self._lock:
            if not self._queue:
                return
            self._losses.add("stream stalled", len(self._queue))
            self._queue, self._taken = deque(), self._added
            self._torn, self._begun = self._torn or self._begun, False
            errors = sinks.Sink(2)
            if self._stalled is None and errors.identity not in (None, self._sink.identity):
                self._stalled, self._sink = self._sink, errors
                self._look()
        self._losses.tell(at_last=True)

    def divert(self, descriptor: int) -> None:
        """Write to *descriptor* from now on: what was behind the stream's own number is there."""
        self._sink = sinks.Sink(descriptor)
        self._look()

    def check(self) -> None:
        """Follow a file that was rotated away, or a stream that was redirected."""
        try:
            if self._stalled is not None and self._stalled.takes_lines:
                self._sink, self._stalled = self._stalled, None
                self._look()
            if self._sink.renew():
                self._look()
            if self._losses.waiting and not self._queue:
                self._losses.tell()
        except Exception as error:
            health.internal_error("logs.writer", error)

    def close(self, timeout: float) -> None:
        """Write out what waits for at most *timeout* seconds, and give the stream back."""
        self.flush(timeout)
        with self._lock:
            self._given_back = True
            if self._queue:
                health.lose("logs", "stream stalled", len(self._queue))
            self._queue = deque()
            sink, self._sink = self._stalled or self._sink, sinks.CLOSED
            self._look()
        if self in _writers:
            _writers.remove(self)
        sink.close()


_writers: list[Writer] = []


def _renew_all() -> None:
    """What waits is the parent's to write; its thread and the holders of locks are not here."""
    for writer in _writers:
        writer.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
