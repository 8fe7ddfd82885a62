"""What waits in memory is bounded, read in order, and gone with the process."""

import pytest

from obskit import health
from obskit.shipping.memory import WEIGHT, Memory


@pytest.fixture(autouse=True)
def counts():
    """Let counts begin at nothing."""
    health.reset()


def bodies(entries):
    """Return what *entries* carry."""
    return [entry.body for entry in entries]


def test_what_is_put_in_comes_out_in_order():
    """A batch has so many entries at most, and each an ID of its own."""
    memory = Memory("line", 10_000)
    for body in (b"a", b"b", b"c"):
        memory.put(body)

    first, second = memory.batch(2, 1000), memory.batch(2, 1000)

    assert bodies(first) == [b"a", b"b"]
    assert bodies(second) == [b"c"]
    assert len({entry.id for entry in first + second}) == 3
    assert memory.batch(2, 1000) == []


def test_a_batch_ends_at_its_bytes():
    """One body may be longer than that, or nothing would ever go on."""
    memory = Memory("line", 100_000)
    for _ in range(3):
        memory.put(b"x" * 600)

    assert list(map(len, map(bodies, (memory.batch(9, 1000), memory.batch(9, 100))))) == [2, 1]


@pytest.mark.parametrize(("kind", "signal"), [("line", "logs"), ("span", "spans")])
def test_what_has_no_room_is_counted(kind, signal):
    """The room of a batch is free again when it is decided."""
    memory = Memory(kind, 2 * (WEIGHT + 1))
    for _ in range(3):
        memory.put(b"x")
    assert health.lost == {(signal, "queue full"): 1}

    memory.batch(9, 1000)
    memory.put(b"x")
    assert health.lost == {(signal, "queue full"): 2}

    memory.decide(2)
    memory.put(b"y")
    assert bodies(memory.batch(9, 1000)) == [b"y"]
