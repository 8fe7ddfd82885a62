"""Pointers to lines, and their numbers on the wire; what they are for is told with the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit import pointers

A, B = "a" * 16, "b" * 16


@given(st.integers(0, 2**60))
def test_a_number_is_read_back(number):
    """In base 36, as `int` reads it."""
    assert int(pointers.base36(number), 36) == number


def test_a_pointer_on_the_wire_has_its_mark():
    """The number is in base 36 there."""
    assert pointers.on_wire(f"{A}-36", "~") == f".{A}~10"


@pytest.mark.parametrize(
    ("old", "new", "united"),
    [
        ((), (f"{A}-1",), (f"{A}-1",)),
        ((f"{A}-1",), (), (f"{A}-1",)),
        ((f"{A}-9", f"{B}-1"), (f"{A}-10", f"{B}-1"), (f"{A}-10", f"{B}-1")),
        ((f"{A}-10",), (f"{B}-2", f"{A}-9"), (f"{A}-10", f"{B}-2")),
    ],
)
def test_the_larger_number_of_a_strand_stays(old, new, united):
    """Numbers are compared, not their digits."""
    assert pointers.merge(old, new) == united
