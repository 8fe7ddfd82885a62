"""What pika sends to a real RabbitMQ and gets from there, also when that is lost."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import warnings

import pika
import pytest
from pika import exceptions
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.select_connection import SelectConnection

from obskit import context, health, observation
from obskit.instrumentation import _amqp
from obskit.observation import Kind
from tests.services.rabbitmq import running_broker


@pytest.fixture
def leaves_sockets():
    """Collect what pika leaves behind of a connection that was lost, or never came about."""
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        yield
        gc.collect()


def got(observed):
    return [work for work in observed if work.kind is Kind.CONSUMER]


def sent(observed):
    return [work for work in observed if work.kind is Kind.PRODUCER]


def send(channel, queue, *bodies, correlation_id="abc", properties=None):
    for body in bodies:
        with observation.unit_of_work("outer", correlation_id=correlation_id):
            channel.basic_publish("", queue, body, properties)


def consume(channel, queue, work, messages=1, **options):
    """Consume by callbacks until that many have been called."""
    left = [messages]

    def counted(here, *message):
        try:
            work(here, *message)
        finally:
            left[0] -= 1
            if not left[0]:
                here.stop_consuming()

    channel.basic_consume(queue, counted, **options)
    channel.start_consuming()


def acknowledge(channel, method, properties, body):
    channel.basic_ack(method.delivery_tag)


def test_an_operation_goes_through_the_broker(observed, broken, rabbitmq):
    """From one connection to another: ID, trace, cause, age; the body is what it was."""
    queue = rabbitmq.queue("orders")
    body = bytes(range(256)) * 1000
    seen = []
    with rabbitmq.channel() as sender, rabbitmq.channel() as channel:
        send(sender, queue, body)
        consume(channel, queue, lambda *message: seen.append((message[3], context.current())))
        assert context.get() is None
    producer, consumer = sent(observed)[0], got(observed)[0]

    assert seen == [(body, consumer.context)]
    assert consumer.context.correlation_id == "abc"
    assert consumer.context.trace_id == producer.context.trace_id
    assert consumer.context.parent_span_id == producer.context.span_id
    assert consumer.peer == producer.peer == f"127.0.0.1:{rabbitmq.port}"
    assert 0 <= consumer.age <= consumer.end_to_end_age < 60
    assert broken == {}


def test_a_foreign_service_sends_and_gets(observed, rabbitmq):
    """Its ID is taken, and a timestamp of whole seconds; what we send it can read."""
    queue = rabbitmq.queue("orders")
    foreign = pika.BasicProperties(
        headers={"X-Correlation-ID": "theirs"}, timestamp=int(time.time()) - 60
    )
    with rabbitmq.channel() as channel:
        with observation.suppress():
            channel.basic_publish("", queue, b"1", foreign)
        _, properties, _ = channel.basic_get(queue, auto_ack=True)
        assert context.correlation_id() == "theirs"
        channel.basic_publish("", queue, b"2", properties)
    with rabbitmq.channel() as channel, observation.suppress():
        headers = channel.basic_get(queue, auto_ack=True)[1].headers

    assert 59 < got(observed)[0].age < 90
    assert {name for name in headers if "correlation" in name.lower()} == {"x-correlation-id"}
    assert headers["x-correlation-id"] == "theirs"


def test_confirmations_are_part_of_sending(observed, rabbitmq):
    """What cannot be routed, or finds its queue full, is not taken; errors go on unchanged."""
    full = rabbitmq.queue("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        send(channel, full, b"1")
        with pytest.raises(exceptions.NackError):
            channel.basic_publish("", full, b"2")
        with pytest.raises(exceptions.UnroutableError) as info:
            channel.basic_publish("", "nowhere", b"3", mandatory=True)
        with pytest.raises(exceptions.ChannelClosedByBroker):
            channel.basic_publish("no-such-exchange", "x", b"4")
        with pytest.raises(exceptions.ChannelWrongStateError):
            channel.basic_publish("", full, b"5")

    assert info.value.messages[0].body == b"3"
    outcomes = ["ok", "rejected", "rejected", "dependency", "dependency"]
    assert [work.outcome for work in sent(observed)] == outcomes


def test_a_message_that_always_fails_is_seen_to_come_again(observed, rabbitmq):
    """Given back, it is redelivered; given up, it is a dead letter with its attempts."""
    dead = rabbitmq.queue("dead")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = rabbitmq.queue("orders", arguments=arguments)
    deliveries = []

    def work(channel, method, properties, body):
        deliveries.append(method.redelivered)
        try:
            raise ValueError("poison")
        except ValueError:
            channel.basic_nack(method.delivery_tag, requeue=len(deliveries) < 3)

    with rabbitmq.channel() as channel:
        send(channel, queue, b"poison")
        consume(channel, queue, work, 3)
        consume(channel, dead, acknowledge)
    works = got(observed)

    assert [one.redelivered for one in works] == [False, True, True, False]
    assert [one.retried for one in works] == [True, True, False, False]
    assert [one.dead_lettered for one in works] == [False, False, True, False]
    assert [one.outcome for one in works] == ["server_error", "server_error", "rejected", "ok"]
    assert [one.attempt for one in works] == [1, 1, 1, 2]
    assert {one.context.correlation_id for one in works} == {"abc"}


def test_a_message_that_waits_between_its_attempts_is_counted(observed, rabbitmq):
    """Rejected to a queue of waiting ones, from where it comes back."""
    queue = rabbitmq.queue("orders", arguments={"x-dead-letter-exchange": "retry"})
    wait = rabbitmq.queue("wait", arguments={"x-message-ttl": 1, "x-dead-letter-exchange": "back"})
    with rabbitmq.channel() as channel:
        for exchange, bound in (("retry", wait), ("back", queue)):
            channel.exchange_declare(exchange, "fanout", auto_delete=True)
            channel.queue_bind(bound, exchange)

        def work(here, method, properties, body):
            if len(got(observed)) < 2:
                here.basic_reject(method.delivery_tag, requeue=False)
            else:
                here.basic_ack(method.delivery_tag)

        send(channel, queue, b"1")
        consume(channel, queue, work, 3)

    assert [one.attempt for one in got(observed)] == [1, 2, 3]


def test_a_queue_that_counts_its_deliveries_says_the_attempt(observed, rabbitmq):
    """Quorum queues do; classic ones only say that it is not the first."""
    queue = rabbitmq.queue("orders", durable=True, arguments={"x-queue-type": "quorum"})

    def work(channel, method, properties, body):
        channel.basic_nack(method.delivery_tag, requeue=len(got(observed)) < 2)

    with rabbitmq.channel() as channel:
        send(channel, queue, b"1")
        consume(channel, queue, work, 3)

    assert [one.attempt for one in got(observed)] == [1, 2, 3]
    assert [one.redelivered for one in got(observed)] == [False, True, True]


def test_a_loop_that_waits_has_no_message(observed, rabbitmq):
    """`inactivity_timeout` brings None: the work before is over, and nothing else is begun."""
    queue = rabbitmq.queue("orders")
    ids = []
    with rabbitmq.channel() as channel:
        send(channel, queue, b"1")
        for method, _, _ in channel.consume(queue, inactivity_timeout=0.05):
            ids.append((method is None, context.correlation_id()))
            if method is None:
                break
            channel.basic_ack(method.delivery_tag)
        channel.cancel()

    assert ids == [(False, "abc"), (True, None)]
    assert len(got(observed)) == 1


def test_an_automatic_acknowledgement_is_the_same_work(observed, rabbitmq):
    """What fails then is lost, and has failed."""
    queue = rabbitmq.queue("orders")

    def work(*message):
        raise ValueError("mine")

    with rabbitmq.channel() as channel:
        send(channel, queue, b"1")
        with pytest.raises(ValueError):
            consume(channel, queue, work, auto_ack=True)

    assert [one.outcome for one in got(observed)] == ["server_error"]
    assert rabbitmq.waiting(queue) == 0
    assert context.get() is None


def test_consumers_in_threads_do_not_mix(observed, broken, rabbitmq):
    """Each has a connection of its own, and its own messages."""
    queues = [rabbitmq.queue(f"orders-{number}") for number in range(3)]
    wrong = []

    def run(queue):
        def work(channel, method, properties, body):
            with observation.observe("step"):
                channel.basic_ack(method.delivery_tag)
            if context.correlation_id() != body.decode():
                wrong.append((context.correlation_id(), body))

        with rabbitmq.channel() as channel:
            consume(channel, queue, work, 20)

    with rabbitmq.channel() as channel:
        for number in range(20):
            for queue in queues:
                send(
                    channel, queue, f"{queue}.{number}".encode(), correlation_id=f"{queue}.{number}"
                )
    threads = [threading.Thread(target=run, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(got(observed)) == 60
    assert wrong == []
    assert broken == {}


def test_a_thread_acknowledges_by_its_connection(observed, rabbitmq):
    """Long work is done beside, while the connection goes on; lines there have the ID."""
    queue, bills = rabbitmq.queue("orders"), rabbitmq.queue("bills")
    ids, threads = [], []

    def beside(channel, tag):
        ids.append(context.correlation_id())

        def done():
            ids.append(context.correlation_id())
            channel.basic_publish("", bills, b"bill")
            channel.basic_ack(tag)
            channel.stop_consuming()

        channel.connection.add_callback_threadsafe(done)

    def work(channel, method, properties, body):
        thread = threading.Thread(target=beside, args=(channel, method.delivery_tag))
        threads.append(thread)
        thread.start()

    with rabbitmq.channel() as channel:
        send(channel, queue, b"1")
        channel.basic_consume(queue, work)
        channel.start_consuming()
        assert context.get() is None
        headers = channel.basic_get(bills)[1].headers
    threads[0].join()

    assert ids == ["abc", "abc"]
    assert headers["x-correlation-id"] == "abc"
    assert rabbitmq.waiting(queue) == 0


@pytest.mark.parametrize("kind", [SelectConnection, AsyncioConnection])
def test_connections_with_callbacks(observed, broken, rabbitmq, kind):
    """Publish, consume and get are observed there, too."""
    queue, other = rabbitmq.queue("orders"), rabbitmq.queue("others")
    seen = []

    def opened(channel):
        with observation.unit_of_work("outer", correlation_id="abc"):
            channel.basic_publish("", queue, b"consumed")
            channel.basic_publish("", other, b"asked for")
        channel.basic_consume(queue, work)

    def work(channel, method, properties, body):
        seen.append((body, context.correlation_id()))
        channel.basic_ack(method.delivery_tag)
        if len(seen) == 1:
            channel.basic_get(other, work)
        else:
            connection.close()

    def closed(connection, reason):
        if kind is SelectConnection:
            connection.ioloop.stop()
        else:
            done.set_result(None)

    async def run():
        nonlocal connection, done
        done = asyncio.get_running_loop().create_future()
        connection = make()
        await asyncio.wait_for(done, 20)

    def make():
        return kind(
            pika.URLParameters(rabbitmq.url),
            on_open_callback=lambda opening: opening.channel(on_open_callback=opened),
            on_close_callback=closed,
        )

    connection = done = None
    if kind is SelectConnection:
        connection = make()
        connection.ioloop.start()
        connection.ioloop.close()
    else:
        asyncio.run(run())

    assert seen == [(b"consumed", "abc"), (b"asked for", "abc")]
    assert [work.outcome for work in observed] == ["ok"] * 5
    assert len(got(observed)) == len(sent(observed)) == 2
    assert context.get() is None
    assert broken == {}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="an error is made when it is caught")
def test_an_error_that_leaves_a_loop_is_the_messages(observed, rabbitmq):
    """The message that is given back by the broker then says why."""
    queue = rabbitmq.queue("orders")
    with rabbitmq.channel() as channel:
        send(channel, queue, b"1")
        with pytest.raises(KeyError):
            for _ in channel.consume(queue):
                raise KeyError("mine")
    with rabbitmq.channel() as channel:
        consume(channel, queue, acknowledge)
    failed, again = got(observed)

    assert (failed.outcome, type(failed.error)) == ("server_error", KeyError)
    assert (again.outcome, again.redelivered) == ("ok", True)


def _room(properties):
    """Return how many bytes a frame has left beside these properties."""
    return 131_072 - 20 - sum(map(len, properties.encode()))


@pytest.mark.parametrize(("spared", "carried"), [(0, False), (100, False), (2000, True)])
def test_headers_that_fill_a_frame_arrive(observed, broken, rabbitmq, spared, carried):
    """Where ours have no room beside them they stay behind, and the connection lives on."""
    queue = rabbitmq.queue("orders")
    named = {"delivery_mode": 2, "headers": {"tenant": 7, "blob": "", "nested": {"a": [1, "b"]}}}
    properties = pika.BasicProperties(**named)
    properties.headers["blob"] = "x" * (_room(properties) - spared)
    with rabbitmq.channel() as channel:
        channel.confirm_delivery()
        send(channel, queue, b"1", b"2", properties=properties)
        arrived = [channel.basic_get(queue, auto_ack=True)[1] for _ in range(2)]
        assert channel.is_open

    for one in arrived:
        assert one.headers.items() >= properties.headers.items()
        assert ("x-correlation-id" in one.headers) is carried
    assert health.lost == ({} if carried else {("correlation", _amqp.NO_ROOM): 2})
    assert [work.outcome for work in sent(observed)] == ["ok", "ok"]
    assert broken == {}


@pytest.mark.slow
def test_a_broker_that_is_lost_is_the_dependency(observed, broken, leaves_sockets, rabbitmq):
    """While it is gone errors are pika's own; the next connection begins clean."""
    queue = rabbitmq.queue("orders", durable=True)
    lasting = pika.BasicProperties(delivery_mode=2)
    lost = pika.BlockingConnection(pika.URLParameters(rabbitmq.url)).channel()
    send(lost, queue, b"1", b"2", properties=lasting)
    lost.basic_qos(prefetch_count=1)
    with pytest.raises(exceptions.AMQPError):
        for method, _, body in lost.consume(queue):
            rabbitmq.stop()
            assert context.correlation_id() == "abc"
            lost.basic_publish("", queue, body)
            lost.basic_ack(method.delivery_tag)
            lost.connection.process_data_events(1)
    assert context.get() is None
    with pytest.raises(exceptions.AMQPError):
        send(lost, queue, b"3")
    with pytest.raises(exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
    rabbitmq.start()
    with rabbitmq.channel() as channel:
        consume(channel, queue, acknowledge)

    assert sent(observed)[-1].outcome == "dependency"
    assert got(observed)[0].outcome != "ok"
    assert got(observed)[1].redelivered
    assert got(observed)[1].outcome == "ok"
    assert context.get() is None
    assert broken == {}


@pytest.mark.slow
def test_a_broker_that_does_not_answer_runs_out_of_time(observed, leaves_sockets, rabbitmq):
    """The heartbeat finds out, and the message that waits for its confirmation was too late."""
    queue = rabbitmq.queue("orders")
    parameters = pika.URLParameters(rabbitmq.url)
    parameters.heartbeat = 2
    channel = pika.BlockingConnection(parameters).channel()
    channel.confirm_delivery()
    with rabbitmq.paused():
        time.sleep(0.3)  # until all of its threads stand still
        with pytest.raises(exceptions.AMQPHeartbeatTimeout):
            channel.basic_publish("", queue, b"1")
    with contextlib.suppress(exceptions.AMQPError):
        channel.connection.close()

    assert [work.outcome for work in sent(observed)] == ["timeout"]
    assert sent(observed)[0].duration_ns > 1e9


@pytest.mark.slow
def test_two_brokers_at_once_are_told_apart(observed, rabbitmq, tmp_path):
    """A message that goes from one to the other is one operation, and each has its own peer."""
    with running_broker(tmp_path) as other:
        first, second = rabbitmq.queue("orders"), other.queue("orders")

        def forward(channel, method, properties, body):
            with other.channel() as beyond:
                beyond.basic_publish("", second, body, properties)
            channel.basic_ack(method.delivery_tag)

        with rabbitmq.channel() as channel, other.channel() as beyond:
            send(channel, first, b"1")
            consume(channel, first, forward)
            consume(beyond, second, acknowledge)
        ports = [f"127.0.0.1:{one.port}" for one in (rabbitmq, other)]

    assert [work.peer for work in sent(observed)] == ports
    assert [work.peer for work in got(observed)] == ports
    assert {work.context.correlation_id for work in got(observed)} == {"abc"}
    assert [work.context.hop for work in got(observed)] == [2, 3]
