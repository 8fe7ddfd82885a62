"""The metrics of the dictionary, and prometheus_client as the user has it."""

import json
import sys

import pytest

from obskit import fields, health
from obskit.metrics import catalogue, values


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("listed", fields.METRICS, ids=lambda listed: listed.name)
def test_each_metric_is_made_as_the_dictionary_says(listed):
    """Name, kind, labels, meaning and buckets are those that are documented."""
    made = catalogue.metric(listed.name)
    (family,) = made.describe()

    assert family.type == listed.kind
    assert family.documentation == listed.meaning
    assert family.name == listed.name.removesuffix("_total")
    assert made._labelnames == listed.labels
    if listed.buckets:
        assert made._kwargs["buckets"] == listed.buckets
    assert catalogue.metric(listed.name) is made


@pytest.mark.parametrize("listed", fields.METRICS, ids=lambda listed: listed.name)
def test_names_follow_the_conventions_of_prometheus(listed):
    """Counters end in total, durations in seconds, and histograms know where to cut."""
    assert listed.name.isascii()
    assert (listed.kind == "counter") == listed.name.endswith("_total")
    assert (listed.kind == "histogram") == bool(listed.buckets)
    assert ("_seconds" in listed.name) == (
        listed.kind == "histogram" or listed.name.endswith("_timestamp_seconds")
    )
    assert list(listed.buckets) == sorted(set(listed.buckets))


@pytest.mark.usefixtures("fresh")
def test_a_metric_that_is_registered_already_is_used():
    """Two copies of the application in one process count on the same metric."""
    first = catalogue.metric("task_duration_seconds")
    catalogue._made.clear()
    second = catalogue.metric("task_duration_seconds")

    assert first is second
    catalogue._made["task_duration_seconds"] = first


@pytest.mark.usefixtures("fresh")
def test_a_name_that_is_taken_is_left_to_its_owner():
    """The user's metric stays, ours is kept aside, and that is reported."""
    from prometheus_client import REGISTRY, Counter

    theirs = Counter("task_duration_seconds", "Something else")
    try:
        ours = catalogue.metric("task_duration_seconds")
        ours.labels("billing", "ok").observe(1)

        assert ours is not theirs
        assert REGISTRY._names_to_collectors["task_duration_seconds"] is theirs
        assert "metrics.name.task_duration_seconds" in health.internal_errors
    finally:
        REGISTRY.unregister(theirs)


def test_nothing_is_imported_before_the_first_metric(script):
    """To switch obskit on costs no import of prometheus_client; the first request does."""
    output = script(
        "before = 'prometheus_client' in sys.modules\n"
        "serve()\n"
        "print(json.dumps([before, 'prometheus_client' in sys.modules]))"
    )

    assert json.loads(output.stdout) == [False, True]


BOTH_ORDERS = pytest.mark.parametrize("order", ["before", "after"])
THEIRS = """
import prometheus_client
SOLD = prometheus_client.Counter("cds_sold", "Discs", ["genre"])
SOLD.labels("jazz").inc(3, exemplar={"a": "b"})
PRICE = prometheus_client.Histogram("price", "Price", buckets=(1, 10))
PRICE.observe(5)
STOCK = prometheus_client.Gauge("stock", "Stock")
STOCK.set(7)
WEIGHT = prometheus_client.Summary("weight", "Weight")
WEIGHT.observe(2)
ABOUT = prometheus_client.Info("about", "About")
ABOUT.info({"shop": "cd"})
MOOD = prometheus_client.Enum("mood", "Mood", states=["good", "bad"])
MOOD.state("good")
LATE = prometheus_client.Gauge("late", "Late")
LATE.set_function(lambda: 42)
"""


@BOTH_ORDERS
def test_the_users_own_metrics_are_on_the_same_page(start_process, order):
    """It does not matter whether prometheus_client was there first; no number is lost."""
    from tests.metrics.conftest import SET_UP, read

    source = THEIRS + SET_UP if order == "before" else SET_UP + THEIRS
    source += (
        "\nserve()\nSOLD.labels('jazz').inc()\n"
        "print(page())\nprint(page('application/openmetrics-text'))"
    )
    env = {"OBSKIT_METRICS_PORT": "off"}
    output = start_process(sys.executable, "-c", source, env=env).wait(timeout=60)
    assert output.returncode == 0, output.stderr
    found = read(output.stdout.decode())

    assert found['cds_sold_total{genre="jazz"}'] == 4
    assert found["price_sum"] == 5
    assert found['price_bucket{le="10.0"}'] == 1
    assert found["stock"] == 7
    assert found["weight_sum"] == 2
    assert found['about_info{shop="cd"}'] == 1
    assert found['mood{mood="good"}'] == 1
    assert found["late"] == 42
    assert b'cds_sold_total{genre="jazz"} 4.0 # {a="b"} 3.0' in output.stdout
    assert any(name.startswith("http_server_requests_total{") for name in found)


def test_a_value_class_of_the_users_choice_stays(monkeypatch):
    """Whoever has set up prometheus_client for several processes keeps that."""
    import prometheus_client

    class Theirs(values.Value):
        """A class of values that somebody has chosen."""

    monkeypatch.setattr(prometheus_client.values, "ValueClass", Theirs)
    catalogue.adopt(prometheus_client)

    assert prometheus_client.values.ValueClass is Theirs
    assert not catalogue.is_adopted()


@pytest.mark.usefixtures("fresh")
def test_only_what_is_registered_is_shown():
    """A metric of a registry of the user's own is not taken for one of ours."""
    from prometheus_client import REGISTRY, CollectorRegistry, Counter

    shown = Counter("told_apart", "Shown", ["side"])
    private = Counter("told_apart", "Private", ["side"], registry=CollectorRegistry())
    try:
        assert catalogue.is_shown(shown.labels("a")._value)
        assert not catalogue.is_shown(private.labels("a")._value)
    finally:
        REGISTRY.unregister(shown)


@pytest.mark.usefixtures("fresh")
def test_what_waits_for_the_import_is_called_once():
    """One that fails is counted and keeps nobody from being called."""
    called = []
    catalogue.on_load(lambda: 1 / 0)
    catalogue.on_load(lambda: called.append(1))
    catalogue.load()
    catalogue.load()

    assert called == [1]
    assert health.internal_errors == {"metrics.load": 1}
