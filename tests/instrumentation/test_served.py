"""What engine and framework say to each other about a request."""

import pytest

from obskit import conventions, observation
from obskit.instrumentation import _served, _wire


class Answer(Exception):
    """An error that is an answer."""

    def __init__(self, status):
        self.status_code = status


@pytest.fixture
def served():
    """Give a request."""
    work = conventions.http_server("GET", "/", {})
    observation.start(work)
    return _served.Served(work, _wire.current(), (lambda *args: None,))


def raised(error, cause=None, context=None):
    """Return *error* with what led to it."""
    error.__cause__, error.__context__ = cause, context
    return error


def test_the_error_behind_an_answer_is_found(served):
    """By cause or by context, through several answers."""
    behind = LookupError()
    for error in (
        raised(Answer(502), cause=behind),
        raised(Answer(502), context=behind),
        raised(Answer(502), cause=raised(Answer(502), context=behind)),
        behind,
    ):
        served.blame(error, 502)
        assert served.blamed is behind


def test_an_answer_with_another_status_is_an_error(served):
    """A handler that fails with another answer in hand has failed."""
    error = Answer(404)
    served.blame(error, 500)

    assert served.blamed is error


def test_a_route_has_the_prefix_of_its_mounts(served):
    """What the outer ones have matched comes first."""
    served.prefix = "/shops/{shop}"
    served.route("/orders/{order}")

    assert served.observation.name == "GET /shops/{shop}/orders/{order}"


def test_the_first_that_knows_the_route_names_it(served, broken):
    """One that fails or does not know is passed over."""
    served.templates = (
        lambda *args: None,
        lambda *args: 1 / 0,
        lambda *args: "/x",
        lambda *args: "/y",
    )
    served.find_route({})

    assert served.observation.name == "GET /x"
    assert broken == {"instrumentation.route": 1}


def test_only_the_first_end_counts(served, observed):
    """A response ends once."""
    _served.finish(served)
    _served.finish(served)

    assert len(observed) == 1
