"""The record of one unit of work."""

import pytest

from obskit.observation import ENTRIES, EXITS, Kind, Observation


@pytest.mark.parametrize("kind", Kind)
def test_servers_and_consumers_are_entries(kind):
    """Clients and producers are exits, and no kind is both."""
    assert Observation("x", kind).entry is (kind in ENTRIES)
    assert not (kind in ENTRIES and kind in EXITS)
    assert {ENTRIES, EXITS} == {
        frozenset({Kind.SERVER, Kind.CONSUMER}), frozenset({Kind.CLIENT, Kind.PRODUCER}),
    }  # fmt: skip


def test_records_share_nothing():
    """What one is given later is not on the next one."""
    one = Observation("x")
    one.labels["a"] = "1"
    one.attributes["b"] = 2

    assert (Observation("x").labels, Observation("x").attributes) == ({}, {})


def test_a_record_begins_innocent():
    """Nothing has happened yet."""
    work = Observation("x")

    assert (work.outcome, work.status, work.error, work.finished) == ("ok", None, None, False)
    assert repr(work) == "<Observation internal 'x' outcome=ok>"


def test_a_wrong_name_is_an_error():
    """Authors of hooks learn of a slip at once."""
    with pytest.raises(AttributeError):
        Observation("x").stauts = 200
