"""What requests sends, over real sockets on loopback."""

import pytest
import requests

from obskit import clock, context, observation, propagation
from obskit.propagation.inbound import Boundary
from tests.instrumentation.test_httpx import server  # noqa: F401 - a fixture


@pytest.fixture
def session():
    """Give a session that is closed afterwards."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_a_request_carries_the_operation(observed, server, session):  # noqa: F811
    """ID, trace, clock and baggage arrive once each, and the callee's clock is heard."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        assert session.get(server.url + "/x?secret=1").status_code == 200
        line = clock.tick()
    headers = server.seen[0][1]
    work = observed[0]

    assert headers.get_all("x-correlation-id") == ["abc"]
    assert headers["traceparent"].split("-")[2] == work.context.span_id
    assert "obskit.correlation=abc" in headers["baggage"]
    assert '"lc":10' in line
    assert (work.kind.value, work.status, work.library) == ("client", 200, "requests")
    assert work.peer == server.url[7:]
    assert work.attributes == {"url_path": "/x"}


def test_a_redirect_to_a_foreign_host_takes_nothing_private_along(observed, server, session):  # noqa: F811
    """Each hop is a request, and only ID and traceparent leave."""

    class OneForeign(Boundary):
        def _is_internal_host(self, host):
            return not host.startswith("localhost")

    propagation.configure(propagation.Policy(boundary=OneForeign()))
    foreign = server.url.replace("127.0.0.1", "localhost")
    with observation.unit_of_work("outer", correlation_id="abc"):
        session.get(server.url + "/to/" + foreign + "/end")
    inside, outside = (headers for _, headers in server.seen)

    assert [work.status for work in observed[:2]] == [302, 200]
    assert inside["obskit-cause"]
    assert outside["x-correlation-id"] == "abc"
    assert outside["baggage"] is None
    assert outside["obskit-cause"] is None


def test_the_callers_headers_are_left_alone(observed, server, session):  # noqa: F811
    """Neither a dict of headers nor the session's own grow."""
    headers = {"x-tenant": "7"}
    with observation.unit_of_work("outer"):
        for _ in range(2):
            session.get(server.url, headers=headers)

    assert headers == {"x-tenant": "7"}
    assert "traceparent" not in session.headers


def test_a_refused_connection_is_the_dependencys(observed, free_port, session):
    """The error arrives unchanged and names the peer."""
    port = free_port()
    with observation.unit_of_work("outer"), pytest.raises(requests.ConnectionError) as caught:
        session.get(f"http://127.0.0.1:{port}/")

    assert observed[0].error is caught.value
    assert (observed[0].outcome, observed[0].peer) == ("dependency", f"127.0.0.1:{port}")


def test_a_request_outside_of_an_operation_begins_one(observed, server, session):  # noqa: F811
    """A script's call is an operation of its own."""
    session.get(server.url)

    assert server.seen[0][1]["x-correlation-id"] == observed[0].context.correlation_id
    assert context.get() is None
