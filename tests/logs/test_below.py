"""`logging` hands over lines below the level, and is as it was afterwards."""

import logging

import pytest

from obskit.logs import below, levels


class Listener:
    """Somebody who wants lines, or not, and keeps what he gets."""

    def __init__(self):
        self.wanted = True
        self.taken = []

    def wants(self):
        """Tell whether lines are wanted."""
        return self.wanted

    def take(self, level, logger, message, fields, **facts):
        """Keep a line."""
        self.taken.append((level, logger, message, dict(fields), facts))


@pytest.fixture
def listener(monkeypatch):
    """Let somebody listen."""
    somebody = Listener()
    monkeypatch.setattr(levels, "watch", somebody)
    below.install()
    yield somebody
    below.remove()


@pytest.fixture
def logger():
    """Give a logger that needs ERROR."""
    found = logging.getLogger("tests.below")
    found.setLevel(logging.ERROR)
    yield found
    found.setLevel(logging.NOTSET)


def test_a_level_is_enabled_while_it_is_wanted(listener, logger):
    """And known to be below what the logger writes."""
    assert logger.isEnabledFor(logging.INFO)
    assert below.is_below(logger, logging.INFO)
    listener.wanted = False
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.ERROR)
    assert not below.is_below(logger, logging.ERROR)


def test_the_level_itself_is_as_it_was(listener, logger):
    """Who looks at it sees what the application has set."""
    assert logger.getEffectiveLevel() == logging.ERROR


def test_adapters_ask_their_logger(listener, logger):
    """What stands before a logger needs no hook."""
    assert logging.LoggerAdapter(logger, {}).isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize(
    "exc_info", [ValueError("x"), (ValueError, ValueError("x"), None)], ids=["error", "tuple"]
)
def test_a_record_is_made_as_logging_makes_it(exc_info, listener, logger):
    """Arguments, extra fields and errors are those of the call."""
    below.log(logger, 10, "found %s", (7,), exc_info, {"a": 1}, False)

    [(level, name, message, fields, facts)] = listener.taken
    assert (level, name, message, fields) == (10, "tests.below", "found 7", {"a": 1})
    assert repr(facts["error"]) == "ValueError('x')"
    assert facts["stack"] is None


def test_the_error_at_hand_is_found(listener, logger):
    """Where the call says that there is one."""
    error = ValueError("x")
    try:
        raise error
    except ValueError:
        below.log(logger, 10, "failed", (), True, None, False)

    assert listener.taken[0][4]["error"] is error


def test_a_filter_may_return_another_record(listener, logger):
    """As later versions of `logging` allow."""
    other = logging.makeLogRecord({"msg": "other", "name": "x", "levelno": 10})
    logger.addFilter(lambda record: other)
    below.log(logger, 10, "one", (), None, None, False)
    logger.filters.clear()

    assert listener.taken[0][2] in ("one", "other")


def test_a_filter_that_fails_is_contained(listener, logger):
    """The call that logs goes on."""
    logger.addFilter(lambda record: 1 / 0)
    below.log(logger, 10, "one", (), None, None, False)
    logger.filters.clear()

    assert listener.taken == []


def test_it_can_be_taken_back():
    """Once, twice, and before it was there."""
    before = logging.Logger.isEnabledFor
    below.remove()
    below.install()
    below.install()
    assert logging.Logger.isEnabledFor is not before
    below.remove()
    below.remove()

    assert logging.Logger.isEnabledFor is before
