"""A batch is in hand until each of its entries is decided, and poison costs one entry."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import health
from obskit.shipping import shipper as room
from obskit.shipping.memory import Memory
from obskit.shipping.shipper import Shipper
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN, Verdict
from tests.shipping.scripted import BAD, BROKEN, BUSY, DOWN, NEVER, SLOW, Scripted


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Let pauses be short, and counts begin at nothing."""
    health.reset()
    monkeypatch.setattr(room, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(room, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(room, "LONGEST_PAUSE", 0.002)


class Set:
    """A shipper with its source, its letters and what it has said."""

    def __init__(self, backend, bodies, keeps=True):
        self.backend, self.letters, self.said = backend, [], []
        self.source = Memory(backend.kind, 1_000_000)
        self.decided = []
        decide = self.source.decide

        def note(*counts):
            self.decided.append((*counts[:2], dict(counts[2])))
            decide(*counts)

        self.source.decide = note
        for body in bodies:
            self.source.put(body)

        def bury(entry, verdict):
            if keeps:
                self.letters.append((entry.body, verdict.why, verdict.answer))
            return keeps

        self.shipper = Shipper(backend, bury, lambda *one: self.said.append(one))
        self.shipper.sources = (self.source,)

    def run(self, most=10_000):
        """Deliver until there is nothing left."""
        for _ in range(most):
            if not self.shipper.deliver():
                return self
        raise AssertionError("it does not come to an end")


def numbered(count):
    """Return so many bodies."""
    return [b"%d" % number for number in range(count)]


def test_all_is_delivered_in_batches():
    """A batch is no larger than the backend takes."""
    one = Set(Scripted(), numbered(20)).run()

    assert one.backend.taken == numbered(20)
    assert one.backend.sizes == [8, 8, 4]
    assert one.decided == [(8, 0, {}), (8, 0, {}), (4, 0, {})]
    assert one.shipper.taken == 20


@pytest.mark.parametrize("answer", [DOWN, BUSY, BROKEN])
def test_what_is_not_taken_now_is_sent_again(answer):
    """Nothing is lost and nothing overtakes."""
    one = Set(Scripted(answer, answer), numbered(10)).run()

    assert one.backend.taken == numbered(10)
    assert one.backend.sizes == [8, 8, 8, 2]
    assert one.shipper.trouble == ""


@pytest.mark.parametrize("place", range(8))
def test_poison_costs_one_entry(place):
    """The others of the batch are delivered, each once; the letter has the server's answer."""
    one = Set(Scripted(poison=[b"%d" % place]), numbered(12)).run()

    assert sorted(one.backend.taken) == sorted(set(numbered(12)) - {b"%d" % place})
    assert one.letters == [(b"%d" % place, "status 400", "not this one")]
    assert one.decided == [(7, 1, {}), (4, 0, {})]
    assert one.shipper.dead == 1


def test_a_batch_that_is_wholly_refused_is_not_tried_in_parts():
    """Where no smaller one would fare better, all of it is with the dead letters at once."""
    one = Set(Scripted(NEVER), numbered(3)).run()

    assert one.backend.sizes == [3]
    assert [body for body, *_ in one.letters] == numbered(3)


def test_entries_are_decided_one_by_one_where_the_server_says_so():
    """What it refuses is dead, what it has no room for is sent again, and only that."""
    items = ((1, Verdict(REFUSED, "status 400", answer="bad")), (2, Verdict(AGAIN, "status 429")))
    one = Set(Scripted(Verdict(TAKEN, items=items)), numbered(4)).run()

    assert one.backend.taken == [b"0", b"3", b"2"]
    assert one.backend.sizes == [4, 1]
    assert one.letters == [(b"1", "status 400", "bad")]
    assert one.decided == [(3, 1, {})]


def test_what_a_server_has_thrown_away_is_counted():
    """It must not be sent again, and nobody knows which it was."""
    one = Set(Scripted(Verdict(TAKEN, "rejected", lost=2)), numbered(5)).run()

    assert one.decided == [(3, 0, {"rejected": 2})]
    assert health.lost == {("logs", "rejected"): 2}


def test_a_letter_that_cannot_be_kept_is_counted():
    """The ledger adds up without it."""
    one = Set(Scripted(poison=[b"1"]), numbered(3), keeps=False).run()

    assert one.decided == [(2, 0, {"refused: status 400": 1})]
    assert health.lost == {("logs", "refused: status 400"): 1}


def test_an_entry_that_the_server_fails_at_is_found():
    """After some tries its batch is taken apart; that others were taken shows who is to blame."""
    one = Set(Scripted(poison=[b"2"], poisoned=BROKEN), numbered(6)).run()

    assert sorted(one.backend.taken) == sorted(set(numbered(6)) - {b"2"})
    assert [body for body, *_ in one.letters] == [b"2"]
    assert one.backend.sizes[: room.MOST_TRIES] == [6] * room.MOST_TRIES


def test_a_server_that_fails_at_everything_costs_nothing():
    """An outage that answers 500 for some minutes puts nothing with the dead letters."""
    outage = [BROKEN] * (2 * room.MOST_TRIES)
    one = Set(Scripted(*outage), numbered(6)).run()

    assert one.letters == []
    assert one.backend.taken == numbered(6)


@given(st.data())
def test_each_entry_is_taken_once_or_dead(data):
    """Whatever the server answers, the counts add up and nothing is delivered twice."""
    count = data.draw(st.integers(0, 20))
    poison = data.draw(st.sets(st.sampled_from(numbered(20)), max_size=5))
    answers = data.draw(st.lists(st.sampled_from([DOWN, BUSY, BROKEN, BAD]), max_size=10))

    one = Set(Scripted(*answers, poison=poison), numbered(count)).run()

    dead = [body for body, *_ in one.letters]
    assert sorted(one.backend.taken + dead) == sorted(numbered(count))
    assert sum(taken for taken, _, _ in one.decided) == len(one.backend.taken)
    assert sum(refused for _, refused, _ in one.decided) == len(dead)


def test_trouble_is_said_once_and_its_end_too():
    """A line says that nothing can be sent, another one that it can be again."""
    one = Set(Scripted(DOWN, DOWN, DOWN), numbered(1)).run()

    assert [message for message, _ in one.said] == ["lines cannot be sent", "lines are sent again"]
    assert one.said[0][1]["obskit_reason"] == "no connection"


def until(condition, seconds=10.0):
    """Wait until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_thread_delivers_what_comes():
    """It rests while there is nothing, and begins again when the bell rings."""
    one = Set(Scripted(DOWN), numbered(3))
    one.shipper.begin()
    until(lambda: one.backend.taken == numbered(3))
    one.source.put(b"late")
    one.shipper.ring()
    until(lambda: one.backend.taken[-1] == b"late")

    one.shipper.close()
    until(lambda: one.backend.closed == 1)


def test_a_flush_waits_until_all_is_out():
    """It tells whether that was so."""
    one = Set(Scripted(DOWN), numbered(30))
    deadline = time.monotonic() + 5
    one.shipper.hurry(deadline)

    assert one.shipper.flush(deadline)
    assert one.backend.taken == numbered(30)
    one.shipper.close()


def test_a_flush_waits_for_a_source_that_is_being_read():
    """That nothing is in hand while the spool is read does not mean that nothing is there."""
    one = Set(Scripted(), numbered(30))
    batch = one.source.batch
    one.source.batch = lambda *most: time.sleep(0.03) or batch(*most)
    deadline = time.monotonic() + 5
    one.shipper.hurry(deadline)

    assert one.shipper.flush(deadline)
    assert one.backend.taken == numbered(30)
    one.shipper.close()


def test_a_flush_gives_up_where_nobody_answers():
    """A server that is away does not hold up the end of a process for long."""
    one = Set(Scripted(*[DOWN] * 1000), numbered(3))
    begun = time.monotonic()
    one.shipper.hurry(begun + 5)

    assert not one.shipper.flush(begun + 5)
    assert time.monotonic() - begun < 3
    one.shipper.close()


def test_a_child_begins_with_nothing():
    """What is in hand is the parent's, and so is the connection."""
    one = Set(Scripted(DOWN), numbered(3))
    one.shipper.deliver()
    assert one.shipper.in_hand == 3

    one.shipper.after_fork()

    assert one.shipper.in_hand == 0
    assert one.shipper.sources == ()
    assert one.backend.forgotten == 1


def test_an_error_of_ours_is_told_and_tried_again_later():
    """A request that cannot even be made is trouble like any other, and no reason to hurry."""
    one = Set(Scripted(), numbered(3))
    send = one.backend.send
    one.backend.send = lambda batch, seconds: "\u0416".encode("ascii")
    one.shipper.begin()
    deadline = time.monotonic() + 5
    while one.shipper.begin() and not one.shipper.trouble and time.monotonic() < deadline:
        time.sleep(0.002)

    assert one.shipper.trouble == "UnicodeEncodeError"
    assert one.said[0][0] == "lines cannot be sent"
    one.backend.send = send
    assert one.run().backend.taken == numbered(3)
    one.shipper.close()


def test_a_slow_server_gets_less_at_a_time():
    """Else the same batch would be sent again for ever, and taken again each time."""
    one = Set(Scripted(SLOW, SLOW), numbered(16)).run()

    assert one.backend.taken == numbered(16)
    assert one.backend.sizes == [8, 4, 2, 3, 3, 5, 3]
    assert one.decided == [(8, 0, {}), (8, 0, {})]


def test_a_server_that_hangs_costs_nothing():
    """A single line is tried as long as it takes."""
    one = Set(Scripted(*[SLOW] * 100), numbered(3)).run()

    assert one.backend.taken == numbered(3)
    assert one.backend.sizes[2:] == [1] * 99 + [2]
    assert one.letters == []
