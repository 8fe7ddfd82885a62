"""Take lines from whoever logs, and bring them into the spool without being in the way.

A line is put into a bounded queue, which takes no lock and no time; one thread puts what has come
together into the spool with one write. A durable line is in the spool before the call returns.
Where the spool does not take any, lines go on in memory: a full disk does not stop them.
"""

from __future__ import annotations

import errno
from _thread import allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Protocol

from obskit import health

TICK_SECONDS = 0.02
IDLE_TICKS = 10
# With nothing to do, it is looked whether somebody else's lines have to be sent.
REST_SECONDS = 5.0
TEND_SECONDS = 1.0
MOST_LINES, MOST_BYTES = 2000, 256 * 1024
# A durable line that has to wait for room in the spool looks again after this time.
PATIENCE_SECONDS = 0.01

TOO_LONG = "too long"
LINE, SPAN = "line", "span"
SIGNALS = {LINE: "logs", SPAN: "spans"}
Bypass = Callable[[Sequence[bytes], str], None]


class Spool(Protocol):
    """What brings lines and spans to where they are safe."""

    def append(self, bodies: Sequence[bytes], durable: bool, kind: str = LINE) -> bool:
        """Write *bodies*. Raises OSError where that cannot be done."""

    def dropped(self, reason: str, count: int, kind: str = LINE) -> None:
        """Note that *count* will never come."""

    def look(self) -> None:
        """See to it that what was written is still there."""

    def close(self) -> None:
        """Finish what is open."""


class Intake:
    """The way of lines into the spool.

    Args:
        spool: Where they go; None for memory only.
        bypass: Takes the items that the spool does not.
        most: Bytes that may wait for the thread.
        on_stored: Called when there is something new to send.
        tend: Called about once a second, in the thread.
    """

    def __init__(
        self,
        spool: Spool | None,
        bypass: Bypass,
        most: int,
        on_stored: Callable[[], None],
        tend: Callable[[], None],
    ) -> None:
        self.spool = spool
        self._bypass = bypass
        self._most = most
        self._on_stored = on_stored
        self._tend = tend
        self.trouble = ""
        self.renew()

    def renew(self) -> None:
        """Begin with nothing, as a child of the process must."""
        self._lines: deque[bytes] = deque()
        self._spans: deque[bytes] = deque()
        # Threads do not switch within such a sum; it is put right whenever nothing waits.
        self._added = self._stored = 0
        self._one = allocate_lock()
        self._bell = allocate_lock()
        self._bell.acquire()
        self._running = self._resting = self._ended = self._busy = False
        self._next_tend = 0.0
        self._dropped: deque[tuple[str, str]] = deque()
        self.is_used = False

    def take(self, line: bytes) -> None:
        """Keep *line*, which has its newline, to be sent; returns at once."""
        if self._added - self._stored + len(line) > self._most:
            self._drop("queue full", LINE)
            return
        self._added += len(line)
        self._lines.append(line)
        if self._resting or not self._running:
            self._wake()

    def take_span(self, span: bytes) -> None:
        """Keep an encoded *span* to be sent; returns at once."""
        if self._added - self._stored + len(span) > self._most:
            self._drop("queue full", SPAN)
            return
        self._added += len(span)
        self._spans.append(span)
        if self._resting or not self._running:
            self._wake()

    def _wake(self) -> None:
        if self._running:
            self._ring()
        else:
            self._begin()

    def _drop(self, reason: str, kind: str) -> None:
        health.lose(SIGNALS[kind], reason)
        self._dropped.append((reason, kind))

    def take_durably(self, line: bytes, wait: bool) -> None:
        """Put *line*, which has its newline, into the spool now; with *wait* until it has room.

        What the spool does not take goes on in memory, and the trouble is counted.
        """
        bodies = (line[:-1],)
        while error := self._store_durably(bodies):
            if not wait or error == errno.EMSGSIZE or self._ended:
                health.lose("durability", "not spooled")
                self._bypass(bodies, LINE)
                break
            sleep(PATIENCE_SECONDS)
        if self._resting or not self._running:
            self._wake()

    def put(self, bodies: Sequence[bytes]) -> int:
        """Bring lines into the spool, or into memory, now; return for how many there was room.

        For whoever can wait: nothing that waits already is given up for them. A line for which
        there can never be any room is dropped, and counted.
        """
        self.is_used = True
        self._wake()
        if self.spool is None:
            self._bypass(bodies, LINE)
        elif error := self._store_durably(bodies):
            if error != errno.EMSGSIZE:
                return 0
            if len(bodies) > 1:
                return self.put(bodies[: len(bodies) // 2])
            self._drop(TOO_LONG, LINE)
        self._on_stored()
        return len(bodies)

    def _store_durably(self, bodies: Sequence[bytes]) -> int:
        """Bring lines into the spool now; return the number of the error, 0 if there is none."""
        if self.spool is None:
            return errno.EMSGSIZE
        try:
            self.spool.append(bodies, True)
        except OSError as error:
            self._note(error)
            return error.errno or errno.EIO
        return 0

    def _note(self, error: OSError) -> None:
        self.trouble = f"{type(error).__name__}: {error.strerror or error}"
        health.internal_error("shipping.spool", error)

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it rings already

    def _begin(self) -> None:
        if self._ended or not self._one.acquire(False):
            return
        self._running = self.is_used = True
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # at the end of the interpreter, or at the limit of threads
            self._running = False
            self._one.release()

    def _run(self) -> None:
        try:
            idle = 0
            while not self._ended:
                idle = 0 if self._work() else idle + 1
                # To look so often a few times is cheaper than to be woken for each line.
                if idle < IDLE_TICKS:
                    sleep(TICK_SECONDS)
                else:
                    self._rest()
        finally:
            self._running = False
            self._one.release()

    def _work(self) -> bool:
        """Do what there is to do; tell whether there was anything."""
        has_work = bool(self.waiting or self._dropped)
        try:
            if has_work:
                self.store()
                self._on_stored()
            now = monotonic()
            if now >= self._next_tend:
                self._next_tend = now + TEND_SECONDS
                self._tend()
        except Exception as error:
            health.internal_error("shipping.intake", error)
        return has_work

    def _rest(self) -> None:
        self._resting = True
        if not self.waiting and not self._ended:
            self._bell.acquire(timeout=REST_SECONDS)
        self._resting = False

    def store(self) -> None:
        """Bring what waits into the spool; for one thread at a time."""
        self._busy = True
        try:
            while self._lines:
                size, lines = _some_of(self._lines)
                self._store_some([line[:-1] for line in lines], LINE, size)
            while self._spans:
                size, spans = _some_of(self._spans)
                self._store_some(spans, SPAN, size)
            self._confess()
        finally:
            self._busy = False

    def _store_some(self, bodies: list[bytes], kind: str, size: int) -> None:
        try:
            if self.spool is None:
                self._bypass(bodies, kind)
            else:
                if not self.spool.append(bodies, False, kind):
                    health.lose(SIGNALS[kind], "spool full", len(bodies))
                self.trouble = ""
        except OSError as error:
            self._note(error)
            self._bypass(bodies, kind)
        self._stored += size
        if not self.waiting and self._stored != self._added:
            self._stored = self._added

    def _confess(self) -> None:
        """Leave word in the spool of what has been dropped."""
        counts: dict[tuple[str, str], int] = {}
        while self._dropped:
            one = self._dropped.popleft()
            counts[one] = counts.get(one, 0) + 1
        for (reason, kind), count in counts.items():
            if self.spool is not None:
                self.spool.dropped(reason, count, kind)

    def flush(self, deadline: float) -> bool:
        """Bring all that waits into the spool until *deadline*; tell whether that was done."""
        self._ring()
        while self._running and (self.waiting or self._busy) and monotonic() < deadline:
            sleep(TICK_SECONDS / 10)
        if (self.waiting or self._dropped) and self._one.acquire(False):
            try:
                self.store()
            finally:
                self._one.release()
        return not self.waiting

    @property
    def waiting(self) -> int:
        """How many lines and spans are not in the spool yet."""
        return len(self._lines) + len(self._spans)

    def abandon(self, reason: str) -> int:
        """Count what is not in the spool as lost; return how much that is."""
        count = 0
        for kind, queue in ((LINE, self._lines), (SPAN, self._spans)):
            if queue:
                health.lose(SIGNALS[kind], reason, len(queue))
                count += len(queue)
                queue.clear()
        return count

    def close(self) -> None:
        """Take no more."""
        self._ended = True
        self._ring()


def _some_of(queue: deque[bytes]) -> tuple[int, list[bytes]]:
    """Take the first items off *queue*, so many as go together; return their size and them."""
    items: list[bytes] = []
    size = 0
    while queue and len(items) < MOST_LINES and size < MOST_BYTES:
        item = queue.popleft()
        items.append(item)
        size += len(item)
    return size, items
