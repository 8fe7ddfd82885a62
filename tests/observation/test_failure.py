"""What an exception was is found out once for all who ask."""

import pytest

from obskit import conventions
from obskit.observation import failure


@pytest.fixture
def described(monkeypatch):
    """Give the list of errors that were described."""
    found = []

    def describe(error):
        found.append(error)
        return f"described {error}"

    monkeypatch.setattr(failure, "describe", describe)
    return found


def test_who_asks_again_gets_the_same(described):
    """To describe an error takes longer than all else that is done with it."""
    work = conventions.http_server("GET", "/", {})
    work.error = ValueError("x")

    assert failure.of(work) == failure.of(work) == "described x"
    assert described == [work.error]


def test_without_an_error_there_is_nothing(described):
    """And nobody is asked."""
    assert failure.of(conventions.http_server("GET", "/", {})) is None
    assert described == []


def test_without_a_log_there_is_nothing(monkeypatch):
    """Spans and metrics do without."""
    monkeypatch.setattr(failure, "describe", None)
    work = conventions.http_server("GET", "/", {})
    work.error = ValueError("x")

    assert failure.of(work) is None
