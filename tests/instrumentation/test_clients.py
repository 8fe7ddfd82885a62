"""What holds for each client of HTTP, over real sockets on loopback."""

import threading

import pytest

from obskit import clock, context, instrumentation, observation, propagation
from obskit.observation import Kind, Observation
from tests.instrumentation.clients import CLIENTS, PARTS

EACH = pytest.mark.parametrize("name", CLIENTS)


def ask(name, *args, **kwargs):
    """Ask within an operation."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        return CLIENTS[name].ask(*args, **kwargs)


def calls(observed):
    """Return the outgoing calls."""
    return [work for work in observed if work.kind is Kind.CLIENT]


@EACH
def test_a_request_carries_the_operation(observed, broken, far_end, name):
    """ID, trace, clock and baggage arrive once each."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        clock.tick()
        assert CLIENTS[name].ask(far_end.url + "/x?secret=1") == (200, b"fine")
    ((path, headers),) = far_end.seen
    (work,) = calls(observed)

    assert path == "/x?secret=1"
    for header in ("x-correlation-id", "traceparent", "baggage", "obskit-cause"):
        assert len(headers.get_all(header)) == 1, header
    assert headers["x-correlation-id"] == "abc"
    assert headers["traceparent"].split("-")[2] == work.context.span_id
    assert "obskit.correlation=abc" in headers["baggage"]
    assert headers["obskit-cause"].startswith("1.1")
    assert (work.name, work.status, work.outcome) == ("GET", 200, "ok")
    assert work.library == CLIENTS[name].library
    assert work.peer == work.labels["server_address"] == far_end.address
    assert work.attributes == {"url_path": "/x"}
    assert broken == {}


@pytest.mark.parametrize("name", ["urllib3", "urllib"])
def test_the_clock_of_the_answer_is_heard(observed, far_end, name):
    """The next line comes after what the callee did."""
    with observation.unit_of_work("outer"):
        CLIENTS[name].ask(far_end.url)
        line = clock.tick()

    assert '"lc":10' in line
    assert '"lc_after":["00f067aa0ba902b7-4"' in line


@EACH
@pytest.mark.parametrize(
    ("status", "outcome"), [(201, "ok"), (404, "client_error"), (500, "server_error")]
)
def test_statuses_are_judged(observed, far_end, name, status, outcome):
    """Bad answers are noted, and nothing is raised that was not."""
    assert ask(name, f"{far_end.url}/status/{status}")[0] == status
    (work,) = calls(observed)

    assert (work.status, work.outcome, work.error) == (status, outcome, None)


@EACH
def test_each_hop_of_a_redirect_is_a_request(observed, far_end, name):
    """Two hops, two observations, two spans on the wire."""
    assert ask(name, f"{far_end.url}/to/{far_end.url}/end")[0] == 200
    works = calls(observed)

    assert [work.status for work in works] == [302, 200]
    assert [headers["traceparent"].split("-")[2] for _, headers in far_end.seen] == [
        work.context.span_id for work in works
    ]
    assert all(len(headers.get_all("baggage")) == 1 for _, headers in far_end.seen)


@EACH
def test_a_redirect_to_a_foreign_host_takes_nothing_private_along(
    observed, far_end, only_localhost_is_foreign, name
):
    """ID and traceparent may leave; baggage and clock stay inside, but what the user gave goes."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        context.current().unit.baggage = "customer=7"
        headers = {"baggage": "mine=8"}
        CLIENTS[name].ask(f"{far_end.url}/to/{far_end.foreign}/end", headers)
    inside, outside = (headers for _, headers in far_end.seen)

    assert {"customer=7", "mine=8"} <= set(inside["baggage"].split(","))
    assert outside["x-correlation-id"] == "abc"
    assert outside["traceparent"] != inside["traceparent"]
    assert outside["baggage"] == "mine=8"
    assert outside["obskit-cause"] is None


@EACH
def test_the_callers_headers_are_left_alone(observed, far_end, name):
    """A dict that is used for each request does not grow, and his other headers arrive."""
    headers = {"x-tenant": "7", "Baggage": "tenant=7", "Accept": "text/plain"}
    for _ in range(2):
        ask(name, far_end.url, headers)

    assert headers == {"x-tenant": "7", "Baggage": "tenant=7", "Accept": "text/plain"}
    for _, seen in far_end.seen:
        assert seen.get_all("x-tenant") == ["7"]
        assert seen.get_all("accept") == ["text/plain"]
        assert len(seen.get_all("baggage")) == 1
        assert "tenant=7" in seen["baggage"]
        assert "obskit.correlation=abc" in seen["baggage"]


@EACH
def test_an_id_given_by_hand_is_replaced(observed, far_end, name):
    """However it is spelled; the operation has one ID, and the wire says one."""
    given = {"x-CORRELATION-id": "mine", "TraceParent": "rubbish"}
    ask(name, far_end.url, given)
    headers = far_end.seen[0][1]

    assert headers.get_all("x-correlation-id") == ["abc"]
    assert len(headers.get_all("traceparent")) == 1
    assert headers["traceparent"] != "rubbish"
    assert given == {"x-CORRELATION-id": "mine", "TraceParent": "rubbish"}


@EACH
def test_a_body_that_is_made_on_the_way_arrives(observed, far_end, name):
    """Nothing of it is consumed before."""
    assert ask(name, f"{far_end.url}/echo", parts=iter(PARTS)) == (200, b"".join(PARTS))
    (work,) = calls(observed)

    assert far_end.seen[0][1]["transfer-encoding"] == "chunked"
    assert (work.name, work.status) == ("POST", 200)


def failing(kind, far_end, free_port):
    """Return an address that cannot be reached, and the host that is to blame."""
    port = free_port()
    return {
        "refused": (f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}"),
        "unknown": ("http://nowhere.invalid/", "nowhere.invalid"),
        "no TLS": (f"https://{far_end.address}/", far_end.address),
        "dropped": (f"{far_end.url}/drop", far_end.address),
    }[kind]


@EACH
@pytest.mark.parametrize("kind", ["refused", "unknown", "no TLS", "dropped"])
def test_what_cannot_be_reached_is_to_blame(observed, broken, far_end, free_port, name, kind):
    """The error arrives as it does without us, and names the peer; its request failed for it."""
    url, peer = failing(kind, far_end, free_port)
    instrumentation.uninstrument()
    with pytest.raises(Exception) as bare:
        CLIENTS[name].ask(url)
    instrumentation.instrument()
    far_end.seen.clear()
    request = Observation("GET /", Kind.SERVER, "http")
    observation.start(request)
    with pytest.raises(Exception) as caught:
        CLIENTS[name].ask(url)
    observation.end(request, caught.value)
    works = calls(observed)

    assert type(caught.value) is type(bare.value)
    assert works[-1].peer == peer
    assert {(work.outcome, work.status) for work in works} == {("dependency", None)}
    assert all(work.error for work in works)
    assert request.outcome == "dependency"
    # Some try it again by themselves where a connection was lost.
    assert len(works) == (len(far_end.seen) or 1)
    assert broken == {}
    context.attach(None)


@EACH
@pytest.mark.parametrize("where", ["answer", "handshake"])
def test_time_that_is_up_is_a_timeout(observed, far_end, silent, name, where):
    """While connecting too, and whoever has to wait for it is not to blame."""
    url = f"{far_end.url}/slow" if where == "answer" else f"https://{silent}/"
    request = Observation("GET /", Kind.SERVER, "http")
    observation.start(request)
    with pytest.raises(Exception) as caught:
        CLIENTS[name].ask(url, timeout=0.2)
    observation.end(request, caught.value)
    (work,) = calls(observed)

    assert work.outcome == "timeout"
    assert 0.1e9 < work.duration_ns < 15e9
    assert request.outcome == "dependency"
    context.attach(None)


@EACH
def test_a_proxy_that_forwards_is_not_the_peer(observed, far_end, proxy, name):
    """The headers arrive where they are meant to, and the peer is who answers."""
    assert ask(name, f"{far_end.url}/x", proxy=proxy.url) == (200, b"fine")
    (work,) = calls(observed)

    assert proxy.seen[0][0] == f"{far_end.url}/x"
    assert far_end.seen[0][1].get_all("x-correlation-id") == ["abc"]
    assert (work.peer, work.attributes) == (far_end.address, {"url_path": "/x"})


@EACH
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_a_tunnel_is_part_of_the_request(observed, tls_far_end, proxy, name):
    """One observation, and the proxy is not told what is meant for the far end."""
    assert ask(name, f"{tls_far_end.url}/status/404", proxy=proxy.url)[0] == 404
    (work,) = calls(observed)
    ((target, headers),) = proxy.seen

    assert target == tls_far_end.address
    assert headers["x-correlation-id"] is None
    assert tls_far_end.seen[0][1].get_all("x-correlation-id") == ["abc"]
    assert (work.name, work.peer, work.status) == ("GET", tls_far_end.address, 404)


@EACH
def test_a_tunnel_that_cannot_be_made_is_seen(observed, tls_far_end, free_port, name):
    """A proxy that is down makes its user fail: the call is there, with the host he wanted."""
    request = Observation("GET /", Kind.SERVER, "http")
    observation.start(request)
    proxy = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Exception) as caught:
        CLIENTS[name].ask(tls_far_end.url, proxy=proxy)
    observation.end(request, caught.value)
    (work,) = calls(observed)

    assert (work.outcome, work.peer) == ("dependency", tls_far_end.address)
    assert work.duration_ns > 0
    assert request.outcome == "dependency"
    context.attach(None)


@EACH
def test_a_request_outside_of_an_operation_begins_one(observed, far_end, name):
    """A script's call is an operation of its own; its callee can continue it."""
    CLIENTS[name].ask(far_end.url)

    assert far_end.seen[0][1]["x-correlation-id"] == observed[0].context.correlation_id
    assert context.get() is None


@EACH
@pytest.mark.parametrize("how", ["suppressed", "switched off", "within another client's call"])
def test_what_is_not_observed_carries_nothing(observed, far_end, name, how):
    """Our own traffic, what the user has switched off, and what another call is made of."""
    if how == "switched off":
        instrumentation.uninstrument(name)
    with observation.unit_of_work("outer"):
        outer = Observation("call", Kind.CLIENT)
        if how == "suppressed":
            with observation.suppress():
                CLIENTS[name].ask(far_end.url)
        elif how == "switched off":
            CLIENTS[name].ask(far_end.url)
        else:
            observation.start(outer)
            CLIENTS[name].ask(far_end.url)
            observation.end(outer)

    assert far_end.seen[0][1]["x-correlation-id"] is None
    assert [work.name for work in observed] in (["outer"], ["call", "outer"])


@EACH
def test_a_broken_propagator_breaks_no_request(observed, far_end, broken, monkeypatch, name):
    """The request goes out without headers."""
    monkeypatch.setattr(propagation, "headers", None)

    assert ask(name, far_end.url) == (200, b"fine")
    assert broken == {"propagation.inject": 1}


@EACH
def test_concurrent_requests_do_not_mix(observed, far_end, name):
    """Twenty operations at once, each with its own ID."""

    def one(number):
        with observation.unit_of_work("outer", correlation_id=f"id-{number}"):
            CLIENTS[name].ask(f"{far_end.url}/{number}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {path: headers["x-correlation-id"] for path, headers in far_end.seen} == {
        f"/{number}": f"id-{number}" for number in range(20)
    }
