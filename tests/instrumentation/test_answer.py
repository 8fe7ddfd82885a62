"""What answers say beside the ID."""

import re

import pytest

from obskit import conventions, observation
from obskit.instrumentation import _answer, _served, _wire


@pytest.fixture
def timing():
    """Give what asks for the timing of a request with this method."""

    def ask(method, cached=""):
        work = conventions.http_server(method, "/", {})
        observation.start(work)
        return _answer.timing(_served.Served(work, _wire.current(), ()), cached)

    yield ask
    _answer.configure(server_timing=True)


@pytest.mark.parametrize(
    ("method", "cached", "said"),
    [
        ("POST", "", True),
        ("GET", "", False),
        ("HEAD", "", False),
        ("GET", "max-age=60", False),
        ("GET", "no-store", True),
        ("GET", "private, max-age=60", True),
    ],
)
def test_timing_is_said_where_no_cache_repeats_it(timing, method, cached, said):
    """A cached answer would tell how long another request took."""
    assert (timing(method, cached) is not None) is said


def test_timing_is_in_milliseconds(timing):
    """As the standard says: a name and dur."""
    assert re.fullmatch(r"app;dur=\d+\.\d\d", timing("POST"))


def test_timing_can_be_switched_off(timing):
    """A setting keeps the header away."""
    _answer.configure(server_timing=False)

    assert timing("POST") is None
