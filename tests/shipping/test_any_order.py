"""Whatever happens in whichever order: nothing durable is lost, nothing is altered, all adds up."""

import contextlib
import itertools
import tempfile
from collections import Counter
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from obskit import health
from obskit.shipping import intake, shipper
from obskit.shipping.dead import DeadLetters
from obskit.shipping.road import Road
from obskit.shipping.spool import ledger
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

NAMES = ("search", "other")
POISON = b"poison"
TRIES = 3
MODES = ("well", "away", "denies", "broken", "cut", "itemised", "busy", "flaky")


class Server:
    """A server that keeps what it takes by ID, and behaves as it is told to."""

    url = "fake://server"
    kind, most_entries, most_bytes, promise = "line", 4, 10_000, "acknowledged"

    def __init__(self):
        self.mode, self.stored, self.received, self.batch = "well", {}, Counter(), []
        self.calls = itertools.count()

    def send(self, batch, seconds):
        """Take a batch or not."""
        if self.mode == "away":
            return Verdict(AGAIN, "no connection")
        if self.mode == "denies":
            return Verdict(AGAIN, "status 401")
        if self.mode == "broken":
            return Verdict(AGAIN, "status 500", part=True)
        if self.mode == "flaky" and next(self.calls) % 3 == 1:
            return Verdict(AGAIN, "status 503")
        poison = [index for index, one in enumerate(batch) if one.body.startswith(POISON)]
        if poison and self.mode not in ("itemised", "busy"):
            return Verdict(REFUSED, "status 400", part=True, answer="poison")
        busy = range(1, len(batch), 2) if self.mode == "busy" else ()
        self.batch = [one for index, one in enumerate(batch) if index not in busy]
        for one in self.batch:
            if not one.body.startswith(POISON):
                assert self.stored.setdefault(one.id, one.body) == one.body
                self.received[one.body] += 1
        if self.mode == "cut":
            # It has taken all, and the connection breaks before it can say so.
            self.mode = "well"
            return Verdict(AGAIN, "no answer")
        items = [(index, Verdict(REFUSED, "status 400")) for index in poison if index not in busy]
        items += [(index, Verdict(AGAIN, "status 429")) for index in busy]
        return Verdict(TAKEN, items=tuple(items)) if items else ALL_TAKEN

    def forget(self):
        """Have nothing open."""

    close = forget


class Machine(RuleBasedStateMachine):
    """A service of one process at a time that may die, with two destinations."""

    def __init__(self):
        super().__init__()
        health.reset()
        self.open = contextlib.ExitStack()
        self.folder = self.open.enter_context(tempfile.TemporaryDirectory())
        no_threads = mock.Mock(side_effect=RuntimeError("no threads"))
        for room in (intake, shipper):
            self.open.enter_context(mock.patch.object(room, "start_new_thread", no_threads))
        self.open.enter_context(mock.patch.object(shipper, "MOST_TRIES", TRIES))
        self.servers = {name: Server() for name in NAMES}
        self.numbers = itertools.count()
        # Lines of the process that are in memory only; all that is in the spool or was.
        self.fresh, self.spooled = [], []
        # How many may have been sent twice: those in flight when the process died or a cut came.
        self.in_flight = Counter()
        self.begin()

    def begin(self):
        """Begin a process."""
        self.road = Road(
            self.servers, self.folder, most=10**7, queue=10**6, fsync=False, say=lambda *_: None
        )
        self.road.tend()

    def teardown(self):
        """See that all comes to a good end, and leave nothing open."""
        try:
            self.heal()
        finally:
            self.road.close()
            self.open.close()
            health.reset()

    def line(self, poison):
        """Return a new line."""
        return (POISON if poison else b"line") + b" %d" % next(self.numbers)

    @rule(poison=st.lists(st.booleans(), min_size=1, max_size=6), durable=st.booleans())
    def log(self, poison, durable):
        """Lines are logged; some of them will be refused by servers."""
        for bad in poison:
            body = self.line(bad)
            if durable:
                self.road.take_durably(body + b"\n", False)
                self.spooled.append(body)
            else:
                self.road.take(body + b"\n")
                self.fresh.append(body)

    @rule()
    def store(self):
        """The thread of the intake gets its turn."""
        self.road.intake.store()
        self.spooled += self.fresh
        self.fresh = []

    @rule(name=st.sampled_from(NAMES), mode=st.sampled_from(MODES), turns=st.integers(1, 3 * TRIES))
    def ship(self, name, mode, turns):
        """A server behaves in some way from now on, and its shipper gets its turn."""
        server = self.servers[name]
        server.mode = mode
        for _ in range(turns):
            cut = server.mode == "cut"
            self.road.shippers[name].deliver()
            if cut and server.mode == "well":
                self.in_flight.update((name, one.body) for one in server.batch)

    @rule()
    def die(self):
        """The process is killed; the next one begins."""
        self._note_in_hand()
        self.road._lease.leave()
        self.road.intake.spool.leave_to_parent()
        self.road.shippers.clear()
        self.fresh = []
        self.begin()

    def _note_in_hand(self):
        for name, one in self.road.shippers.items():
            taken = self.servers[name].received
            self.in_flight.update((name, e.body) for e in one._batch if taken[e.body])
            # Of a batch that was partly decided, the ledger knows nothing yet.
            self.in_flight.update((name, e.body) for e in self.servers[name].batch if one._batch)

    @rule()
    def end(self):
        """The process ends as it should, and the next one begins."""
        self.store()
        self._note_in_hand()
        self.road.abandon("process ended")
        self.road.close()
        self.begin()

    @invariant()
    def it_adds_up(self):
        """The ledger of each destination accounts for all that is in the spool."""
        for one in ledger(self.folder).standings:
            assert one.logged == one.taken + one.dead + sum(one.dropped.values()) + one.waiting
            assert one.logged == len(self.spooled)
            assert one.dropped == {}

    @invariant()
    def nothing_is_invented(self):
        """What a server has was logged, and each line has one ID."""
        logged = set(self.spooled) | set(self.fresh)
        for server in self.servers.values():
            assert set(server.stored.values()) <= logged
            assert len(set(server.stored.values())) == len(server.stored)

    @rule()
    def heal(self):
        """In the end each server has each line once, and poison is with the dead letters."""
        self.store()
        for name, server in self.servers.items():
            server.mode = "well"
            while self.road.shippers[name].deliver():
                pass
            dead = [letter.entry.body for letter in DeadLetters(self.folder, name).read()]
            good = sorted(body for body in self.spooled if not body.startswith(POISON))
            poison = sorted(body for body in self.spooled if body.startswith(POISON))
            assert sorted(server.stored.values()) == good
            assert sorted(dead) == poison
            for body, times in server.received.items():
                assert times <= 1 + self.in_flight[name, body]
        for one in ledger(self.folder).standings:
            assert (one.taken, one.dead, one.waiting) == (len(good), len(poison), 0)


TestAnyOrder = Machine.TestCase
TestAnyOrder.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
