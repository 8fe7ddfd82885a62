"""The explicit middleware for WSGI, around an application that obskit does not know."""

import io
import wsgiref.validate

import pytest

from obskit import context, instrumentation
from obskit.observation import suppress
from obskit.wsgi import Middleware
from tests.instrumentation.calling import Answer, environ


@pytest.fixture
def live(ended):
    """Switch observing on, and give the observations that have ended."""
    instrumentation.instrument("wsgi")
    yield ended
    instrumentation.uninstrument()


def shop(environ, start_response):
    """Answer with the ID that is known inside."""
    shop.seen = context.correlation_id()
    environ["shop.route"] = "/orders/<id>"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def test_a_request_is_observed(live):
    """The ID inside is on the answer; without a route function the route is unmatched."""
    answer = Answer(Middleware(shop), environ("/orders/7"))
    assert answer.read() == b"ok"

    assert answer.header("x-correlation-id") == [shop.seen] == [live[0].context.correlation_id]
    assert (live[0].name, live[0].labels["http_route"]) == ("GET", "__unmatched__")
    assert live[0].library == "wsgi"
    assert context.get() is None


def test_a_route_function_names_the_route(live):
    """It is asked when the response starts."""
    Answer(
        Middleware(shop, route=lambda environ: environ["shop.route"]), environ("/orders/7")
    ).read()

    assert live[0].name == "GET /orders/<id>"


def test_two_of_them_observe_once(live):
    """The outer one owns the request."""
    answer = Answer(Middleware(Middleware(shop)), environ())
    answer.read()

    assert len(live) == 1
    assert answer.header("x-correlation-id") == [shop.seen]


def test_it_is_inert_while_obskit_is_off(ended):
    """Before `init` and after `uninstrument` the answer is the application's own."""
    instrumentation.uninstrument()
    answer = Answer(Middleware(shop), environ())

    assert isinstance(answer.body, list)
    assert (answer.header("x-correlation-id"), shop.seen, ended) == ([], None, [])


def test_it_is_inert_while_suppressed(live):
    """Our own servers are no part of the service's work."""
    with suppress():
        answer = Answer(Middleware(shop), environ())

    assert (answer.header("x-correlation-id"), live) == ([], [])


def test_it_keeps_the_rules_on_both_sides(live):
    """The standard library's checker finds nothing towards the server and the application."""
    app = wsgiref.validate.validator(Middleware(wsgiref.validate.validator(shop)))
    answer = Answer(app, environ(**{
        "wsgi.errors": io.StringIO(), "wsgi.input": Input(),
    }))  # fmt: skip

    assert answer.read() == b"ok"
    assert len(answer.header("x-correlation-id")) == 1


class Input:
    """An empty body of a request."""

    def read(self, size=-1):
        """Return nothing."""
        return b""

    readline = readlines = read

    def __iter__(self):
        """Yield nothing."""
        return iter(())
