"""Who sent what arrived without a sender's name."""

from obskit.story import senders as module
from obskit.story.edges import Edges
from obskit.story.senders import Senders


def line(number, service, **facts):
    """Return a last line of an operation."""
    found = {
        "service": service, "correlation_id": "op", "correlation_source": "inherited",
        "lc": 5, "lc_at": f"{number:016x}-1", "outcome": "ok", "duration_ms": 1,
        "http_request_method": "GET", "calls": 0,
    }  # fmt: skip
    return found | facts


CALLEE = line(9, "warehouse", lc=1, lc_broken=True)
NAMED = [f"{9:016x}-1"]


def told(*lines):
    """Return who has sent what came without clock, and whose ID was lost."""
    edges = Edges()
    for one in lines:
        edges.add(one)
    senders = Senders(edges)
    for one in lines:
        senders.add(one)
    lost = [(caller, unit.way.service) for caller, unit in senders.lost()]
    return [caller for caller, _ in senders.without_clock()], lost


def test_nothing_is_wanted_where_nothing_is_lost():
    """Then the second pass is spared."""
    edges = Edges()
    edges.add(line(1, "shop", correlation_source="generated"))

    assert not Senders(edges).wanted
    edges.add(CALLEE)
    assert Senders(edges).wanted


def test_an_operation_of_one_is_from_outside():
    """What it has caused itself is no sender."""
    child = line(10, "stock", caller="warehouse", causation_id=f"{9:016x}", calls=1,
                 lc_seen=NAMED, lc_broken=True)  # fmt: skip

    assert told(CALLEE) == ([""], [])
    assert told(CALLEE, child)[0] == [""]


def test_who_names_the_callee_has_heard_its_answer():
    """Beginning with a line of its own, it is sure; those above have heard of it only."""
    front = line(1, "front", correlation_source="generated", calls=1)
    shop = line(2, "shop", caller="front", causation_id=f"{1:016x}", calls=1)
    for one in (front, shop):
        one |= {"lc_seen": NAMED, "lc_broken": True}
    earlier = {"lc": 1, "correlation_id": "op", "lc_at": f"{2:016x}-1", "service": "shop"}

    assert told(CALLEE, front, shop, earlier)[0] == ["shop"]


def test_who_has_called_nobody_is_no_sender():
    """What came with a request names others, too."""
    shop = line(1, "shop", correlation_source="generated", calls=1, lc_seen=NAMED, lc_broken=True)
    cart = line(2, "cart", caller="shop", causation_id=f"{1:016x}", lc_seen=NAMED, lc_broken=True)

    assert told(CALLEE, shop | {"calls": 2}, cart)[0] == ["shop"]


def test_two_who_may_have_called_are_both_named():
    """Nothing on their lines tells them apart."""
    shop = line(1, "shop", correlation_source="generated", calls=3, lc_seen=NAMED, lc_broken=True)
    cart = line(2, "cart", caller="shop", causation_id=f"{1:016x}", calls=1, lc_seen=NAMED,
                lc_broken=True)  # fmt: skip

    assert told(CALLEE, shop, cart)[0] == ["cart or shop"]


def test_a_broken_clock_alone_says_who_heard_of_it():
    """The callee had written nothing when it answered."""
    shop = line(1, "shop", correlation_source="generated", calls=1)

    assert told(CALLEE, shop)[0] == ["?"]
    assert told(CALLEE, shop | {"lc_broken": True, "lc_hop": f"{1:016x}"})[0] == ["shop"]


def test_a_message_was_sent_by_who_sends_to_its_queue():
    """Others in the operation did not."""
    mail = {"http_request_method": None, "messaging_system": "kafka",
            "messaging_destination_name": "parcels"}  # fmt: skip
    shop = line(1, "shop", correlation_source="generated", calls=1, messaging_sent=1,
                messaging_sent_to=["kafka:parcels"])  # fmt: skip
    other = line(2, "cart", caller="shop", calls=1)

    assert told(CALLEE | mail, shop, other)[0] == ["shop"]
    assert told(CALLEE | mail, other)[0] == ["?"]


def test_the_id_of_an_answer_names_the_caller():
    """Except where the one who heard it works on that operation, as behind a cache."""
    origin = line(9, "warehouse", correlation_source="generated")
    hearer = line(1, "shop", correlation_id="mine", correlation_source="generated",
                  answered_as=["op"])  # fmt: skip

    assert told(origin, hearer) == ([], [("shop", "warehouse")])
    assert told(origin, hearer, line(2, "shop", caller="warehouse")) == ([], [])
    assert told(line(9, "shop", correlation_source="generated"), hearer) == ([], [])


def test_circles_and_crowds_end(monkeypatch):
    """Forged causes may go round, and one ID may stand on every line."""
    monkeypatch.setattr(module, "MOST_IN_OPERATION", 5)
    ring = [
        line(number, "shop", causation_id=f"{(number + 1) % 3:016x}", calls=5, lc_seen=NAMED)
        for number in range(3)
    ]
    crowd = [line(100 + number, "shop") for number in range(50)]

    assert told(CALLEE, *ring, *crowd)[0] == ["shop"]
