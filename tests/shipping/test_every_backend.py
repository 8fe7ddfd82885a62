"""Each product, each fault: all that was logged arrives, or is accounted for one by one.

The road is the real one, from the spool to the socket; the products are strict fakes.
"""

import json
import time
from collections import Counter

import pytest

from obskit import health
from obskit.shipping import backends, shipper, target
from obskit.shipping.dead import DeadLetters
from obskit.shipping.road import Road
from obskit.shipping.spool import ledger
from tests.fakes import web
from tests.fakes.fake import PRODUCTS, WEB, Fake

FACTS = {"service": "shop", "version": "1.2", "env": "prod", "host": "web-1"}
# While one of these is in force the server stores nothing.
DEAF = (
    "refused", "401", "403", "429", "429 with Retry-After", "500", "503",
    "cut before", "hang", "babble", "nonsense",
)  # fmt: skip
# With one of these it stores what it got, and the answer does not come through.
MUTE = ("cut after acceptance", "half answer", "drip")
# Splunk stores what comes before an invalid event, and does not say so: it may be there again.
REPEATS = frozenset({"splunk", "splunk ack"})
# An answer of these to a poisoned batch has no text.
WORDLESS = frozenset({"gelf"})
BEST_EFFORT = tuple(name for name in PRODUCTS if name not in WEB)
HOSTILE = 'ä\u2028 "quoted" \\ \x7f </script> \U0001f600'


class Shop:
    """A service that ships to one fake by the real road, with short pauses."""

    def __init__(self, name, folder):
        self.name, self.folder = name, str(folder)
        self.fake = Fake(name)
        backend = backends.open(target.parse(self.fake.url), FACTS)
        self.kind, self.backend = backend.kind, backend
        self.road = Road(
            {"to": backend}, self.folder, 10**7, 10**6, fsync=False, say=lambda *_: None
        )
        self.road.tend()
        self.logged = []

    def log(self, count, word="order"):
        """Log so many lines, every second one of them durable; spans where spans are wanted."""
        for _ in range(count):
            body = self._body(word)
            if self.kind == "span":
                self.road.take_span(body)
            elif len(self.logged) % 2:
                self.road.take_durably(body + b"\n", False)
            else:
                self.road.take(body + b"\n")

    def log_at_once(self, count):
        """Log so many that will be in one batch."""
        bodies = [self._body("order") for _ in range(count)]
        self.road.intake.spool.append(bodies, True, self.kind)
        self.road.shippers["to"].ring()

    def _body(self, word):
        message = f"{word} {len(self.logged)} {HOSTILE}"
        self.logged.append(message)
        if self.kind == "span":
            return json.dumps({"name": message}).encode()
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{len(self.logged):06d}Z"
        told = {"timestamp": at, "level": "info", "message": message, "logger": "shop"}
        told |= {"service": "shop", "pid": 7, "number": len(self.logged)}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def standing(self):
        """How it stands by the ledger."""
        self.road.store(time.monotonic() + 5)
        (found,) = ledger(self.folder).standings
        decided = found.taken + found.dead + sum(found.dropped.values())
        assert found.logged == decided + found.waiting
        return found

    def settle(self):
        """Wait until nothing waits any more; return how it stands then."""
        until(lambda: self.standing.waiting == 0)
        found = self.standing
        assert found.logged == len(self.logged)
        assert health.lost.get(("durability", "not spooled"), 0) == 0
        return found

    @property
    def stored(self):
        """What the server has, by message."""
        return Counter(event["message"] for event in self.fake.stored)

    @property
    def received(self):
        """What the server took, again where it came again."""
        return Counter(event["message"] for event in self.fake.received)

    def close(self):
        """End all."""
        self.road.close()
        self.fake.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let pauses be short, and counts begin at nothing."""
    for name, seconds in (
        ("LINGER_SECONDS", 0.01), ("FIRST_PAUSE", 0.02), ("LONGEST_PAUSE", 0.05),
        ("LONGEST_EXCHANGE", 0.4),
    ):  # fmt: skip
        monkeypatch.setattr(shipper, name, seconds)
    monkeypatch.setattr(web, "RETRY_AFTER", 1)
    health.reset()
    yield
    health.reset()


@pytest.fixture
def shop(tmp_path):
    """Give what starts a service that ships to a product."""
    made = []

    def start(name):
        made.append(Shop(name, tmp_path / "spool"))
        return made[-1]

    yield start
    for one in made:
        one.close()


def until(condition, seconds=15.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_felt(one, fault, times):
    """Tell whether the service has met the fault so often."""
    if fault == "refused":
        return one.road.shippers["to"].trouble == "no connection"
    return len(one.fake.faults.met) >= times


@pytest.mark.parametrize("fault", DEAF)
@pytest.mark.parametrize("name", WEB)
def test_what_a_server_does_not_take_waits(shop, name, fault):
    """All of it is there in the end, unaltered, and exactly once: nothing was taken meanwhile."""
    one = shop(name)
    one.log(5)
    one.settle()
    one.fake.faults.use(fault)
    one.log(20)
    until(lambda: is_felt(one, fault, 1 if fault in ("hang", "429 with Retry-After") else 3))
    if fault.endswith("Retry-After"):
        time.sleep(0.1)
        before = len(one.fake.requests)
        time.sleep(0.6)
        assert len(one.fake.requests) == before
    one.log(5)
    one.fake.faults.clear()
    found = one.settle()

    assert (found.taken, found.dead, found.dropped) == (30, 0, {})
    assert one.stored == one.received == Counter(one.logged)


@pytest.mark.parametrize("fault", MUTE)
@pytest.mark.parametrize("name", WEB)
def test_an_answer_that_gets_lost_costs_one_batch_sent_twice(shop, name, fault):
    """Nothing is lost, nothing is there three times; with IDs nothing is stored twice."""
    one = shop(name)
    one.log(5)
    one.settle()
    one.fake.faults.use(fault, times=1)
    one.log(20)
    until(lambda: one.fake.faults.met)
    one.fake.faults.clear()
    found = one.settle()

    assert (found.taken, found.dead, found.dropped) == (25, 0, {})
    assert set(one.stored) == set(one.logged)
    assert max(one.received.values()) <= 2
    assert all(one.received[message] == 1 for message in one.logged[:5])
    if name in ("elasticsearch", "loki"):
        assert one.received == Counter(one.logged)


@pytest.mark.parametrize("name", WEB)
def test_a_batch_that_is_too_large_is_halved(shop, name):
    """What goes in smaller parts is no dead letter; what is one message already is."""
    one = shop(name)
    one.fake.faults.use("413", times=2)
    one.log_at_once(20)
    found = one.settle()

    dead = 2 if name == "gelf" else 0
    assert (found.taken, found.dead, found.dropped) == (20 - dead, dead, {})
    assert one.received == one.stored
    assert sum(one.stored.values()) == 20 - dead


@pytest.mark.parametrize("name", WEB)
def test_a_token_that_is_rotated_costs_nothing(shop, name):
    """What is logged while the old one is refused is there as soon as the file has the new one."""
    one = shop(name)
    one.log(5)
    one.settle()
    old = one.fake.secret
    one.fake.rotate()
    one.fake.token_file.write_text(old)
    one.log(20)
    until(lambda: one.road.shippers["to"].trouble.startswith("status 40"))
    one.fake.token_file.unlink()
    until(lambda: one.road.shippers["to"].trouble == "no credential")
    one.fake.token_file.write_text(one.fake.secret)
    found = one.settle()

    assert (found.taken, found.dead) == (25, 0)
    assert one.received == Counter(one.logged)


@pytest.mark.parametrize("name", [name for name in WEB if name != "otlp"])
def test_poison_costs_one_event_until_it_is_taken(shop, name):
    """It is a dead letter with what the server said; sent again when the server likes it."""
    one = shop(name)
    one.log(7)
    one.log(1, "p0ison")
    one.log(12)
    one.fake.faults.poison = "p0ison"
    found = one.settle()
    letters = DeadLetters(one.folder, "to")
    [letter] = letters.read()

    assert (found.taken, found.dead, found.dropped) == (19, 1, {})
    assert one.logged[7] in json.loads(letter.entry.body).values()
    assert bool(letter.answer) == (name not in WORDLESS)
    assert one.fake.secret not in repr(letter)
    assert set(one.stored) == {*one.logged} - {one.logged[7]}
    if name not in REPEATS:
        assert set(one.received.values()) == {1}

    one.fake.faults.clear()
    assert letters.retry(one.backend.url, lambda batch: one.backend.send(batch, 5)).taken == 1
    assert (one.standing.taken, one.standing.dead) == (20, 0)
    assert set(one.stored) == set(one.logged)


def test_a_collector_that_rejects_without_saying_which(shop):
    """So many are counted as dropped, and none is sent again; one that was alone is known."""
    one = shop("otlp")
    one.fake.faults.use("partial", times=1)
    one.log_at_once(21)
    one.settle()
    one.fake.faults.poison = "p0ison"
    one.log(1, "p0ison")
    found = one.settle()

    assert (found.taken, found.dead, found.dropped) == (11, 1, {"rejected": 10})
    assert sum(one.received.values()) == 11


def test_items_are_decided_one_by_one(shop):
    """Taken, busy, refused, there already, broken, in one answer: each for itself, stored once."""
    one = shop("elasticsearch")
    one.fake.faults.use("partial", times=1)
    one.log_at_once(25)
    found = one.settle()

    assert (found.taken, found.dead, found.dropped) == (20, 5, {})
    assert one.received == one.stored
    assert sum(one.stored.values()) == 20
    assert {letter.why for letter in DeadLetters(one.folder, "to").read()} == {"status 400"}


@pytest.mark.parametrize("name", ["elasticsearch", "humio"])
def test_a_success_that_is_none_is_not_taken_for_one(shop, name):
    """207 of LogScale, or items that failed: what the server has not stored is not gone."""
    one = shop(name)
    one.fake.faults.use("partial", times=1)
    one.log_at_once(10)
    found = one.settle()

    assert found.taken == sum(one.stored.values())
    assert found.taken + found.dead == 10


def test_loki_that_is_blocked_is_waited_for(shop):
    """260 begins like a success."""
    one = shop("loki")
    one.fake.faults.use("260")
    one.log(10)
    until(lambda: one.road.shippers["to"].trouble == "status 260")
    one.fake.faults.clear()

    assert one.settle().taken == 10
    assert one.stored == Counter(one.logged)


def test_a_limit_that_was_set_wrong_costs_nothing_in_the_end(shop):
    """All are dead letters then, and all of them can be sent again."""
    one = shop("splunk")
    one.fake.faults.use("413")
    one.log(20)
    assert one.settle().dead == 20
    assert not one.stored
    one.fake.faults.clear()
    letters = DeadLetters(one.folder, "to")
    told = letters.retry(one.backend.url, lambda batch: one.backend.send(batch, 5))

    assert (told.taken, told.refused, told.left) == (20, 0, 0)
    assert one.stored == Counter(one.logged)
    assert (one.standing.taken, one.standing.dead) == (20, 0)


def test_a_server_that_fails_at_all_for_a_while_costs_nothing(shop, monkeypatch):
    """500 may be about one line, but not if it is about each."""
    monkeypatch.setattr(shipper, "MOST_TRIES", 3)
    one = shop("humio")
    one.fake.faults.use("500")
    one.log(10)
    until(lambda: len(one.fake.faults.met) > 6)
    one.fake.faults.clear()
    found = one.settle()

    assert (found.taken, found.dead) == (10, 0)
    assert one.stored == Counter(one.logged)


@pytest.mark.parametrize("fault", ["refused", "hang", "drip"])
@pytest.mark.parametrize("name", [name for name in BEST_EFFORT if name.endswith("tcp")])
def test_a_connection_without_answers_is_waited_for(shop, name, fault):
    """As long as it does not break, all arrives."""
    one = shop(name)
    one.fake.faults.use(fault)
    one.log(20)
    until(lambda: is_felt(one, fault, 0) and (fault != "refused" or one.standing.waiting))
    one.fake.faults.clear()
    assert one.settle().taken == 20
    until(lambda: len(one.stored) == 20)

    assert one.received == Counter(one.logged)


@pytest.mark.parametrize("fault", ["cut before", "cut after acceptance"])
@pytest.mark.parametrize("name", [name for name in BEST_EFFORT if name.endswith("tcp")])
def test_a_connection_that_breaks_costs_what_was_in_flight(shop, name, fault):
    """At most that is lost or there twice, and what comes later arrives."""
    one = shop(name)
    one.log(5)
    one.settle()
    until(lambda: len(one.stored) == 5)
    one.fake.faults.use(fault, times=1)
    one.log(10)
    one.settle()
    until(lambda: one.fake.faults.met)
    one.fake.faults.clear()
    one.log(5)
    assert one.settle().taken == 20
    until(lambda: set(one.logged[15:]) <= set(one.stored))

    assert set(one.logged[:5]) <= set(one.stored)
    assert max(one.received.values()) <= 2


def test_datagrams_are_sent_and_not_more(shop):
    """Where nobody listens a few are lost before it is heard of; the others wait."""
    one = shop("gelf udp")
    one.log(5)
    one.settle()
    until(lambda: len(one.stored) == 5)
    one.fake.faults.use("refused")
    one.log(10)
    until(lambda: one.road.shippers["to"].trouble)
    one.fake.faults.clear()
    one.settle()
    one.log(5)
    one.settle()
    until(lambda: set(one.logged[15:]) <= set(one.stored))

    assert set(one.logged[:5]) <= set(one.stored)
