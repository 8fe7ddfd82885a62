"""Observations by protocol, in OpenTelemetry's words."""

import pytest

from obskit import conventions
from obskit.observation import Kind
from obskit.propagation.inbound import Boundary


class Url:
    """A URL as clients have it: parts by name."""

    def __init__(self, scheme="http", host="warehouse", port=None, path="/stock"):
        self.scheme, self.host, self.port, self.path = scheme, host, port, path


@pytest.mark.parametrize("method", sorted(conventions.METHODS))
def test_known_methods_are_labels(method):
    """Those of HTTP and QUERY."""
    assert conventions.method_label(method) == method


@pytest.mark.parametrize("method", ["get", "BREW", "", "GET ", "G\u00c9T", "X" * 1000])
def test_any_other_method_is_one_label(method):
    """Anybody can invent methods, so they never become a series each."""
    work = conventions.http_server(method, "/", {})

    assert conventions.method_label(method) == "_OTHER"
    assert (work.name, work.labels["http_request_method"]) == ("HTTP", "_OTHER")
    assert conventions.http_client(method, "http://a/").name == "HTTP"
    assert conventions.http_client(method, "http://a/").labels["http_request_method"] == "_OTHER"


def test_a_request_that_is_served():
    """The path is no label, and the route is unmatched until somebody names it."""
    headers = {"traceparent": "x"}
    work = conventions.http_server("GET", "/orders/7", headers, peer="10.0.0.1", library="flask")

    assert (work.kind, work.entry, work.protocol, work.name) == (Kind.SERVER, True, "http", "GET")
    assert work.labels == {"http_request_method": "GET", "http_route": "__unmatched__"}
    assert work.attributes == {"url_path": "/orders/7"}
    assert (work.carrier, work.peer, work.library) == (headers, "10.0.0.1", "flask")


def test_a_route_gives_a_request_its_name():
    """Without one it keeps what it has."""
    work = conventions.http_server("GET", "/orders/7", {})
    conventions.set_route(work, None)
    conventions.set_route(work, "")
    assert (work.name, work.labels["http_route"]) == ("GET", "__unmatched__")

    conventions.set_route(work, "/orders/{id}")
    assert (work.name, work.labels["http_route"]) == ("GET /orders/{id}", "/orders/{id}")


def test_a_route_of_an_unknown_method_is_named_without_it():
    """The name of a span must have few values too."""
    work = conventions.http_server("BREW", "/pot", {})
    conventions.set_route(work, "/pot")

    assert work.name == "_OTHER /pot"


@pytest.mark.parametrize("path", ["/metrics", "/health/", "/healthz", "/readyz//", "/favicon.ico"])
def test_health_checks_and_scrapes_are_quiet(path):
    """With or without a slash at the end."""
    assert conventions.http_server("GET", path, {}).quiet


@pytest.mark.parametrize("path", ["", "/", "/orders", "/metrics/x", "/my/health", "/HEALTH"])
def test_all_other_requests_are_not_quiet(path):
    """A path that only begins like one is somebody's work."""
    assert not conventions.http_server("GET", path, {}).quiet


def test_a_websocket_is_kept_out_of_the_durations_of_http():
    """It has a protocol of its own, and the word in its name."""
    work = conventions.websocket_server("/chat/7", {}, peer="10.0.0.1", library="starlette")
    assert (work.kind, work.protocol, work.name) == (Kind.SERVER, "websocket", "WEBSOCKET")
    assert work.attributes == {"url_path": "/chat/7"}
    assert (work.peer, work.library) == ("10.0.0.1", "starlette")

    conventions.set_route(work, "/chat/{room}")
    assert work.name == "WEBSOCKET /chat/{room}"


@pytest.mark.parametrize(
    ("url", "address", "path"),
    [
        ("http://warehouse/stock", "warehouse", "/stock"),
        ("http://warehouse:80/stock", "warehouse", "/stock"),
        ("https://warehouse:443/stock", "warehouse", "/stock"),
        ("http://warehouse:443/stock", "warehouse:443", "/stock"),
        ("http://warehouse:8000", "warehouse:8000", ""),
        ("http://user:secret@warehouse/stock?key=secret#secret", "warehouse", "/stock"),
        ("http://[::1]/", "::1", "/"),
        ("http://[::1]:8000/", "[::1]:8000", "/"),
        (Url(host="::1", port=8000), "[::1]:8000", "/stock"),
        (b"http://warehouse/stock", "warehouse", "/stock"),
        ("http://warehouse:no/stock", "warehouse", "/stock"),
        ("http://warehouse:99999/stock", "warehouse", "/stock"),
        ("HTTP://WAREHOUSE/Stock", "warehouse", "/Stock"),
        ("/stock", "", "/stock"),
        ("", "", ""),
        (Url(), "warehouse", "/stock"),
        (Url(port=8000), "warehouse:8000", "/stock"),
        (Url(scheme="https", port=443), "warehouse", "/stock"),
        (Url(scheme="wss", port=443), "warehouse", "/stock"),
    ],
)
def test_a_request_that_is_sent(url, address, path):
    """The peer has a port where it is unusual; query and user information are not kept."""
    carrier = {}
    work = conventions.http_client("POST", url, carrier=carrier, library="httpx")

    assert (work.kind, work.entry, work.protocol, work.name) == (Kind.CLIENT, False, "http", "POST")
    assert work.labels == {"http_request_method": "POST", "server_address": address}
    assert work.attributes == {"url_path": path}
    assert (work.carrier is carrier, work.peer, work.library) == (True, address, "httpx")
    assert "secret" not in repr((work.labels, work.attributes, work.peer, work.name))


@pytest.mark.parametrize("url", ["http://[::1]:8000/", "http://10.0.0.1:80", "http://db:5432"])
def test_a_peer_is_a_host_that_the_boundary_understands(url):
    """Whatever the port is, what is inside is told everything."""
    assert Boundary().is_internal_host(conventions.http_client("GET", url).peer)


def test_a_message_that_is_sent():
    """Its queue is a label, the broker is its peer."""
    work = conventions.producer("kafka", "orders", carrier={}, peer="broker", library="kafka")

    assert (work.kind, work.entry, work.protocol) == (Kind.PRODUCER, False, "messaging")
    assert work.name == "publish orders"
    assert work.labels == {
        "messaging_system": "kafka", "messaging_destination_name": "orders",
    }  # fmt: skip
    assert (work.carrier, work.peer, work.library) == ({}, "broker", "kafka")


def test_a_message_that_is_worked_on():
    """What begins without an ID says that a message began it."""
    work = conventions.consumer("kafka", "orders", carrier={}, library="kafka")

    assert (work.kind, work.entry, work.protocol) == (Kind.CONSUMER, True, "messaging")
    assert (work.name, work.source, work.peer) == ("process orders", "message", None)


def test_what_a_transport_says_of_a_message_is_kept():
    """When it was sent, and whether it was handed out before."""
    work = conventions.consumer("kafka", "orders", peer="broker", sent_at=1.5, redelivered=True)

    assert (work.peer, work.sent_at, work.redelivered, work.attempt) == ("broker", 1.5, True, 1)


def test_a_task_has_a_name_beside_its_queue():
    """Its name is what people know it by."""
    work = conventions.task("shop.bill", "celery", "invoices", carrier={}, attempt=2)

    assert (work.name, work.kind, work.protocol, work.source) == (
        "shop.bill", Kind.CONSUMER, "task", "message",
    )  # fmt: skip
    assert work.labels == {
        "task_name": "shop.bill",
        "messaging_system": "celery",
        "messaging_destination_name": "invoices",
    }
    assert work.attempt == 2


@pytest.mark.parametrize(
    ("destination", "label"),
    [
        ("orders", "orders"),
        ("", "__default__"),
        ("amq.gen-Xa2", "__temporary__"),
        ("amq.rabbitmq.reply-to.g1h2", "__temporary__"),
        ("amq.topic", "amq.topic"),
    ],
)
def test_names_that_brokers_invent_are_one(destination, label):
    """Each would be a series of its own."""
    assert conventions.steady(destination) == label
    work = conventions.producer("rabbitmq", destination)
    assert work.labels["messaging_destination_name"] == label
