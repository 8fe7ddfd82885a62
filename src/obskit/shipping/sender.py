"""Send in the background what is handed over: in batches, again if need be, and never in the way.

One thread for each destination begins with the first item and rests while there is none. What it
cannot deliver waits in the bounded backlog; what is lost is counted. After a fork the child begins
with nothing: what waits is the parent's, and so are its thread and its connection.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Any, Protocol

from obskit import health, signals
from obskit.observation import suppress
from obskit.shipping.backlog import Backlog
from obskit.shipping.notices import Notices, Say
from obskit.shipping.verdict import AGAIN, TAKEN, Verdict

# Taken by name when this is imported: lock, thread and sleep are then of one kind, all the
# operating system's, or all those that gevent has put in their places before.

LINGER_SECONDS, LONGEST_EXCHANGE, TICK_SECONDS = 0.5, 10.0, 0.005
FIRST_PAUSE, LONGEST_PAUSE, URGENT_PAUSE = 0.5, 30.0, 0.2
# So many do not wait for more; so many go together where a server is slow.
ENOUGH, MOST_IN_BATCH = 500, 2000
LARGEST_BATCH = 900 * 1024
# Failures in a row at the end of a process before it gives up.
MOST_LAST_FAILURES = 2
# At the end: for one answer, and for a server that is known to be away. Where a program is several
# processes one waits for the other, and all are to end within seconds.
PATIENCE, LAST_CHANCE = 2.0, 1.0
# So often a batch is sent that the server itself fails at, and so often it is cut.
MOST_TRIES, MOST_PARTS = 10, 64


class Destination(Protocol):
    """Where things are sent; all but `pack` is called by one thread at a time.

    An item is packed by whoever hands it over: so it is cut to size before it waits, what waits
    has a known size, and no request has to stand by while hundreds of items are encoded.
    """

    url: str

    def pack(self, item: Any) -> tuple[Any, int]:
        """Return *item* as it is sent, and how many bytes it takes."""

    def send(self, batch: Sequence[Any], seconds: float) -> Verdict:
        """Send a batch, within *seconds*, and say what has become of it."""

    def forget(self) -> None:
        """Leave what is open to the parent, after a fork."""

    def close(self) -> None:
        """Close what is open."""


class Sender:
    """Deliver items to one destination.

    Args:
        destination: Where they go.
        is_precious: Tells whether an item is to be lost last.
        most: Bytes that may wait.
        say: Writes a line about trouble.
        signal: What it is, as losses of it are counted.
    """

    def __init__(
        self,
        destination: Destination,
        is_precious: Callable[[Any], bool],
        most: int,
        say: Say,
        signal: str = "spans",
    ) -> None:
        self.destination = destination
        self.signal = signal
        self._is_precious = is_precious
        self._most = most
        self._say = say
        self._renew()
        _senders.append(self)

    def _renew(self) -> None:
        self.backlog = Backlog(self.signal, self._most)
        self.sent = 0
        self.trouble = ""
        self._batch: list[tuple[int, Any]] = []
        self._one = allocate_lock()
        self._bell = allocate_lock()
        self._bell.acquire()
        self._running = self._resting = self._ended = False
        self._urgent_until = self._not_before = self._no_thread_until = 0.0
        self._asked_at = self._hopes_until = 0.0
        self._failures = self._last_failures = self._tries = 0
        self._notices = Notices(self._say, self.signal, self.destination.url)

    def after_fork(self) -> None:
        """Begin anew in the child."""
        self._renew()
        self.destination.forget()

    @property
    def pending(self) -> int:
        """How many items wait, or are on their way."""
        return len(self._batch) + len(self.backlog)

    def take(self, item: Any) -> None:
        """Keep *item* to be sent; returns at once."""
        if self._ended:
            health.lose(self.signal, "process ended")
            return
        try:
            packed, size = self.destination.pack(item)
        except Exception as error:
            health.internal_error(f"shipping.{self.signal}", error)
            health.lose(self.signal, "encoding")
            return
        backlog = self.backlog
        more = backlog.put(packed, size, self._is_precious(item))
        health.unsent[0] += more
        if not self._running:
            self._begin()
        elif self._resting or len(backlog) == ENOUGH:
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it rings already

    def _begin(self) -> None:
        """Start the thread, unless another one does, or none can be started any more."""
        if monotonic() < self._no_thread_until or not self._one.acquire(False):
            return
        self._running = True
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # at the end of the interpreter, or at the limit of threads
            self._no_thread_until = monotonic() + 1.0
            self._stop()

    def _stop(self) -> None:
        self._running = False
        self._one.release()

    def _run(self) -> None:
        signals.leave()
        try:
            with suppress():
                while not self._ended:
                    if self.pending:
                        self._pause()
                        self._deliver()
                    else:
                        self._rest()
            self.destination.close()
        except Exception as error:
            self._no_thread_until = monotonic() + FIRST_PAUSE
            health.internal_error(f"shipping.{self.signal}", error)
        finally:
            self._stop()

    def _rest(self) -> None:
        """Wait for something to do."""
        self._resting = True
        if not self.pending and not self._ended:
            self._bell.acquire()
        self._resting = False

    def _pause(self) -> None:
        """Wait for more to go along, or until the next attempt is due."""
        now = monotonic()
        if now < self._urgent_until:
            if self._last_failures:
                sleep(URGENT_PAUSE)
        elif now < self._not_before:
            while now < self._not_before and not self._urgent_until > now and not self._ended:
                self._bell.acquire(timeout=self._not_before - now)
                now = monotonic()
        elif not self._batch and len(self.backlog) < ENOUGH:
            self._bell.acquire(timeout=LINGER_SECONDS)

    def _deliver(self) -> None:
        """Send one batch, or try to."""
        if not self._batch:
            self._fill()
        batch = self._batch
        if not batch:
            return
        answer = self._try(batch)
        if answer.kind == AGAIN:
            self._wait_longer(answer)
            self._tries += answer.part
            if self._tries >= MOST_TRIES:
                self._finish(batch, answer.why)
        elif answer.kind == TAKEN:
            self._finish(batch)
        elif answer.part and len(batch) > 1:
            self._send_parts(batch)
        else:
            self._finish(batch, answer.why)

    def _try(self, batch: list[tuple[int, Any]]) -> Verdict:
        seconds = LONGEST_EXCHANGE
        now = self._asked_at = monotonic()
        if self._urgent_until:
            seconds = min(PATIENCE, max(TICK_SECONDS, self._urgent_until - now))
        answer = self.destination.send([item for _, item in batch], seconds)
        self._asked_at = 0.0
        return answer

    def _fill(self) -> None:
        """Take the next batch; most of the room stays for what matters more."""
        most = min(LARGEST_BATCH, self._most // 4)
        size = self._tries = 0
        while len(self._batch) < MOST_IN_BATCH and size < most:
            found = self.backlog.get()
            if found is None:
                return
            self._batch.append(found)
            size += found[0]

    def _finish(self, done: list[tuple[int, Any]], lost: str = "") -> None:
        """Let go of *done*, which is part of the batch: delivered, or *lost* for a reason."""
        if self._ended:
            return  # an answer that comes too late: it is counted as lost by now
        if done is self._batch:
            self._batch = []
        else:
            gone = set(map(id, done))
            self._batch = [one for one in self._batch if id(one) not in gone]
        for size, _ in done:
            self.backlog.done(size)
        count = len(done)
        health.unsent[0] -= count
        if lost:
            self.trouble = lost
            health.lose(self.signal, f"refused: {lost}", count)
            self._notices.refused(count, lost)
            return
        self.sent += count
        self._notices.sent()
        self.trouble = ""
        self._failures = self._last_failures = 0

    def _send_parts(self, batch: list[tuple[int, Any]]) -> None:
        """Find the items that a batch was refused for, and lose these alone."""
        middle = len(batch) // 2
        parts = [batch[middle:], batch[:middle]]
        for _ in range(MOST_PARTS):
            if not parts:
                return
            part = parts.pop()
            answer = self._try(part)
            if answer.kind == AGAIN:
                self._wait_longer(answer)
                return  # all that is left is in the batch still
            if answer.kind == TAKEN:
                self._finish(part)
            elif len(part) == 1 or not answer.part:
                self._finish(part, answer.why)
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        if self._batch:
            self._finish(self._batch, "too many parts")

    def _wait_longer(self, answer: Verdict) -> None:
        self._failures += 1
        self._last_failures += 1
        self.trouble = answer.why
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        pause *= 0.5 + os.urandom(1)[0] / 512  # not all processes are to come back at once
        self._not_before = monotonic() + max(pause, answer.wait)
        self._notices.cannot_send(answer.why)

    def flush(self, timeout: float) -> bool:
        """Send what waits, within *timeout* seconds; tell whether all of it is out."""
        if not self.pending:
            return True
        deadline = monotonic() + timeout
        self._hopes_until = deadline - max(0.0, timeout - LAST_CHANCE)
        self._last_failures = 0
        self._urgent_until = deadline
        if not self._running:
            self._begin()
        self._ring()
        while self._running and self._goes_on(deadline):
            sleep(TICK_SECONDS)
        if self._goes_on(deadline) and self._one.acquire(False):
            self._send_here(deadline)
        self._urgent_until = 0.0
        return not self.pending

    def _goes_on(self, deadline: float) -> bool:
        left = self.pending and self._last_failures < MOST_LAST_FAILURES
        now = monotonic()
        is_away = self._failures or 0.0 < self._asked_at < now - PATIENCE
        return bool(left) and now < (self._hopes_until if is_away else deadline)

    def _send_here(self, deadline: float) -> None:
        """Send in this thread, where there can be no other."""
        try:
            with suppress():
                while self._goes_on(deadline):
                    self._deliver()
        except Exception as error:
            health.internal_error(f"shipping.{self.signal}", error)
        finally:
            self._one.release()

    def abandon(self, reason: str) -> None:
        """Count what still waits as lost, since the process ends, and say so."""
        self._ended = True
        if count := self.pending:
            self.backlog, self._batch = Backlog(self.signal, self._most), []
            health.unsent[0] -= count
            health.lose(self.signal, reason, count)
            self._notices.lost(count, reason)

    def close(self) -> None:
        """Take no more; the thread ends, and what is open is closed."""
        self._ended = True
        self._ring()
        if self._one.acquire(False):
            self.destination.close()
            self._one.release()
        if self in _senders:
            _senders.remove(self)


_senders: list[Sender] = []


def _after_fork() -> None:
    for sender in _senders:
        try:
            sender.after_fork()
        except Exception as error:
            health.internal_error("shipping.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
