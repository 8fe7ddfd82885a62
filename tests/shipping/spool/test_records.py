"""Each record can be judged by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.shipping.spool import records
from obskit.shipping.spool.records import LINE, Harvest, encode, parse, seed_of

NAME = "0" * 22
SEED = seed_of(NAME)


def parsed(data, number=0, most=1000, most_bytes=1 << 30):
    """Return what is parsed, with bodies."""
    harvest = Harvest(most, most_bytes)
    return parse(data, NAME, 16, number, harvest), harvest


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_written_is_read(bodies):
    """Any bytes come back as they were, in their order and with ids of their places."""
    data = b"".join(encode(LINE, n, body, SEED) for n, body in enumerate(bodies))

    found, harvest = parsed(data)

    assert [entry.body for entry in harvest.entries] == bodies
    assert found == (len(data), len(bodies), 0, False)
    places = [int(entry.id.removeprefix(NAME + "-"), 36) for entry in harvest.entries]
    assert [data[place - 16 :][:2] for place in places] == [b"\xf9\xfa"] * len(bodies)


def test_a_harvest_is_bounded_by_count():
    """No more entries are read than wanted."""
    data = b"".join(encode(LINE, n, b"body", SEED) for n in range(5))

    found, harvest = parsed(data, most=2)

    assert (len(harvest.entries), harvest.is_full, found.number) == (2, True, 2)


def test_a_harvest_is_bounded_by_bytes():
    """What does not fit stays, but for a first one that would never fit."""
    data = b"".join(encode(LINE, n, b"x" * 10, SEED) for n in range(5))

    assert len(parsed(data, most_bytes=25)[1].entries) == 2
    assert len(parsed(data, most_bytes=5)[1].entries) == 1


def test_a_record_of_another_segment_is_none():
    """Bytes that came here from another file are not taken for ours."""
    data = encode(LINE, 0, b"body", seed_of("1" * 22))

    assert parsed(data)[0].end == 0
    assert records.find(data, SEED) == -1


def test_a_hole_is_counted():
    """The number says how many are missing before a record."""
    data = encode(LINE, 3, b"a", SEED) + encode(LINE, 9, b"b", SEED)

    found, harvest = parsed(data)

    assert (found.lost, found.number, len(harvest.entries)) == (8, 10, 2)


def test_what_was_dropped_counts_as_logged():
    """A loss that was noted is neither a hole nor an entry."""
    data = encode(LINE, 0, b"a", SEED) + records.encode_drop(1, "queue full", 7, SEED)
    data += encode(LINE, 8, b"b", SEED) + encode(records.END, 9, b"", SEED) + b"never read"

    found, harvest = parsed(data)

    assert harvest.dropped == {"queue full": 7}
    assert (found.lost, found.number, found.ended) == (0, 9, True)


def test_a_record_of_an_unknown_kind_is_counted():
    """What a later version adds is not delivered, and not forgotten."""
    found, harvest = parsed(encode(ord("Q"), 0, b"?", SEED))

    assert (harvest.dropped, found.number) == ({"unknown": 1}, 1)


def test_the_next_whole_record_is_found():
    """Behind rubbish, even behind what looks like a beginning, reading goes on."""
    rubbish = b"\xf9\xfa" * 20 + b"junk"

    assert records.find(rubbish + encode(LINE, 0, b"body", SEED), SEED) == len(rubbish)
    assert records.find(rubbish, SEED) == -1


def test_a_record_may_hold_the_mark_of_records():
    """Bodies are any bytes."""
    body = b"\xf9\xfa" * 50

    assert parsed(encode(LINE, 0, body, SEED))[1].entries[0].body == body


@pytest.mark.parametrize("at", range(records.HEAD_SIZE))
def test_a_damaged_head_is_taken_for_ours(at):
    """One flipped bit does not make a newer version of a segment."""
    data = bytearray(records.head())
    data[at] ^= 1

    assert records.version_of(bytes(data)) == records.VERSION


def test_a_newer_version_is_known_as_such():
    """The head tells."""
    assert records.version_of(records.head(7)) == 7
    assert records.version_of(records.head()) == records.VERSION
    assert records.version_of(b"") == records.VERSION


def test_a_torn_record_is_one():
    """Where a segment ends amid a record, this one is lost; amid its end, none."""
    whole, end = encode(LINE, 0, b"body", SEED), encode(records.END, 1, b"", SEED)

    assert [records.torn(whole[:size]) for size in (0, 6, 7, 19, 22)] == [0, 0, 1, 1, 1]
    assert not any(records.torn(end[:size]) for size in range(20))
