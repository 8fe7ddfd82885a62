"""How lines are printed where obskit writes none."""

import logging

import pytest

from obskit import Secret, health
from obskit.logs.bare import by_logging
from obskit.logs.exceptions import Description


@pytest.fixture(autouse=True)
def clean(floor):
    """Begin and end without counts."""


def test_fields_stand_behind_the_message(caplog):
    """What a line would hold is readable, and secrets are no more shown than there."""
    by_logging(
        30,
        "shop",
        "order placed",
        {"id": 7, "token": "hunter2", "s": Secret("hunter2")},
        None,
        None,
    )

    assert caplog.record_tuples == [
        ("shop", 30, "order placed id=7 token=[redacted] s=Secret([redacted])")
    ]


def test_the_level_is_that_of_logging(caplog):
    """Before init nothing is known but what the program has set."""
    caplog.set_level(logging.ERROR, "shop")
    by_logging(30, "shop", "no", {"a": object()}, None, None)

    assert caplog.messages == []


def test_errors_and_stacks_are_printed_as_logging_does(caplog):
    """An exception goes on as one, and a percent sign is no format."""
    error = ValueError("no")
    by_logging(40, "shop", "100% %s", {}, error, None)
    by_logging(40, "shop", "b", {}, Description("T", "m", "", ""), "at here")

    assert caplog.records[0].exc_info[1] is error
    assert caplog.messages == ["100% %s", "b\nat here"]
    assert caplog.records[1].exc_info is None


def test_the_caller_is_the_one_who_called_us(caplog):
    """The place in the record is outside of obskit."""
    by_logging(40, "shop", "a", {}, None, None)

    assert caplog.records[0].funcName == "test_the_caller_is_the_one_who_called_us"


def test_a_value_that_fails_costs_the_line_only(caplog):
    """Nothing is raised, and the loss is counted."""

    class Broken:
        def __repr__(self):
            raise ValueError("no")

    by_logging(40, "shop", "a", {"b": Broken()}, None, None)

    assert caplog.messages == []
    assert health.lost == {("logs", "internal error"): 1}
