"""What beat sends: each time an operation of its own."""

import pytest
from celery.beat import ScheduleEntry, Scheduler

from obskit import context, observation
from obskit.observation import Kind
from tests.instrumentation.celery_site import AT_ONCE, Site


def beat(site, **entries):
    """Return beat's scheduler with entries that are due."""
    scheduler = Scheduler(site.app, lazy=True)
    made = [
        ScheduleEntry(name=name, task=task, schedule=1, app=site.app)
        for name, task in entries.items()
    ]
    return scheduler, made


@pytest.mark.parametrize("way", ["apply_entry", "apply_async"])
def test_each_time_is_an_operation(observed, broken, way):
    """Whatever was going on before; the task goes on with it."""
    site = Site()
    scheduler, [entry] = beat(site, nightly="tell")
    with observation.unit_of_work("host", "host-1"):
        for _ in range(2):
            getattr(scheduler, way)(entry)
        assert context.correlation_id() == "host-1"
    site.work()
    begun = [work for work in observed if work.name == "schedule nightly"]

    assert [work.context.correlation_source for work in begun] == ["schedule"] * 2
    assert [work.context.correlation_id for work in begun] == site.told
    assert len({*site.told, "host-1"}) == 3
    for work in observed:
        if work.kind is Kind.CONSUMER:
            assert work.context.correlation_source == "inherited"
    assert broken == {}


def test_what_cannot_be_sent_is_a_failure(observed):
    """Beat says so in a line, and goes on."""
    site = Site()
    site.app.conf.update(
        broker_url="amqp://127.0.0.1:9//",
        broker_transport_options=AT_ONCE,
        task_publish_retry=False,
    )
    scheduler, [entry] = beat(site, nightly="tell")
    scheduler.apply_entry(entry)
    [begun] = [work for work in observed if work.name == "schedule nightly"]

    assert begun.outcome == "dependency"
    assert context.get() is None


def test_an_error_goes_to_whoever_asked(observed):
    """As it is."""
    site = Site()
    scheduler, _ = beat(site)
    with pytest.raises(TypeError):
        scheduler.apply_async(None)

    assert [work.outcome for work in observed] == ["server_error"]


def test_a_bare_beat_is_known_by_its_header(observed):
    """The task's ID was given to it by a schedule then."""
    site = Site()
    site.tell.delay()
    for message in site.messages():
        del message.headers["obskit"]
        site.request(message, celery_beat_task=True).execute()
    [work] = [work for work in observed if work.kind is Kind.CONSUMER]

    assert work.context.correlation_source == "schedule"
