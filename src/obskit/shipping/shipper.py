"""Deliver what waits to one destination: in batches, again if need be, nothing twice without need.

A batch is in hand until each of its entries is decided: taken by the server, or refused for good,
which costs that entry alone and puts it with the dead letters. Only then is the next one begun.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import TYPE_CHECKING, Protocol

from obskit import health
from obskit.observation import suppress
from obskit.shipping.entry import Entry
from obskit.shipping.notices import Notices, Say
from obskit.shipping.verdict import AGAIN, REFUSED, TIMEOUT, Verdict

LONGEST_EXCHANGE = 10.0
TICK_SECONDS = 0.005
# Lines go together that come within this time of each other.
LINGER_SECONDS = 0.2
# Other processes do not say when they have put something into the spool.
REST_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
URGENT_PAUSE = 0.2
# Failures in a row at the end of a process before it gives up.
MOST_LAST_FAILURES = 2
# So often a batch is sent that the server itself fails at, before its parts are tried.
MOST_TRIES = 10

if TYPE_CHECKING:
    from obskit.shipping.backends import Backend

Bury = Callable[[Entry, Verdict], bool]


class Source(Protocol):
    """Where entries come from."""

    def batch(self, most_entries: int, most_bytes: int) -> list[Entry]:
        """Return what is next; none if nothing is."""

    def decide(self, taken: int, dead: int = 0, dropped: Mapping[str, int] | None = None) -> None:
        """Let go of the batch: so many were taken, so many are dead, the others dropped."""


class Shipper:
    """Deliver to one destination.

    Args:
        backend: Who talks to it.
        bury: Keeps an entry that was refused for good, with the verdict; tells whether it could.
        say: Writes a line about trouble.
    """

    def __init__(self, backend: Backend, bury: Bury, say: Say) -> None:
        self.backend = backend
        self.sources: tuple[Source, ...] = ()
        self._bury = bury
        self._say = say
        self._what = "lines" if backend.kind == "line" else "spans"
        self._signal = "logs" if backend.kind == "line" else "spans"
        self.renew()

    def renew(self) -> None:
        """Begin with nothing in hand and no thread, as a child of the process must."""
        self.taken, self.dead, self.trouble = 0, 0, ""
        self._most = self.backend.most_entries
        self._batch: list[Entry] = []
        self._source: Source | None = None
        self._counted = [0, 0]
        self._dropped: dict[str, int] = {}
        self._one = allocate_lock()
        self._bell = allocate_lock()
        self._bell.acquire()
        self._running = self._ended = self._is_small = self._looks = False
        self.is_drained = True
        self._not_before = self._urgent_until = 0.0
        self._failures = self._last_failures = self._tries = 0
        self._notices = Notices(self._say, self._what, self.backend.url)

    @property
    def in_hand(self) -> int:
        """How many entries are on their way."""
        return len(self._batch)

    def in_hand_of(self, source: Source) -> int:
        """How many entries are on their way that came from *source*."""
        return len(self._batch) if self._source is source else 0

    def begin(self) -> bool:
        """Start the thread where none runs; tell whether one does."""
        if self._running:
            return True
        if self._ended or not self._one.acquire(False):
            return False
        self._running = True
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # at the end of the interpreter, or at the limit of threads
            self._stop()
        return self._running

    def _stop(self) -> None:
        self._running = self._looks = False
        self._one.release()

    def ring(self) -> None:
        """Say that there is something to do."""
        self.is_drained = False
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it rings already

    def _run(self) -> None:
        try:
            with suppress():
                while not self._ended:
                    if not self._is_due():
                        self._bell.acquire(timeout=max(0.0, self._not_before - monotonic()))
                    elif not self.deliver():
                        self._rest()
                    elif self._is_small:
                        self._linger()
            self.backend.close()
        except Exception as error:
            self._contain(error)
        finally:
            self._stop()

    def _contain(self, error: Exception) -> None:
        health.internal_error(f"shipping.{self._what}", error)
        self._wait_longer(Verdict(AGAIN, type(error).__name__))

    def _rest(self) -> None:
        """Wait for something to do, and a little longer for more of it."""
        self._bell.acquire(timeout=REST_SECONDS)
        self._linger()

    def _linger(self) -> None:
        if monotonic() >= self._urgent_until and not self._ended:
            sleep(LINGER_SECONDS)

    def _is_due(self) -> bool:
        now = monotonic()
        if now < self._urgent_until:
            if self._last_failures:
                sleep(URGENT_PAUSE)
            return True
        return now >= self._not_before

    def deliver(self) -> bool:
        """Send a batch, or part of it to a slow server; tell whether there was one."""
        batch = self._batch
        if not batch:
            # A flush must not take "looking" for "nothing there".
            self._looks = True
            batch = self._next()
            self._looks = False
        if not batch:
            return False
        batch = batch[: self._most]
        answer = self._try(batch)
        if answer.part and self._may_be_one(answer, batch):
            self._send_parts(batch)
        else:
            self._judge(batch, answer)
        return True

    def _may_be_one(self, answer: Verdict, batch: Sequence[Entry]) -> bool:
        return len(batch) > 1 if answer.kind == REFUSED else self._tries >= MOST_TRIES

    def _next(self) -> list[Entry]:
        # Who puts something in says so afterwards: it is seen here, or this is undone.
        self.is_drained = True
        for source in self.sources:
            try:
                batch = source.batch(self.backend.most_entries, self.backend.most_bytes)
            except OSError as error:
                health.internal_error("shipping.spool", error)
                continue
            if batch:
                self.is_drained = False
                self._source, self._batch = source, batch
                self._is_small = len(batch) < self.backend.most_entries // 2
                self._counted, self._dropped, self._tries = [0, 0], {}, 0
                return batch
        return []

    def _try(self, batch: Sequence[Entry]) -> Verdict:
        urgent = self._urgent_until - monotonic()
        seconds = min(LONGEST_EXCHANGE, urgent) if urgent > 0 else LONGEST_EXCHANGE
        return self.backend.send(batch, seconds)

    def _judge(self, part: Sequence[Entry], answer: Verdict) -> None:
        """Decide what an *answer* to *part* of the batch decides."""
        if answer.kind == AGAIN:
            self._wait_longer(answer)
            return
        if answer.kind == REFUSED:
            for entry in part:
                self._lose(entry, answer)
            self._settle(part, 0)
            return
        again = [(index, one) for index, one in answer.items if one.kind == AGAIN]
        dead = [(index, one) for index, one in answer.items if one.kind == REFUSED]
        for index, one in dead:
            self._lose(part[index], one)
        kept = {index for index, _ in again}
        done = [entry for index, entry in enumerate(part) if index not in kept] if kept else part
        lost = min(answer.lost, len(done) - len(dead))
        self._settle(done, len(done) - len(dead) - lost, lost, answer.why)
        if again:
            self._wait_longer(max((one for _, one in again), key=lambda one: one.wait))
        else:
            self._recover()

    def _settle(self, done: Sequence[Entry], taken: int, lost: int = 0, why: str = "") -> None:
        """Let go of entries that are decided; with the last of a batch its source may go on."""
        self.taken += taken
        self._counted[0] += taken
        if lost:
            self._drop(why or "rejected", lost)
            self._notices.refused(lost, why or "rejected")
        if len(done) == len(self._batch):
            self._batch = []
        else:
            gone = set(map(id, done))
            self._batch = [entry for entry in self._batch if id(entry) not in gone]
        if not self._batch and self._source is not None:
            taken, dead = self._counted
            self._tries = 0
            try:
                self._source.decide(taken, dead, self._dropped)
            except OSError as error:
                # They will be sent twice if the process ends before the next time.
                health.internal_error("shipping.spool", error)

    def _lose(self, entry: Entry, answer: Verdict) -> None:
        self.trouble = answer.why
        if self._bury(entry, answer):
            self.dead += 1
            self._counted[1] += 1
        else:
            self._drop(f"refused: {answer.why}", 1)
        self._notices.refused(1, answer.why)

    def _drop(self, reason: str, count: int) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + count
        health.lose(self._signal, reason, count)

    def _recover(self) -> None:
        self._failures, self._last_failures, self._not_before, self.trouble = 0, 0, 0.0, ""
        self._most = min(self._most + max(1, self._most // 8), self.backend.most_entries)
        self._notices.sent()

    def _send_parts(self, batch: Sequence[Entry]) -> None:
        """Find the entries that a batch was refused for, and lose these alone."""
        middle = len(batch) // 2
        parts = [batch[middle:], batch[:middle]] if middle else [batch]
        while parts and not self._ended:
            part = parts.pop()
            answer = self._try(part)
            fails = answer.kind == AGAIN and answer.part
            if len(part) == 1 and fails and self._is_to_blame():
                answer = Verdict(REFUSED, answer.why, answer=answer.answer)
            elif len(part) > 1 and (fails or (answer.kind == REFUSED and answer.part)):
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            self._judge(part, answer)
            if answer.kind == AGAIN:
                return

    def _is_to_blame(self) -> bool:
        """Tell whether it is the entry that the server fails at: others were taken, or it is long.

        A server that fails at everything for some minutes is not to cost what waits for it.
        """
        return self._counted[0] > 0 or self._tries >= 3 * MOST_TRIES

    def _wait_longer(self, answer: Verdict) -> None:
        self._failures += 1
        self._last_failures += 1
        self._tries += answer.part
        self.trouble = answer.why
        if answer.why == TIMEOUT:
            self._most = max(1, min(self._most, len(self._batch)) // 2)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))
        # Not all processes are to come back at the same moment.
        pause *= 0.5 + os.urandom(1)[0] / 512
        self._not_before = monotonic() + max(pause, answer.wait)
        self._notices.cannot_send(answer.why)

    def hurry(self, deadline: float) -> None:
        """Begin to send what waits, until *deadline* without any pause."""
        self._last_failures = 0
        self._urgent_until = deadline
        self.ring()
        self.begin()

    def flush(self, deadline: float) -> bool:
        """Wait until what waits is sent, or *deadline*; tell whether all of it is out.

        It gives up early where the destination does not answer: what is spooled stays there.
        """
        while self._running and self._goes_on(deadline):
            sleep(TICK_SECONDS)
        if self._goes_on(deadline) and self._one.acquire(False):
            self._send_here(deadline)
        self._urgent_until = 0.0
        return self.is_drained and not (self._batch or self._looks)

    def _goes_on(self, deadline: float) -> bool:
        if monotonic() >= deadline or self._last_failures >= MOST_LAST_FAILURES:
            return False
        return bool(self._batch) or self._looks or not self.is_drained

    def _send_here(self, deadline: float) -> None:
        """Send in this thread, where there can be no other."""
        try:
            with suppress():
                while self._goes_on(deadline):
                    self.deliver()
        except Exception as error:
            self._contain(error)
        finally:
            self._one.release()

    def after_fork(self) -> None:
        """Begin anew in the child; what is open is the parent's."""
        self.renew()
        self.sources = ()
        self.backend.forget()

    def end(self) -> None:
        """Begin to send nothing any more."""
        self._ended = True

    def close(self) -> None:
        """Send no more; the thread ends, and what is open is closed."""
        self.end()
        self.ring()
        if self._one.acquire(False):
            self.backend.close()
            self._one.release()
