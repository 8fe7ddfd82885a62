"""What is read from a page of metrics."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from obskit.cli import _samples

DURATION = "http_server_request_duration_seconds"


def page(openmetrics=False):
    """Return a page made by the reference library, with hostile label values and an exemplar."""
    registry = CollectorRegistry()
    labels = ("http_request_method", "http_route", "outcome")
    times = Histogram(DURATION, "t", labels, registry=registry)
    times.labels("GET", "/a", "ok").observe(0.5, {"trace_id": "x"})
    times.labels("POST", "/a", "ok").observe(1.5)
    times.labels("GET", '/{"}\\ \n', "server_error").observe(0.25)
    tasks = Histogram("task_duration_seconds", "t", ("task_name", "outcome"), registry=registry)
    tasks.labels("pack", "ok").observe(0.125)
    Counter("orders", "o", ("who",), registry=registry).labels("a,b").inc(3)
    return (generate_openmetrics if openmetrics else generate_latest)(registry).decode()


def test_samples_have_names_labels_and_values():
    """Each line of numbers is read, and no comment is."""
    assert ("orders_total", {"who": "a,b"}, 3.0) in list(_samples.read(page()))
    assert not any(sample.name.startswith("#") for sample in _samples.read(page()))


def test_exemplars_are_no_obstacle():
    """OpenMetrics puts something behind the number."""
    assert _samples.total(page(openmetrics=True), "orders_total") == 3.0
    assert _samples.total(page(openmetrics=True), f"{DURATION}_count") == 3.0


def test_rates_are_summed_over_methods():
    """A row is a route or task and an outcome: how many, and how long on average."""
    rates = _samples.rates("shop", page())

    assert rates == [
        ("shop", "/a", "ok", 2, 1000.0),
        ("shop", '/{"}\\ \n', "server_error", 1, 250.0),
        ("shop", "pack", "ok", 1, 125.0),
    ]


def test_a_name_that_is_not_there_sums_to_nothing():
    """An empty page has no requests."""
    assert _samples.total("", "orders_total") == 0.0
    assert _samples.rates("shop", "") == []
