"""What event dicts say."""

import traceback

import pytest

from obskit.logs.events import passed, read
from tests.logs import failing
from tests.logs.failing import caught


@pytest.mark.parametrize("name", ["event", "message", "msg"])
def test_the_message_is_found(name):
    """Under structlog's name, or under what it was renamed to."""
    assert read({name: "x", "a": 1}, {}, None)[:2] == ("x", {"a": 1})


def test_one_message_is_enough():
    """A field that is called message stays one."""
    found = read({"event": "x", "message": "y"}, {}, None)

    assert (found.message, found.fields) == ("x", {"message": "y"})


def test_nothing_is_an_event_too():
    """Some log fields only."""
    assert read({}, {}, None) == ("", {}, None, None, None, None)


def test_what_processors_add_is_taken_in_its_place():
    """Level and logger are known by name, the time is the line's own."""
    event = {"event": "x", "level": "Warning", "logger": "shop", "timestamp": "noon", "a": 1}

    found = read(event, {}, None)
    assert (found.level, found.logger, found.fields) == (30, "shop", {"a": 1})
    assert len(event) == 5


@pytest.mark.parametrize("level", ["gold", 30, None, ["x"]])
def test_levels_that_are_none_are_not_taken(level):
    """The method that was called says it then."""
    assert read({"event": "x", "level": level}, {}, None).level is None


def test_what_the_caller_has_passed_is_his():
    """His own level, logger and time are fields, as he passed them."""
    given = {"level": "gold", "timestamp": "noon", "logger": "pen", "stack": "s", "exception": "e"}
    found = read({"event": "x", **given, "level": "info"}, given, None)

    assert (found.level, found.logger, found.stack, found.error) == (None, None, None, None)
    assert found.fields == given


def test_a_rendered_exception_is_the_one_that_was_passed():
    """It is described anew, whatever a processor has made of it."""
    error = caught(failing.plain)

    for rendered in ("text", [{"exc_type": "ValueError", "frames": [{"locals": {"a": 1}}]}]):
        found = read({"event": "x", "exception": rendered}, {}, error)
        assert found.error is error
        assert found.fields == {}


def test_text_of_an_exception_is_read():
    """Where nobody knows the exception any more, its text says what it was."""
    text = "".join(traceback.format_exception(caught(failing.plain)))

    assert read({"event": "x", "exception": text}, {}, None).error.type == "ValueError"


def test_what_is_no_traceback_stays_without_variables():
    """Frames of another shape are a field, but values of variables are not."""
    rendered = [{"exc_type": "E", "frames": [{"name": "f", "locals": {"password": "x"}}]}]

    found = read({"event": "x", "exception": rendered}, {}, None)
    assert found.fields == {"exception": [{"exc_type": "E", "frames": [{"name": "f"}]}]}


@pytest.mark.parametrize("exc_info", [None, False, (), (None, None, None), "x", 5])
def test_exc_info_may_be_nothing(exc_info):
    """Outside of an except clause there is no exception."""
    assert passed({"exc_info": exc_info}) is None
    assert passed({}) is None


def test_exc_info_may_be_an_exception_or_a_tuple_or_true():
    """In all the ways that structlog knows."""
    error = caught(failing.plain)

    assert passed({"exc_info": error}) is error
    assert passed({"exc_info": (type(error), error, None)}) is error
    try:
        raise error
    except ValueError:
        assert passed({"exc_info": True}) is error
