"""What httpx sends, over real sockets on loopback."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from obskit import clock, context, instrumentation, observation, propagation
from obskit.propagation.inbound import Boundary


class Handler(BaseHTTPRequestHandler):
    """Answer, redirect, or tell a clock, and keep what came."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers))
        status, location = 200, None
        if self.path.startswith("/to/"):
            status, location = 302, self.path[4:]
        if self.path.startswith("/status/"):
            status = int(self.path[8:])
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Obskit-Cause", "1.9.00f067aa0ba902b7-4")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        """Be quiet."""


@pytest.fixture
def server():
    """Give a server and what it has seen."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def _get_async(url, **options):
    async with httpx.AsyncClient(follow_redirects=True) as client:
        return await client.get(url, **options)


def get(url, **options):
    with httpx.Client(follow_redirects=True) as client:
        return client.get(url, **options)


def get_async(url, **options):
    return asyncio.run(_get_async(url, **options))


GETS = pytest.mark.parametrize("fetch", [get, get_async])


@GETS
def test_a_request_carries_the_operation(observed, server, fetch):
    """ID, trace, clock and baggage arrive once each, and the callee's clock comes back."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        clock.tick()
        assert fetch(server.url + "/x?secret=1").status_code == 200
    headers = server.seen[0][1]
    work = observed[0]

    assert headers.get_all("x-correlation-id") == ["abc"]
    assert headers["traceparent"].split("-")[2] == work.context.span_id
    assert "obskit.correlation=abc" in headers["baggage"]
    assert headers["obskit-cause"].startswith("1.1")
    assert (work.kind.value, work.status, work.outcome) == ("client", 200, "ok")
    assert work.peer == work.labels["server_address"] == server.url[7:]
    assert work.attributes == {"url_path": "/x"}


def test_the_clock_of_the_answer_is_heard(observed, server):
    """The next line comes after what the callee did."""
    with observation.unit_of_work("outer"):
        get(server.url)
        line = clock.tick()

    assert '"lc":10' in line
    assert '"lc_after":["00f067aa0ba902b7-4"' in line


@GETS
def test_each_hop_of_a_redirect_is_a_request(observed, server, fetch):
    """Two hops, two observations, two spans on the wire."""
    with observation.unit_of_work("outer"):
        fetch(server.url + "/to/" + server.url + "/end")
    spans = [headers["traceparent"].split("-")[2] for _, headers in server.seen]

    assert [work.status for work in observed[:2]] == [302, 200]
    assert spans == [work.context.span_id for work in observed[:2]]


@GETS
def test_a_redirect_to_a_foreign_host_takes_nothing_private_along(observed, server, fetch):
    """ID and traceparent may leave; baggage and clock stay inside."""

    class OneForeign(Boundary):
        def _is_internal_host(self, host):
            return not host.startswith("localhost")

    propagation.configure(propagation.Policy(boundary=OneForeign()))
    foreign = server.url.replace("127.0.0.1", "localhost")
    with observation.unit_of_work("outer", correlation_id="abc"):
        context.current().unit.baggage = "customer=7"
        fetch(server.url + "/to/" + foreign + "/end")
    inside, outside = (headers for _, headers in server.seen)

    assert "customer=7" in inside["baggage"]
    assert outside["x-correlation-id"] == "abc"
    assert outside["traceparent"] != inside["traceparent"]
    assert outside["baggage"] is None
    assert outside["obskit-cause"] is None


def test_the_callers_headers_are_left_alone(observed, server):
    """A dict of headers that is used for each request does not grow or change."""
    headers = {"x-tenant": "7", "baggage": "tenant=7"}
    with observation.unit_of_work("outer"), httpx.Client(headers={"a": "b"}) as client:
        for _ in range(2):
            client.get(server.url, headers=headers)
        assert "x-correlation-id" not in client.headers

    assert headers == {"x-tenant": "7", "baggage": "tenant=7"}
    assert all("tenant=7" in seen["baggage"] for _, seen in server.seen)


def test_a_request_that_is_sent_twice_has_each_header_once(observed, server):
    """Retries replace what the attempt before has set."""
    with observation.unit_of_work("outer"), httpx.Client() as client:
        request = client.build_request("GET", server.url)
        client.send(request)
        client.send(request)

    assert all(len(seen.get_all("traceparent")) == 1 for _, seen in server.seen)
    assert server.seen[0][1]["traceparent"] != server.seen[1][1]["traceparent"]


@GETS
def test_a_refused_connection_is_the_dependencys(observed, free_port, fetch):
    """The error arrives unchanged and names the peer."""
    port = free_port()
    with observation.unit_of_work("outer"), pytest.raises(httpx.ConnectError):
        fetch(f"http://127.0.0.1:{port}/")
    work = observed[0]

    assert (work.outcome, work.status) == ("dependency", None)
    assert work.peer == f"127.0.0.1:{port}"
    assert isinstance(work.error, httpx.ConnectError)


@pytest.mark.parametrize(("status", "outcome"), [(404, "client_error"), (503, "server_error")])
def test_statuses_are_judged(observed, server, status, outcome):
    """Bad answers are noted, and nothing is raised that was not."""
    observed.clear()
    assert get(f"{server.url}/status/{status}").status_code == status
    assert observed[0].status == status
    assert observed[0].outcome == (outcome if status >= 500 else observed[0].outcome)


def test_a_request_outside_of_an_operation_begins_one(observed, server):
    """A script's call is an operation of its own; its callee can continue it."""
    get(server.url)

    assert server.seen[0][1]["x-correlation-id"] == observed[0].context.correlation_id
    assert context.get() is None


def test_suppressed_requests_carry_nothing(observed, server):
    """Our own traffic is not part of any operation."""
    with observation.unit_of_work("outer"), observation.suppress():
        get(server.url)

    assert server.seen[0][1]["x-correlation-id"] is None
    assert [work.name for work in observed] == ["outer"]


def test_switched_off_requests_carry_nothing(observed, server):
    """The wrapper stays and passes through."""
    instrumentation.uninstrument("httpx")
    with observation.unit_of_work("outer"):
        get(server.url)

    assert server.seen[0][1]["x-correlation-id"] is None


def test_concurrent_requests_do_not_mix(observed, server):
    """Fifty operations at once, each with its own ID and span."""

    async def one(number, client):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            await client.get(f"{server.url}/{number}")

    async def many():
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(one(number, client) for number in range(50)))

    asyncio.run(many())

    assert {path: seen["x-correlation-id"] for path, seen in server.seen} == {
        f"/{number}": f"id-{number}" for number in range(50)
    }


def test_a_broken_propagator_breaks_no_request(observed, server, broken, monkeypatch):
    """The request goes out without headers."""
    monkeypatch.setattr(propagation, "headers", None)
    with observation.unit_of_work("outer"):
        assert get(server.url).status_code == 200

    assert broken == {"propagation.inject": 1}
