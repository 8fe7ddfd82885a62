"""Times and durations in other units."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.schemas import instants

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001


@given(st.datetimes())
def test_a_time_comes_back(when):
    """Each microsecond of it, in any year."""
    text = when.isoformat(timespec="microseconds") + "Z"
    micros = instants.micros(text)

    assert instants.text(micros) == text
    assert micros == (when - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-01-01", "2026-02-30T00:00:00.000000Z", "2026-01-01T00:00:00.000000+00:00",
     "2026-01-01T00:00:00Z", "2026-01-01T24:00:01.000000Z", "\uff12026-01-01T00:00:00.000000Z"],
)  # fmt: skip
def test_what_is_no_time_of_a_line_is_none(text):
    """It stays the field that it is."""
    assert instants.micros(text) is None


def test_a_time_beyond_all_years_is_none():
    """Somebody has made it up."""
    assert instants.text(10**30) is None


@given(st.integers(0, 10**15))
def test_a_duration_of_whole_microseconds_comes_back(micros):
    """As the summary line has it."""
    shown = micros / 1000 if micros < 10**12 else micros // 1000 / 1000
    nanos = instants.nanos(shown)

    if shown < 1e9:
        assert nanos is not None
    if nanos is not None:
        assert instants.milliseconds(nanos) == shown
        assert instants.of_latency(instants.latency(shown)) == shown


@pytest.mark.parametrize("value", [-1, 1e300, 0.1234567891234])
def test_a_duration_that_would_not_come_back_is_none(value):
    """It stays the field that it is."""
    assert instants.nanos(value) is None
    assert instants.latency(value) is None


@pytest.mark.parametrize(
    ("shown", "text"), [(0, "0s"), (12.5, "0.0125s"), (3000, "3s"), (0.000001, "0.000000001s")]
)
def test_a_latency_is_spelled_as_google_does(shown, text):
    """Seconds with up to nine digits."""
    assert instants.latency(shown) == text
    assert instants.of_latency(text) == shown
    assert instants.of_latency("1h") is None
