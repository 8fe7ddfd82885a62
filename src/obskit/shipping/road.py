"""The road of lines and spans from a process to the destinations of its service.

Each process brings its own into the spool of the service. One of them holds the lease and sends
what is there, whoever has put it there; when it ends, another one goes on. A process whose spool
cannot be used sends from memory what it has itself.
"""

from __future__ import annotations

import os
from _thread import RLock
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit.shipping.dead import DeadLetters
from obskit.shipping.entry import Entry
from obskit.shipping.intake import Intake
from obskit.shipping.memory import Memory
from obskit.shipping.notices import Notices, Say
from obskit.shipping.shipper import Shipper
from obskit.shipping.spool import Appender, Lease, Reader, ledger
from obskit.shipping.verdict import Verdict

if TYPE_CHECKING:
    from obskit.shipping.backends import Backend

LONGEST_STORE = 0.5


class Road:
    """The way to all destinations.

    Args:
        backends: Who talks to each destination, by name.
        folder: The folder of the service's spool; none for memory only.
        most: Bytes that the spool may take.
        queue: Bytes that may wait in memory, for each destination.
        fsync: Whether a durable line is on the disk before the call returns.
        say: Writes a line about trouble.
        spares: Whether what these have got stays for destinations that were there before.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        folder: str | None,
        most: int,
        queue: int,
        fsync: bool,
        say: Say,
        spares: bool = False,
    ) -> None:
        self.folder = folder
        self._spares = spares
        self.trouble = ""
        self._notices = Notices(say, "lines", folder or "")
        self._memories = {name: Memory(one.kind, queue) for name, one in backends.items()}
        self._lease: Lease | None = None
        spool = self._open(most, fsync) if folder else None
        self.shippers = {
            name: Shipper(one, self._bury(name, one), say) for name, one in backends.items()
        }
        self.intake = Intake(spool, self._bypass, queue, self._ring, self.tend)
        self.take = self.intake.take
        self.take_durably = self.intake.take_durably
        self.take_span = self.intake.take_span
        self._begin()
        _roads.append(self)

    def _open(self, most: int, fsync: bool) -> Appender | None:
        assert self.folder is not None
        try:
            spool = Appender(self.folder, most, fsync)
            self._lease = Lease(self.folder)
        except OSError as error:
            self.trouble = f"no spool: {error.strerror or error}"
            health.internal_error("shipping.spool", error)
            return None
        return spool

    def _bury(self, name: str, backend: Backend) -> Callable[[Entry, Verdict], bool]:
        """Return what puts an entry with the dead letters of a destination, if it has any room."""

        letters = DeadLetters(self.folder, name) if self.folder else None
        url = backend.url

        def bury(entry: Entry, verdict: Verdict) -> bool:
            try:
                return letters is not None and letters.write(url, entry, verdict)
            except OSError as error:
                health.internal_error("shipping.dead", error)
                return False

        return bury

    def put(self, bodies: Sequence[bytes]) -> int:
        """Bring lines to where they wait, now; return for how many of them there was room."""
        return self.intake.put(bodies)

    def left(self) -> dict[str, int]:
        """Return how many entries each destination has yet to get, from whichever process."""
        found = {
            name: self.intake.waiting + memory.waiting + self.shippers[name].in_hand_of(memory)
            for name, memory in self._memories.items()
        }
        if self._lease is not None and self.folder is not None:
            for one in ledger(self.folder).standings:
                if one.destination in found:
                    found[one.destination] += one.waiting
        return found

    def _bypass(self, bodies: Sequence[bytes], kind: str) -> None:
        """Keep in memory what the spool has not taken."""
        for name, memory in self._memories.items():
            if self.shippers[name].backend.kind == kind:
                for body in bodies:
                    memory.put(body)
        self._ring()

    def _ring(self) -> None:
        for shipper in self.shippers.values():
            shipper.ring()
            shipper.begin()

    def _begin(self) -> None:
        self._tending = RLock()
        self._reads = self._closed = False
        self._unread: dict[str, str] = {}
        for name, shipper in self.shippers.items():
            shipper.sources = (self._memories[name],)

    def tend(self) -> None:
        """Take over what others of the service have sent until now, if nobody does."""
        if self._lease is None:
            return
        with self._tending:
            if self._closed:
                return
            if not (self._reads and self._lease.held):
                self._reads = self._lease.acquire()
                self._unread = dict.fromkeys(self.shippers, "") if self._reads else {}
            elif not self._unread:
                return
            self._unread = {name: why for name in self._unread if (why := self._read(name))}
        if trouble := self._lease_trouble() or "".join(list(self._unread.values())[:1]):
            self._notices.cannot_send(trouble)
        else:
            self._notices.sent()
        if self._reads:
            self._ring()

    def _read(self, name: str) -> str:
        """Let a destination read the spool; return why it cannot: then it is tried again."""
        assert self.folder is not None
        shipper, memory = self.shippers[name], self._memories[name]
        try:
            reader = Reader(self.folder, name, shipper.backend.kind, self._known())
        except OSError as error:
            health.internal_error("shipping.spool", error)
            shipper.sources = (memory,)
            return f"no ledger: {error.strerror or error}"
        shipper.sources = (memory, reader)
        return ""

    def _known(self) -> set[str]:
        """Return the destinations that get all before it is deleted."""
        known = set(self.shippers)
        if self._spares and self.folder is not None:
            known |= {one.destination for one in ledger(self.folder).standings}
        return known

    def _lease_trouble(self) -> str:
        """Return why this process could not send though nobody else does."""
        found = self._lease.trouble if self._lease is not None else ""
        return found and f"no lease: {found}"

    @property
    def sends(self) -> bool:
        """Whether this process is the one that sends what is in the spool."""
        return self._lease is not None and self._lease.held

    @property
    def waiting(self) -> int:
        """How many lines and spans of this process would be gone with it."""
        memories = sum(one.waiting for one in self._memories.values())
        return self.intake.waiting + memories

    def store(self, deadline: float) -> bool:
        """Bring all that this process has into the spool; tell whether that was done."""
        return not (self.intake.is_used or self.waiting) or self.intake.flush(deadline)

    def flush(self, deadline: float) -> bool:
        """Bring all into the spool, and send what can be sent until *deadline*."""
        if not (self.intake.is_used or self.waiting):
            return True
        stored = self.store(deadline)
        if self.intake.spool is not None:
            self.intake.spool.look()
        self.tend()
        for shipper in self.shippers.values():
            shipper.hurry(deadline)
        sent = [shipper.flush(deadline) for shipper in self.shippers.values()]
        return stored and all(sent)

    def abandon(self, reason: str) -> int:
        """Count what is in memory only as lost, since the process ends; return how much.

        Lines that were on their way into the spool are brought there, for whoever comes later:
        that takes no server, and next to no time.
        """
        for shipper in self.shippers.values():
            # What it would begin to send now would have to be sent again.
            shipper.end()
        self.store(monotonic() + LONGEST_STORE)
        count = 0
        for name, memory in self._memories.items():
            left = memory.waiting + self.shippers[name].in_hand_of(memory)
            if left:
                memory.lose(reason, left)
                memory.renew()
            count += left
        return count + self.intake.abandon(reason)

    def after_fork(self) -> None:
        """Begin anew in the child: what waits is the parent's, and so is the lease."""
        self.intake.renew()
        for memory in self._memories.values():
            memory.renew()
        for shipper in self.shippers.values():
            shipper.after_fork()
        self._begin()

    def status(self) -> dict[str, dict[str, Any]]:
        """Say where lines go, how many this process has sent, and what is wrong."""
        trouble = self.trouble or self.intake.trouble or self._lease_trouble()
        return {
            name: {
                "to": shipper.backend.url,
                "promise": shipper.backend.promise,
                "sent": shipper.taken,
                "refused": shipper.dead,
                "waiting": self.intake.waiting + self._memories[name].waiting + shipper.in_hand,
                "sends": self.sends,
                "spool": self.folder or "off",
                "trouble": shipper.trouble or self._unread.get(name) or trouble,
            }
            for name, shipper in self.shippers.items()
        }

    def counts(self) -> list[tuple[str, tuple[str, ...], float]]:
        """Return the metrics of the spool, of all processes that use it."""
        if self.folder is None or self._lease is None:
            return []
        found = ledger(self.folder)
        told: list[tuple[str, tuple[str, ...], float]] = [("obskit_spool_bytes", (), found.bytes)]
        for one in found.standings:
            if one.destination in self.shippers:
                results = {
                    "taken": one.taken,
                    "dead": one.dead,
                    "dropped": sum(one.dropped.values()),
                }
                told += [
                    ("obskit_shipped_total", (one.destination, result), count)
                    for result, count in results.items()
                ]
                told.append(("obskit_spool_waiting", (one.destination,), one.waiting))
        return told

    def close(self) -> None:
        """Send no more, and give everything back."""
        self.intake.close()
        for shipper in self.shippers.values():
            shipper.close()
        if self.intake.spool is not None:
            self.intake.spool.close()
        with self._tending:
            # The thread of the intake may be about to take it again.
            self._closed = True
            if self._lease is not None:
                self._lease.release()
        if self in _roads:
            _roads.remove(self)


_roads: list[Road] = []


def _after_fork() -> None:
    for road in _roads:
        try:
            road.after_fork()
        except Exception as error:
            health.internal_error("shipping.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
