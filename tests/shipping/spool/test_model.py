"""Whatever happens, the account adds up and nothing durable is lost or altered."""

import os
import shutil
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from obskit.shipping.spool import Appender, Reader, SpoolFull, segments
from obskit.shipping.spool.writer import Writer
from tests.shipping.spool.spools import drain, lines, numbers, standing

MOST = 64 * 1024
DESTINATIONS = ("es", "humio")
processes = st.integers(0, 2)
destinations = st.sampled_from(DESTINATIONS)


def die(appender):
    """End as by SIGKILL: files are closed as they are; return how many losses were untold."""
    untold = sum(appender._drops.values())
    writers = list(appender._writers.values())
    appender._renew()
    for writer in writers:
        writer.leave()
    return untold


class Spool(RuleBasedStateMachine):
    """Three processes log, two destinations read, and each of them may end at any time."""

    @initialize()
    def begin(self):
        """Start with nothing."""
        self.root = tempfile.mkdtemp()
        self.folder = os.path.join(self.root, "svc")
        self.appenders = [Appender(self.folder, MOST) for _ in range(3)]
        self.next = self.dropped = 0
        self.durable, self.best_effort = [], []
        self.decided = {name: [] for name in DESTINATIONS}
        self.sent = {name: {} for name in DESTINATIONS}
        self.batches = dict.fromkeys(DESTINATIONS, ())
        self.readers = {}
        for name in DESTINATIONS:
            self.restart(name)

    @rule(
        which=processes,
        count=st.integers(1, 30),
        length=st.integers(0, 400),
        is_durable=st.booleans(),
    )
    def append(self, which, count, length, is_durable):
        """Log lines."""
        bodies = lines(count, self.next, length)
        try:
            kept = self.appenders[which].append(bodies, is_durable)
        except SpoolFull:
            return
        if kept:
            (self.durable if is_durable else self.best_effort).extend(bodies)
        else:
            self.dropped += count
        self.next += count

    @rule(which=processes, count=st.integers(1, 9))
    def drop(self, which, count):
        """Lose lines before they are in the spool."""
        self.appenders[which].dropped("queue full", count)
        self.dropped += count

    @rule(which=processes)
    def close(self, which):
        """End a process in peace."""
        self.appenders[which].close()

    @rule(which=processes)
    def kill(self, which):
        """End a process between two appends."""
        self.dropped -= die(self.appenders[which])

    @rule(which=processes, cut=st.integers(1, 198), is_durable=st.booleans())
    def kill_amid_a_write(self, which, cut, is_durable):
        """End a process when only a part of its last line is written."""
        appender = self.appenders[which]
        writer = appender._writers.get(("line", is_durable))
        if writer is not None and writer.is_open:
            size = writer.size
            writer.append(b"never acknowledged" * 10)
            os.truncate(writer._path, size + cut)
            # Seven bytes of a record are enough to know that there was one.
            self.dropped += cut >= 7
        self.dropped -= die(appender)

    @rule(name=destinations, most=st.integers(1, 50))
    def send(self, name, most):
        """Send what is next, and hear nothing yet."""
        self.batches[name] = self.readers[name].batch(most, 8000)
        for entry in self.batches[name]:
            assert self.sent[name].setdefault(entry.id, entry.body) == entry.body

    @rule(name=destinations, dead=st.integers(0, 3), lost=st.integers(0, 3))
    def decide(self, name, dead, lost):
        """Hear what has become of it."""
        batch, self.batches[name] = self.batches[name], ()
        dead = min(dead, len(batch))
        lost = min(lost, len(batch) - dead)
        self.readers[name].decide(len(batch) - dead - lost)
        self.readers[name].decide(0, dead, {"refused": lost})
        self.decided[name] += [entry.body for entry in batch]

    @rule(name=destinations)
    def restart(self, name):
        """Lose a reader, with what it has on its way."""
        self.readers[name] = Reader(self.folder, name, known=DESTINATIONS)
        self.batches[name] = ()

    @precondition(lambda self: not any(self.batches.values()))
    @rule()
    def check(self):
        """The account adds up in between, too."""
        for name in DESTINATIONS:
            standing(self.folder, name)

    def teardown(self):
        """In the end all that was logged is accounted for."""
        if not hasattr(self, "appenders"):
            return
        for appender in self.appenders:
            appender.close()
        for name in DESTINATIONS:
            self.restart(name)
            self.decided[name] += [entry.body for entry in drain(self.readers[name])]
            self.check_all(name)
        shutil.rmtree(self.root)

    def check_all(self, name):
        """See that each line was decided once, or given up and counted."""
        one, decided = standing(self.folder, name), self.decided[name]
        assert one.waiting == 0
        assert len(decided) == len(set(decided))
        assert set(self.durable) <= set(decided) <= {*self.durable, *self.best_effort}
        assert one.logged == len(self.durable) + len(self.best_effort) + self.dropped
        undecided = one.dropped.copy()
        undecided.pop("refused", None)
        assert len(decided) + sum(undecided.values()) == one.logged


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def is_part(some, all_of_them):
    """Tell whether *some* come in the same order among *all_of_them*."""
    rest = iter(all_of_them)
    return all(one in rest for one in some)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_costs_what_it_touches(data):
    """Flipped, cut, zeroed or inserted bytes lose no other line, alter none, and raise nothing."""
    with tempfile.TemporaryDirectory() as folder:
        count = data.draw(st.integers(1, 15))
        writer = Writer(folder, "line", True)
        writer.append_all(lines(count, 0, data.draw(st.integers(0, 30))))
        ends_well = data.draw(st.booleans())
        writer.finish() if ends_well else writer.leave()
        (segment,) = segments.listing(folder)
        with open(segment.path, "rb") as file:
            content = bytearray(file.read())
        damages = data.draw(st.integers(1, 4))
        for _ in range(damages):
            at = data.draw(st.integers(0, len(content) - 1))
            how = data.draw(st.sampled_from(["flip", "zero", "insert"]))
            if how == "insert":
                content[at:at] = data.draw(st.binary(max_size=30))
            else:
                content[at] = 0 if how == "zero" else content[at] ^ data.draw(st.integers(1, 255))
        with open(segment.path, "wb") as file:
            file.write(content)
        found = numbers(entry.body for entry in drain(Reader(folder, "es")))
        one = standing(folder)

        assert is_part(found, range(count))
        assert len(found) >= count - damages
        assert one.taken == len(found)
        # Rubbish in the middle of its end may look like one more.
        assert len(found) <= one.logged <= count + 1
        assert segments.listing(folder) == []
