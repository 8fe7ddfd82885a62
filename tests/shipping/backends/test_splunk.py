"""Lines go to Splunk's event collector, which names what is invalid and may acknowledge."""

import json

import pytest

from obskit.shipping import backends, target
from obskit.shipping.backends import splunk as room
from obskit.shipping.verdict import AGAIN, REFUSED, TAKEN
from tests.shipping.backends.test_backends import deliver


def test_an_event_says_where_it_comes_from(start, lines):
    """Time, host, source, sourcetype, index, and the line as it is."""
    fake, backend = start("splunk", "&index=shop&source=web")
    (entry,) = lines("one", timestamp="2026-11-25T17:18:02.000456Z")
    backend.send([entry], 5)
    sent = json.loads(fake.requests[0].body)

    assert sent.pop("event") == json.loads(entry.body)
    assert sent == {
        "time": 1795627082.000456, "host": "web-1", "source": "web",
        "sourcetype": "obskit:json", "index": "shop",
    }  # fmt: skip
    assert fake.requests[0].headers["authorization"] == f"Splunk {fake.secret}"


@pytest.mark.parametrize("code", [6, 12, 13, 15])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_the_event_that_is_named_invalid_is_refused_alone(code, at, start, lines):
    """It was sent alone to be sure; all the others are there."""
    fake, backend = start("splunk")
    names = ["one", "two", "three", "four", "five"]
    names[at] = "p0ison"
    fake.product.problem = lambda one: code if one["event"]["message"] == "p0ison" else 0
    found = backend.send(lines(*names), 5)

    ((index, verdict),) = found.items
    assert (found.kind, index, verdict.kind, verdict.part) == (TAKEN, at, REFUSED, False)
    assert f'"code": {code}' in verdict.answer
    assert {one["message"] for one in fake.stored} == {*names} - {"p0ison"}
    assert len(fake.requests) == 3


def test_a_single_invalid_event_is_refused(start, lines):
    """One request is enough."""
    fake, backend = start("splunk")
    fake.faults.poison = "p0ison"
    found = backend.send(lines("p0ison"), 5)

    assert (found.kind, found.part, len(fake.requests)) == (REFUSED, False, 1)


@pytest.mark.parametrize("off", [1, -1])
def test_a_server_that_counts_otherwise_costs_nobody_anything(off, start, lines):
    """The event that it names is sent alone and taken, so halving finds the right one."""
    fake, backend = start("splunk")
    fake.product.counts_from = off
    fake.faults.poison = "p0ison"
    entries = lines("one", "two", "p0ison", "four", "five")
    found = backend.send(entries, 5)
    assert (found.kind, found.part, len(fake.requests)) == (REFUSED, True, 2)
    taken, dead, _ = deliver(backend, entries)

    assert dead == [entries[2]]
    assert len(taken) == 4
    assert {one["message"] for one in fake.stored} == {"one", "two", "four", "five"}


def test_many_invalid_events_are_found_by_halving(start, lines):
    """No batch takes a hundred requests in one go."""
    fake, backend = start("splunk")
    fake.faults.poison = "p0ison"
    entries = lines(*["p0ison", "good"] * 40)
    found = backend.send(entries, 5)
    assert (found.kind, found.part) == (REFUSED, True)
    assert len(fake.requests) < 50
    taken, dead, _ = deliver(backend, entries)

    assert len(dead) == len(taken) == 40


def test_a_fault_after_an_invalid_event_leaves_the_others_to_be_sent(start, lines):
    """What is decided is not asked again."""
    fake, backend = start("splunk")
    fake.faults.poison = "p0ison"
    post, calls = backend._post, []

    def failing(entries, deadline):
        calls.append(len(entries))
        if len(calls) == 3:
            fake.faults.use("503", times=1)
        return post(entries, deadline)

    backend._post = failing
    found = backend.send(lines("one", "p0ison", "three"), 5)

    assert calls == [3, 1, 2]
    assert [(index, one.kind) for index, one in found.items] == [
        (0, AGAIN),
        (1, REFUSED),
        (2, AGAIN),
    ]


@pytest.mark.parametrize("code", [7, 10, 11])
def test_a_wrong_index_or_channel_is_no_lines_fault(code, start, lines):
    """Somebody puts it right, and the lines wait."""
    fake, backend = start("splunk")
    fake.product.problem = lambda one: code
    found = backend.send(lines("one", "two"), 5)

    assert (found.kind, found.why, found.part) == (AGAIN, f"code {code}", False)


def test_an_entry_is_taken_when_it_is_acknowledged(start, lines):
    """The server is asked until it says so."""
    fake, backend = start("splunk ack")
    assert backend.send(lines("one"), 5).kind == TAKEN

    assert fake.product.polls == 2
    asked = fake.requests[-1]
    assert asked.path == "/services/collector/ack"
    assert asked.query["channel"] == asked.headers["x-splunk-request-channel"] == backend.channel
    assert asked.body == b'{"acks":[0]}'


def test_what_waits_for_its_acknowledgement_is_not_sent_again(start, lines):
    """The same batch is asked for when it comes back."""
    fake, backend = start("splunk ack")
    fake.product.ack_after = 10_000
    entries = lines("one", "two")
    for _ in range(2):
        found = backend.send(entries, 0.3)
        assert (found.kind, found.why, found.part) == (AGAIN, "not acknowledged yet", False)
    fake.product.acks[0] = 1
    assert backend.send(entries, 5).kind == TAKEN
    assert len(fake.received) == 2
    fake.product.ack_after = 1
    assert backend.send(lines("three"), 5).kind == TAKEN

    assert len(fake.received) == 3


def test_another_batch_is_sent_whatever_waits(start, lines):
    """And one that comes once more after it was taken is sent once more."""
    fake, backend = start("splunk ack")
    fake.product.ack_after = 10_000
    assert backend.send(lines("one"), 0.2).kind == AGAIN
    fake.product.ack_after = 1
    entries = lines("two")
    for _ in range(2):
        assert backend.send(entries, 2).kind == TAKEN

    assert [one["message"] for one in fake.received] == ["one", "two", "two"]


def test_what_is_never_acknowledged_is_sent_again(start, lines, monkeypatch):
    """After some minutes the indexer has lost it."""
    monkeypatch.setattr(room, "_LONGEST_ACK", 0.0)
    fake, backend = start("splunk ack")
    fake.product.ack_after = 10_000
    entries = lines("one")
    assert backend.send(entries, 0.2).why == "not acknowledged yet"
    fake.product.ack_after = 1
    assert backend.send(entries, 5).kind == TAKEN

    assert len(fake.received) == 2


def test_an_invalid_event_is_refused_when_the_others_are_acknowledged(start, lines):
    """Not before, and not forgotten meanwhile."""
    fake, backend = start("splunk ack")
    fake.product.ack_after = 10_000
    fake.faults.poison = "p0ison"
    entries = lines("one", "p0ison")
    assert backend.send(entries, 0.3).kind == AGAIN
    fake.product.acks = dict.fromkeys(fake.product.acks, 1)
    found = backend.send(entries, 5)

    assert [(index, one.kind) for index, one in found.items] == [(1, REFUSED)]


@pytest.mark.parametrize("fault", ["503", "401", "cut before", "nonsense"])
def test_a_fault_while_asking_is_no_refusal(fault, start, lines):
    """The batch waits, and is asked for again."""
    fake, backend = start("splunk ack")
    fake.product.ack_after = 3
    entries = lines("one")
    post = backend._post
    backend._post = lambda *args: (post(*args), fake.faults.use(fault, times=2))[0]
    assert backend.send(entries, 5).kind == AGAIN
    backend._post = post
    fake.faults.clear()
    assert backend.send(entries, 5).kind == TAKEN

    assert len(fake.received) == 1


def test_where_acknowledgements_are_off_a_success_has_to_do(start, lines):
    """Whether no number comes, or nobody wants to hear of it."""
    fake, backend = start("splunk", "&ack=1")
    assert backend.send(lines("one"), 5).kind == TAKEN
    fake, backend = start("splunk ack")
    fake.product.acknowledge = lambda request: room_says_off()
    found = backend.send(lines("one"), 5)

    assert (found.kind, found.why) == (TAKEN, "acknowledgements are off")


def room_says_off():
    """Return what Splunk says where they are off."""
    from tests.fakes.splunk import say

    return say(14)


def test_a_child_of_the_process_has_a_channel_of_its_own(start, lines):
    """Numbers of acknowledgements count by channel."""
    _, backend = start("splunk ack")
    backend.send(lines("one"), 5)
    before = backend.channel
    backend.forget()

    assert backend.channel != before
    assert backend.send(lines("two"), 5).kind == TAKEN


def test_a_password_may_stand_in_for_the_token(start, lines):
    """By basic authentication, with any name."""
    fake, _ = start("splunk")
    url = f"splunk+http://x:{fake.secret}@127.0.0.1:{fake.port}"
    backend = backends.open(target.parse(url), {})

    assert backend.send(lines("one"), 5).kind == TAKEN
    backend.close()
