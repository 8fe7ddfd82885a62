"""What the messages of tasks say, and to whom they go."""

import pytest
from kombu import Exchange

from obskit import context, conventions, observation, propagation
from obskit.instrumentation import _celery_message as message
from tests.instrumentation.celery_site import Site


@pytest.mark.parametrize(
    ("exchange", "key", "expected"),
    [
        ("", "orders", "orders"),
        (None, "orders", "orders"),
        ("events", "order.4711.paid", "events"),
        (Exchange("events", type="topic"), "order.4711", "events"),
        ("celery_delayed_27", "0.0.1.0.orders", "orders"),
        (None, None, ""),
    ],
)
def test_a_destination_is_a_queue_or_an_exchange(exchange, key, expected):
    """Never a key that is free text."""
    assert message.destination(exchange, key) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://user:secret@rabbit:5672//", "rabbit"),
        ("amqp://user:secret@rabbit:5673//", "rabbit:5673"),
        ("redis://:secret@cache:6379/0", "cache"),
        ("amqp://one//;amqp://two//", "one"),
        (["amqp://one:1//", "amqp://two//"], "one:1"),
        ("amqps://[::1]:5671//", "[::1]"),
        ("memory://", ""),
        ("filesystem://", ""),
        ("amqp://host:port//", ""),
        (None, ""),
        ([], ""),
    ],
)
def test_a_broker_is_known_by_its_host(url, expected):
    """Never with the user's name or password."""
    assert message.host_of(url) == expected


def test_the_broker_of_an_application_is_found_once():
    """And none where it has no host."""
    site = Site()
    assert message.broker(site.app) is None
    other = Site()
    other.app.conf.broker_url = "amqp://user:secret@rabbit//"

    assert message.broker(other.app) == "rabbit"
    assert message.broker(other.app) == "rabbit"


def test_a_queue_that_was_asked_for_is_known_when_celery_has_failed():
    """By name, as an object, or by default; one that was found out stays."""
    site = Site()
    works = [conventions.producer("celery", "") for _ in range(3)]
    for work, options in zip(
        works, ({"queue": "mail"}, {"queue": Exchange("mail")}, {}), strict=True
    ):
        message.fail(work, site.app, options)
    found = conventions.producer("celery", "found")
    message.fail(found, site.app, {"queue": "mail"})

    assert [work.name for work in (*works, found)] == [
        "publish mail", "publish mail", f"publish {site.queue}", "publish found",
    ]  # fmt: skip
    assert works[0].labels["messaging_destination_name"] == "mail"


@pytest.mark.parametrize("headers", [None, {}, {"obskit": None}, {"obskit": "text"}, [("a", "b")]])
def test_what_is_no_word_of_ours_is_none(headers):
    """Others may use the name too."""
    assert message.told(headers) is None


def test_addressing_never_raises(broken):
    """Whatever the signal hands over."""

    class Bad:
        @property
        def name(self):
            raise RuntimeError("mine")

    work = observation.Observation("publish")
    message.sending.set(work)
    try:
        message.address(headers={"task": "t"}, exchange=Bad(), routing_key="k")
    finally:
        message.sending.set(None)
    message.address()
    message.address(headers=(), exchange="", routing_key="q")

    assert broken == {"celery.address": 1}


def test_outside_of_an_operation_nothing_is_written():
    """There is nothing to tell."""
    headers = {"task": "t"}
    message.address(headers=headers, exchange="", routing_key="q")

    assert context.get() is None
    assert headers == {"task": "t"}


def test_a_worker_names_a_message_once():
    """One that says something itself is left alone, and so is one of protocol 1."""
    here, _ = propagation.enter()
    named, spoken, old = {"task": "t"}, {"task": "t", "obskit": {"x": "y"}}, {}
    for headers in (named, spoken, old, None):
        message.name(headers, here)

    assert named["obskit"]["x-correlation-id"] == here.correlation_id
    assert message.NAMED_HERE in named["obskit"]
    assert spoken["obskit"] == {"x": "y"}
    assert old == {}


def test_a_schedule_is_told_from_a_sender():
    """Beat leaves a header of its own."""
    assert message.source({"celery_beat_task": True}) == "schedule"
    assert message.source({}) == "message"
