"""Values of strangers, in words for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.story.clocks import Offset
from obskit.story.words import clean, cut, ending, milliseconds, offset
from tests.story.scenes import failing_order
from tests.story.test_units import units

INFINITE = float("inf")


@given(st.text() | st.integers() | st.none())
def test_no_value_moves_the_cursor(value):
    """What comes out is on one line, without control characters or turned writing."""
    text = clean(value)

    assert len(text.splitlines()) <= 1
    assert not any(ord(char) < 32 or 0x202A <= ord(char) <= 0x202E for char in text)
    text.encode()


def test_line_ends_and_escapes_stay_visible():
    """Who reads it sees that something was there."""
    assert clean("a\nb\x1b[31m") == "a⏎b␛[31m"


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("abcdef", "abc…")])
def test_long_text_is_cut(text, shown):
    """With a sign that more was there."""
    assert cut(text, 4) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(3, "3.0 ms"), (1234.5, "1,234 ms"), (None, ""), ("x", ""), (True, "")]
)
def test_durations_are_in_milliseconds(value, shown):
    """As lines have them."""
    assert milliseconds(value) == shown


@pytest.mark.parametrize(
    ("least", "most", "shown"),
    [
        (-42.03, -41.97, "warehouse is 42.0 s behind invoice (±30 ms)"),
        (3600 * 3, 3600 * 3, "warehouse is 3.00 h ahead of invoice (±0 ms)"),
        (5, INFINITE, "warehouse is at least 5.0 s ahead of invoice"),
        (-INFINITE, -600, "warehouse is at least 10.0 min behind invoice"),
    ],
)
def test_offsets_are_said_with_their_bounds(least, most, shown):
    """From both sides, or from the one that is known."""
    found = offset(
        Offset(("warehouse", "w-1"), ("invoice", "i-1"), least, most), several_hosts=False
    )

    assert found == shown


def test_hosts_are_named_where_a_service_has_several():
    """Else the name of the service is enough."""
    found = offset(Offset(("a", "h1"), ("a", "h2"), 1, 1), several_hosts=True)

    assert found == "a on h1 is 1.0 s ahead of a on h2 (±0 ms)"


def test_the_ending_of_a_unit():
    """Outcome, status, duration."""
    assert ending(units(failing_order())["warehouse"]) == "server_error, 500, 20 ms"
