"""What is special about Celery: one header, chains and chords, eager calls, handlers of others."""

import json
import sys
import threading

import pytest
from celery import chain, chord, group, signals
from celery.exceptions import OperationalError

from obskit import clock, context, health, instrumentation, observation
from obskit.instrumentation import celery as ours
from obskit.observation import Kind
from tests.instrumentation.celery_site import Site, refused

SENT = "order-4711"


@pytest.fixture
def site(observed):
    """An application whose calls are observed."""
    return Site()


def of_kind(observed, kind):
    """Return the observations of *kind*, in the order of their ends."""
    return [work for work in observed if work.kind is kind]


def ids(observed):
    """Return the correlation IDs of all that was observed."""
    return {work.context.correlation_id for work in observed}


def test_a_task_goes_on_with_the_operation(site, observed, broken):
    """Sender and task are told apart, and belong to one operation."""
    with observation.unit_of_work("sell", SENT):
        result = site.tell.delay("Revolver")
    site.work()
    [sent], [run] = of_kind(observed, Kind.PRODUCER), of_kind(observed, Kind.CONSUMER)

    assert site.told == [SENT]
    assert sent.name == f"publish {site.queue}"
    assert sent.labels == {
        "messaging_system": "celery",
        "messaging_destination_name": site.queue,
    }
    assert sent.attributes == {"task_name": "tell", "messaging_destination_name": site.queue}
    assert sent.peer is None
    assert run.name == "tell"
    assert run.protocol == "task"
    assert run.labels == {
        "task_name": "tell",
        "messaging_system": "celery",
        "messaging_destination_name": site.queue,
    }
    assert run.attributes == {"task_id": result.id}
    assert (run.attempt, run.redelivered, run.retried) == (1, False, False)
    assert run.context.parent_span_id == sent.context.span_id
    assert run.context.hop == 2
    assert 0 <= run.age < 10
    assert run.age <= run.end_to_end_age < 10
    assert result.get() == 1
    assert broken == {}
    assert context.get() is None


def test_the_wire_has_one_key(site):
    """It stands beside Celery's own headers, and nowhere in the payload."""
    with observation.unit_of_work("sell", SENT):
        result = site.tell.delay("Revolver")
    [message] = site.messages()
    told = message.headers["obskit"]

    assert told["x-correlation-id"] == SENT
    assert {"traceparent", "baggage"} <= set(told)
    assert "obskit.sent=" in told["baggage"]
    assert all(name == name.lower() for name in told)
    assert type(json.loads(json.dumps(told))) is dict
    assert message.properties["correlation_id"] == result.id
    assert "obskit" not in str(message.payload)
    assert "Revolver" not in str(told)


def test_headers_of_the_caller_stay_his(site):
    """Sent twice, they are as before, and arrive."""
    mine = {"tenant": "A"}
    with observation.unit_of_work("sell", SENT):
        for _ in range(2):
            site.tell.apply_async(headers=mine)
    messages = site.messages()

    assert mine == {"tenant": "A"}
    assert [message.headers["tenant"] for message in messages] == ["A", "A"]
    assert len({message.headers["obskit"]["traceparent"] for message in messages}) == 2


def test_without_an_operation_one_begins(site, observed):
    """A script that sends a task has begun an operation by that."""
    site.tell.delay()
    assert context.get() is None
    site.work()
    [sent], [run] = of_kind(observed, Kind.PRODUCER), of_kind(observed, Kind.CONSUMER)

    assert sent.context.correlation_source == "generated"
    assert run.context.correlation_source == "inherited"
    assert site.told == [sent.context.correlation_id]


@pytest.mark.parametrize("shape", ["chain", "group", "chord", "map", "link", "nested"])
def test_what_is_composed_is_one_operation(site, observed, broken, shape):
    """Each part knows the ID, whoever has sent it."""

    @site.task(name="double")
    def double(number):
        site.told.append(context.correlation_id())
        return number * 2

    @site.task(name="total")
    def total(numbers):
        site.told.append(context.correlation_id())
        return sum(numbers)

    @site.task(name="nested")
    def nested():
        site.told.append(context.correlation_id())
        double.delay(1)

    shapes = {
        "chain": lambda: chain(double.s(1), double.s(), double.s()).delay(),
        "group": lambda: group(double.s(1), double.s(2)).delay(),
        "chord": lambda: chord([double.s(1), double.s(2)])(total.s()),
        "map": lambda: double.map([1, 2]).delay(),
        "link": lambda: double.apply_async((1,), link=double.s()),
        "nested": lambda: nested.delay(),
    }
    with observation.unit_of_work("sell", SENT):
        shapes[shape]()
    site.work()

    expected = {"chain": 3, "group": 2, "chord": 3, "map": 2, "link": 2, "nested": 2}
    assert site.told == [SENT] * expected[shape]
    assert ids(observed) == {SENT}
    spans = {work.context.span_id for work in observed}
    for work in of_kind(observed, Kind.CONSUMER):
        assert work.context.parent_span_id in spans
        assert not work.context.unit.running
    assert broken == {}


def test_a_retry_is_a_new_attempt_of_the_same_operation(site, observed):
    """What it failed by is told of the first; what it was told to wait is no age of the second."""

    @site.task(name="flaky", bind=True)
    def flaky(self):
        site.told.append(context.correlation_id())
        if not self.request.retries:
            raise self.retry(exc=ConnectionError("not yet"), countdown=0.05)

    with observation.unit_of_work("sell", SENT):
        flaky.delay()
    site.work()
    first, second = of_kind(observed, Kind.CONSUMER)

    assert site.told == [SENT, SENT]
    assert (first.attempt, first.retried, first.outcome) == (1, True, "server_error")
    assert isinstance(first.error, ConnectionError)
    assert (second.attempt, second.retried, second.outcome) == (2, False, "ok")
    assert second.context.hop == 3


@pytest.mark.parametrize("throw", [False, True])
def test_an_eager_task_is_a_step_of_its_caller(site, observed, throw):
    """His operation goes on afterwards as before, however the call ends."""

    @site.task(name="fail")
    def fail():
        context.bind(inside=True)
        raise LookupError("lost")

    with observation.unit_of_work("sell", SENT) as outer:
        site.app.conf.task_always_eager = True
        assert site.tell.delay().get() == 1
        here = context.get()
        assert here.span_id == outer.context.span_id
        try:
            fail.apply(throw=throw)
        except LookupError:
            assert throw
        assert context.get().span_id == outer.context.span_id
    steps = of_kind(observed, Kind.INTERNAL)[:2]

    assert site.told == [SENT]
    assert [step.name for step in steps] == ["tell", "fail"]
    assert [step.outcome for step in steps] == ["ok", "server_error"]
    assert [step.context.parent_span_id for step in steps] == [outer.context.span_id] * 2
    assert of_kind(observed, Kind.PRODUCER) == []
    assert context.get() is None


def test_an_eager_task_without_a_caller_is_a_unit_of_work(site, observed):
    """A script that applies it has begun an operation by that."""
    site.tell.apply()
    [work] = observed

    assert (work.protocol, work.labels) == ("task", {"task_name": "tell"})
    assert site.told == [work.context.correlation_id]
    assert context.get() is None


def test_handlers_of_the_application_belong_to_the_task(site, observed):
    """Those of Celery's signals, whenever they were connected, and one that fails ends nothing."""
    heard = []

    def hear(signal=None, **_):
        heard.append((signal.name, context.correlation_id()))
        raise RuntimeError("mine")

    chosen = (signals.task_prerun, signals.task_postrun, signals.task_success)
    for signal in chosen:
        signal.connect(hear, weak=False)
    try:
        with observation.unit_of_work("sell", SENT):
            site.tell.delay()
        site.work()
    finally:
        for signal in chosen:
            signal.disconnect(hear)

    assert heard == [("task_prerun", SENT), ("task_success", SENT), ("task_postrun", SENT)]
    assert [work.outcome for work in of_kind(observed, Kind.CONSUMER)] == ["ok"]
    assert context.get() is None


def test_a_broker_that_is_away_is_a_failed_call(site, observed):
    """It is named, and whoever wanted to send gets Celery's own error."""
    site.app.conf.broker_url = "amqp://user:secret@127.0.0.1:9//"
    with pytest.raises(OperationalError), observation.unit_of_work("sell", SENT):
        with refused() as connection:
            site.tell.apply_async(connection=connection, retry=False)
    [sent], [outer] = of_kind(observed, Kind.PRODUCER), of_kind(observed, Kind.INTERNAL)

    assert sent.outcome == "dependency"
    assert sent.peer == "127.0.0.1:9"
    assert sent.labels["messaging_destination_name"] == site.queue
    assert outer.outcome == "dependency"


def test_protocol_1_is_left_as_it_is(site, observed):
    """It has no headers; that the ID gets lost is counted."""
    site.app.conf.task_protocol = 1
    with observation.unit_of_work("sell", SENT):
        site.tell.delay()
    [message] = site.messages()

    assert "obskit" not in message.headers
    assert "obskit" not in str(message.payload)
    assert health.lost == {("correlation", "celery protocol 1 has no headers"): 1}
    assert [work.outcome for work in of_kind(observed, Kind.PRODUCER)] == ["ok"]


def test_a_message_sent_past_the_application_has_the_header(site, observed):
    """Libraries that batch or delay tasks send them by the same function."""
    with observation.unit_of_work("sell", SENT), site.app.producer_or_acquire() as producer:
        amqp = site.app.amqp
        amqp.send_task_message(producer, "tell", amqp.as_task_v2("id-1", "tell"))
    site.work()

    assert site.told == [SENT]


def test_switched_off_its_tasks_run_as_before(site, observed):
    """Also those that were prepared while it was on."""
    site.tell.delay()
    site.work()
    observed.clear()
    instrumentation.uninstrument("celery")
    with observation.unit_of_work("sell", SENT):
        site.tell.delay()
    [message] = site.messages()
    site.request(message).execute()

    assert "obskit" not in message.headers
    assert site.told[1:] == [None]
    assert of_kind(observed, Kind.CONSUMER) == []


def test_observers_hear_nothing_of_arguments_and_results(site, observed):
    """They may be anybody's secrets."""
    site.tell.delay("4111 1111 1111 1111")
    site.work()

    for work in observed:
        seen = (work.name, work.labels, work.attributes, work.context.unit.fields)
        assert "4111" not in str(seen)


def test_a_timer_works_for_all_tasks(observed):
    """Whichever has started it."""
    from celery.utils.timer2 import Timer

    seen, done = [], threading.Event()
    timer = Timer()
    with observation.unit_of_work("sell", SENT):
        timer.call_after(0.01, lambda: (seen.append(context.get()), done.set()))
    assert done.wait(10)
    timer.stop()

    assert seen == [None]


def test_a_process_of_the_pool_begins_clean():
    """Whatever was going on where it was forked."""
    with observation.unit_of_work("sell", SENT):
        assert ours.begin(context.get, None, (), {}) is None
        assert clock.current() is None


def test_a_module_that_took_the_function_by_name_is_served():
    """Whichever is imported first, the worker prepares its tasks with ours."""
    instrumentation.instrument("celery")
    from celery.app import trace
    from celery.worker.consumer import consumer

    assert consumer.build_tracer is trace.build_tracer
    assert hasattr(trace.build_tracer, "__wrapped__")
    assert sys.modules["celery.app.trace"] is trace
