"""The places of lines are read as they are written."""

import pytest

from obskit.places import place

A, B = "a" * 16, "b" * 16


def test_a_line_has_a_strand_and_a_number():
    """And a hop, which is its strand where it says no other."""
    event = place({"lc": 7, "lc_at": f"{A}-3"})

    assert (event.strand, event.n, event.sub, event.lc, event.hop) == (A, 3, 0, 7, A)
    assert place({"lc": 7, "lc_at": f"{A}-3", "lc_hop": B}).hop == B
    assert repr(event) == f"<Event {A}-3.0 lc=7>"


def test_a_line_that_was_held_back_has_a_sub_number():
    """Behind the last line, or before the first one."""
    event = place({"lc": 7, "lc_at": f"{A}-3.12"})

    assert (event.n, event.sub) == (3, 12)
    assert place({"lc": 0, "lc_at": f"{A}-0.1"}).place == (A, 0, 1)


def test_held_lines_stand_between_those_with_numbers():
    """Behind the one that has the number, before the next."""
    lines = [(7, f"{A}-3"), (7, f"{A}-3.1"), (7, f"{A}-3.2"), (8, f"{A}-4")]
    events = [place({"lc": lc, "lc_at": at}) for lc, at in lines]

    assert sorted(events, key=lambda event: event.key) == events
    assert sorted(events, key=lambda event: event.rank) == events


@pytest.mark.parametrize("pointer", [f"{B}-2.1", "x", 5])
def test_pointers_point_to_numbers(pointer):
    """No line says that one that was held back came before it."""
    event = place({"lc": 7, "lc_at": f"{A}-3", "lc_after": [pointer, f"{B}-2"]})

    assert event.after == ((B, 2),)
    assert event.incomplete
