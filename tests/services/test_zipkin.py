import secrets
import time

import pytest
from _pytest.outcomes import Failed, Skipped

from tests.services import binaries
from tests.services import zipkin as room
from tests.services.ports import accepts


def call(caller, called):
    """Return both sides of one call between two services."""
    ids = {"traceId": secrets.token_hex(16), "id": secrets.token_hex(8)}
    times = {"timestamp": int(time.time() * 1e6), "duration": 1000}
    client = {**ids, **times, "kind": "CLIENT", "localEndpoint": {"serviceName": caller}}
    server = {**ids, **times, "kind": "SERVER", "localEndpoint": {"serviceName": called}}
    return [client, {**server, "shared": True}]


def test_what_was_sent_is_found_by_trace_and_by_service(zipkin):
    """A trace has the spans of all services, a service those that it has reported."""
    spans = call("Till", "stock")
    zipkin.send(spans)
    trace = zipkin.trace(spans[0]["traceId"], until=lambda found: len(found) == 2)

    assert {span["kind"] for span in trace} == {"CLIENT", "SERVER"}
    assert [span["kind"] for span in zipkin.spans("Till")] == ["CLIENT"]
    assert {"stock", "till"} <= set(zipkin.get("services"))


def test_calls_between_services_are_dependencies(zipkin):
    """Links are computed from the traces at once, and can be narrowed to some services."""
    zipkin.send(call("basket", "price") + call("basket", "price") + call("other", "another"))
    links = zipkin.dependencies("Basket", until=lambda found: found[0]["callCount"] == 2)

    assert links == [{"parent": "basket", "child": "price", "callCount": 2}]
    assert {link["parent"] for link in zipkin.dependencies()} >= {"basket", "other"}


def test_a_trace_that_never_comes_is_named(zipkin):
    """A wait that fails shows what there was."""
    with pytest.raises(TimeoutError, match=r"after 0\.1 s Zipkin has \[\]"):
        zipkin.trace(secrets.token_hex(16), timeout=0.1)


def test_a_malformed_report_is_refused(zipkin):
    """The server is a real one: it does not take everything."""
    with pytest.raises(OSError, match="400"):
        zipkin.send([{"traceId": "not hex"}])


@pytest.mark.slow
def test_a_server_of_ones_own_leaves_nothing(tmp_path):
    """It listens on loopback, and neither process nor listener outlives it."""
    with room.running_zipkin(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        assert accepts(port)
        assert server.get("services") == []

    assert not server.process.running
    assert not accepts(port)


def test_a_server_that_cannot_start_shows_what_it_says(monkeypatch, tmp_path):
    """A server that ends at once fails the test with its words."""
    monkeypatch.setattr(room, "command", lambda folder, port: ("sh", "-c", "echo no memory"))

    with pytest.raises(AssertionError, match="no memory"):
        with room.running_zipkin(tmp_path):
            pass


@pytest.mark.parametrize(("must", "outcome"), [("0", Skipped), ("1", Failed)])
def test_an_absent_server_skips_or_fails(monkeypatch, tmp_path, must, outcome):
    """Without Zipkin a test is skipped, or fails where services are a must."""
    table = binaries.load_table()
    found = {"java": "/usr/bin/java"}
    monkeypatch.setattr(table, "find", found.get)
    monkeypatch.setattr(binaries, "load_table", lambda: table)
    monkeypatch.setenv("OBSKIT_REQUIRE_SERVICES", must)

    with pytest.raises(outcome, match="scripts/services install zipkin"):
        with room.running_zipkin(tmp_path):
            pass
