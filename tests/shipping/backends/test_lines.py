"""Lines are read by slicing where they are ours, and understood where they are not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.shipping.backends import lines as room
from obskit.shipping.entry import Entry
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

OURS = b'{"timestamp":"2026-11-25T17:18:02.123456Z","level":"info","message":"x"}'


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (OURS, True),
        (OURS.replace(b"Z", b""), False),
        (OURS.replace(b"x", b"\n"), False),
        (b'{"level":"info"}', False),
        (b"", False),
    ],
)
def test_a_line_of_ours_is_known_by_its_beginning(body, canonical):
    """Only such a one is sliced."""
    assert room.is_canonical(body) is canonical


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ("2026-11-25T17:18:02.123456Z", "2026-11-25T17:18:02.123456Z"),
        ("2026-11-25T17:18:02Z", "2026-11-25T17:18:02.000000Z"),
        ("2026-11-25T18:18:02.5+01:00", "2026-11-25T17:18:02.500000Z"),
        ("2026-11-25 17:18:02", "2026-11-25T17:18:02.000000Z"),
    ],
)
def test_times_are_written_as_ours_are(given_, found):
    """Without a zone they are UTC."""
    assert room.record(json.dumps({"timestamp": given_}).encode()) == {"timestamp": found}


@pytest.mark.parametrize("given_", ["yesterday", 12, None, "2026-99-25T17:18:02.123456Z", ["x"]])
def test_what_is_no_time_is_kept_beside_the_time_of_now(given_):
    """Nothing of a line is lost."""
    found = room.record(json.dumps({"timestamp": given_, "a": 1}).encode())

    assert room._instant(found["timestamp"]) == found["timestamp"]
    assert found["a"] == 1
    assert found.get("field_timestamp") == given_


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_anything_is_an_event(body):
    """Whatever the bytes, what comes out is JSON on one line with a time."""
    whole = room.whole(body)
    found = json.loads(whole)

    assert b"\n" not in whole
    assert room._instant(found["timestamp"])
    assert room.seconds(body)
    assert json.loads(room.renamed(body))["@timestamp"]


def test_a_line_of_ours_stays_as_it_is():
    """To the byte."""
    assert room.whole(OURS) is OURS
    assert room.renamed(OURS) == OURS.replace(b'"timestamp"', b'"@timestamp"')
    assert room.seconds(OURS) == b"1795627082.123456"
    assert room.microseconds("2026-11-25T17:18:02.123456Z") == 1795627082123456


def test_what_is_too_large_is_refused_and_the_others_sent():
    """Each keeps its place in the batch."""
    batch = [Entry(str(size), b"x" * size) for size in (1, 9, 2, 9, 3)]
    sent = []
    late = Verdict(AGAIN, "later")

    def send(entries):
        sent.append([entry.id for entry in entries])
        return Verdict(TAKEN, items=((1, late),))

    found = room.without_large(batch, 5, send)
    assert sent == [["1", "2", "3"]]
    assert [(index, one.kind) for index, one in found.items] == [
        (1, REFUSED),
        (2, AGAIN),
        (3, REFUSED),
    ]


@pytest.mark.parametrize("verdict", [Verdict(AGAIN, "x"), Verdict(REFUSED, "x", part=True)])
def test_what_is_too_large_waits_for_the_others(verdict):
    """A batch that is not taken is decided later as a whole."""
    batch = [Entry("a", b"x"), Entry("b", b"x" * 9)]

    assert room.without_large(batch, 5, lambda _: verdict) is verdict


def test_a_batch_of_large_ones_is_not_sent():
    """There is nothing to send."""
    batch = [Entry("a", b"x" * 9), Entry("b", b"x" * 9)]
    found = room.without_large(batch, 5, lambda _: 1 / 0)

    assert [one.kind for _, one in found.items] == [REFUSED, REFUSED]
    assert room.without_large(batch[:1], 5, lambda _: 1 / 0).kind == REFUSED
    assert room.without_large(batch, 10, lambda _: ALL_TAKEN) is ALL_TAKEN


def test_values_are_text_for_labels():
    """As JSON has them."""
    assert [room.text(one) for one in ("a", 1, True, [1])] == ["a", "1", "true", "[1]"]
