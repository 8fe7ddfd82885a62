"""What is sent and got by pika, over a broker within the process."""

import sys
import threading
import time

import pika
import pytest
from pika import BasicProperties, exceptions, spec
from pika.adapters.blocking_connection import BlockingChannel

from obskit import clock, context, instrumentation, observation, propagation
from obskit.instrumentation import _pulls
from obskit.instrumentation import pika as ours
from obskit.observation import Kind
from tests.instrumentation.amqp_loopback import Wire, blocking


@pytest.fixture
def channel(observed):
    """Give a blocking channel that is observed."""
    return blocking()


def send(channel, *bodies, correlation_id="abc", **options):
    """Publish to the queue `orders`, each body within an operation of its own."""
    for body in bodies:
        with observation.unit_of_work("outer", correlation_id=correlation_id):
            channel.basic_publish("", "orders", body, **options)


def consume(channel, work):
    """Have all messages that wait in `orders` worked on."""
    channel.basic_consume("orders", work)
    channel.connection.process_data_events()


def got(observed):
    return [work for work in observed if work.kind is Kind.CONSUMER]


def sent(observed):
    return [work for work in observed if work.kind is Kind.PRODUCER]


# Sending.


def test_a_message_carries_the_operation(channel, observed):
    """ID, trace, clock and baggage stand in the table of headers, in lower case, once each."""
    with observation.unit_of_work("outer", correlation_id="abc"):
        clock.tick()
        channel.basic_publish("", "orders", b"\x00body")
    _, properties, body = channel.basic_get("orders")
    work = sent(observed)[0]

    assert body == b"\x00body"
    assert properties.headers["x-correlation-id"] == "abc"
    assert properties.headers["traceparent"].split("-")[2] == work.context.span_id
    assert properties.headers["obskit-cause"].startswith("1.1")
    assert "obskit.sent=" in properties.headers["baggage"]
    assert (work.name, work.outcome, work.library) == ("publish orders", "ok", "pika")
    assert work.labels == {
        "messaging_system": "rabbitmq",
        "messaging_destination_name": "orders",
    }
    assert work.peer == "broker"
    assert len(sent(observed)) == 1


def test_the_callers_properties_are_left_alone(channel, observed):
    """Used for each message, they neither grow nor change; what is theirs arrives."""
    headers = {"tenant": 7, "nested": {"a": [1, None]}}
    named = {"correlation_id": "rpc-1", "timestamp": 5, "message_id": "m", "reply_to": "q"}
    properties = BasicProperties(headers=headers, delivery_mode=2, **named)
    send(channel, b"1", b"2", properties=properties)
    arrived = [channel.basic_get("orders")[1] for _ in range(2)]

    assert headers == {"tenant": 7, "nested": {"a": [1, None]}}
    assert properties.headers is headers
    for one in arrived:
        assert one.headers.items() >= headers.items()
        assert one.delivery_mode == 2
        assert {name: getattr(one, name) for name in named} == named


def test_without_properties_nothing_but_headers_is_set(channel):
    """No ID, no timestamp and no mode that the user did not ask for."""
    send(channel, b"1")
    arrived = channel.basic_get("orders")[1]
    arrived.headers = None

    assert arrived == BasicProperties()


class Own(BasicProperties):
    """Properties of the user's own kind."""


@pytest.mark.parametrize("headers", [None, {}, {"a": "b"}])
def test_properties_of_an_own_kind_stay_of_that_kind(channel, monkeypatch, headers):
    """The library gets a copy that behaves as the original."""
    seen = []
    monkeypatch.setattr(
        Wire, "_send_method", lambda self, number, method, content=None: seen.append(content)
    )
    given = Own(headers=headers)
    send(channel, b"1", properties=given)

    assert type(seen[0][0]) is Own
    assert seen[0][0] is not given
    assert given.headers == headers


@pytest.mark.parametrize(
    "arguments",
    [
        ("", "orders", b"1", "no properties"),
        ("", "orders", b"1", BasicProperties(headers=["no", "table"])),
        ("", "orders", b"1", BasicProperties(headers={"a": object()})),
        (None, None, b"1"),
        (7, "orders", b"1"),
        ("", "orders", 7),
        ("",),
        ("", "orders", b"1", None, False, "too many"),
    ],
)
def test_wrong_use_is_pikas_to_complain_about(channel, broken, arguments):
    """The same error as without us, and none of ours."""
    instrumentation.uninstrument("pika")
    with pytest.raises(Exception) as without:
        channel.basic_publish(*arguments)
    instrumentation.instrument("pika")
    with pytest.raises(type(without.value)) as info:
        with observation.unit_of_work("outer"):
            channel.basic_publish(*arguments)

    assert str(info.value) == str(without.value)
    assert broken == {}


@pytest.mark.parametrize(
    ("exchange", "key", "name"),
    [
        ("events", "order.4711.paid", "events"),
        ("", "orders", "orders"),
        ("", "amq.gen-JzTY20BRgKO", "__temporary__"),
        ("", "amq.rabbitmq.reply-to.g1h2", "__temporary__"),
        ("", "", "__default__"),
    ],
)
def test_destinations_have_few_names(channel, observed, exchange, key, name):
    """The exchange, or the queue of the default exchange; never a routing key, nor a queue's ID."""
    channel.basic_publish(exchange, key, b"1")

    assert sent(observed)[0].labels["messaging_destination_name"] == name


@pytest.mark.parametrize(
    ("host", "port", "peer"),
    [
        ("rabbit", 5672, "rabbit"),
        ("rabbit", 5671, "rabbit"),
        ("rabbit", 7000, "rabbit:7000"),
        ("::1", 7000, "[::1]:7000"),
    ],
)
def test_the_broker_is_the_peer(channel, observed, host, port, peer):
    """With its port if that is unusual, for both sides."""
    channel.connection._impl.params = pika.ConnectionParameters(host, port)
    channel.basic_publish("", "orders", b"1")
    channel.basic_get("orders")
    channel.basic_get("orders")

    assert {work.peer for work in observed} == {peer}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (exceptions.UnroutableError([]), "rejected"),
        (exceptions.NackError([]), "rejected"),
        (exceptions.StreamLostError("gone"), "dependency"),
        (exceptions.ChannelClosedByBroker(404, "no exchange"), "dependency"),
        (exceptions.ConnectionBlockedTimeout("blocked"), "timeout"),
    ],
)
def test_what_the_broker_did_not_take_is_judged(observed, error, outcome):
    """The error goes on as it is, and so does whose fault it was."""

    class Refusing(BlockingChannel):
        def _flush_output(self, *waiters):
            raise error

    channel = blocking(Refusing)
    with pytest.raises(type(error)) as info:
        channel.basic_publish("", "orders", b"1")

    assert info.value is error
    assert [(work.outcome, work.error) for work in observed] == [(outcome, error)]


def test_a_channel_without_a_blocking_one_sends_too(observed):
    """Each message is counted once, by whichever channel it is sent."""
    wire = Wire()
    below = wire.open()
    with observation.unit_of_work("outer", correlation_id="abc"):
        below.basic_publish(exchange="", routing_key="orders", body="text")
    got_here = []
    below.basic_get("orders", lambda channel, *message: got_here.append(message))
    wire.pump()

    assert got_here[0][1].headers["x-correlation-id"] == "abc"
    assert got_here[0][2] == b"text"
    assert len(sent(observed)) == 1


def test_headers_fit_into_the_frames_of_the_connection(channel):
    """What is too long for a small one stays behind; the message arrives."""
    channel.connection._impl.params.frame_max = 4096
    with observation.unit_of_work("outer", correlation_id="abc"):
        context.current().unit.baggage = "a=" + "b" * 3000
        channel.basic_publish("", "orders", b"1")
    headers = channel.basic_get("orders")[1].headers

    assert headers["x-correlation-id"] == "abc"
    assert "baggage" not in headers


def test_a_broken_propagator_breaks_no_message(channel, broken, monkeypatch):
    """It goes out without headers."""
    monkeypatch.setattr(propagation, "message", None)
    send(channel, b"1")

    assert channel.basic_get("orders")[1].headers is None
    assert broken == {"propagation.inject": 1}


# Getting by callbacks.


def test_a_callback_works_for_the_operation_that_sent(channel, observed):
    """Same ID and trace, a cause, an age, and nothing of it stays when it is over."""
    send(channel, b"1")
    seen = []
    consume(channel, lambda *message: seen.append(context.current()))
    work, producer = got(observed)[0], sent(observed)[0]

    assert seen == [work.context]
    assert seen[0].correlation_id == "abc"
    assert seen[0].correlation_source == "inherited"
    assert work.context.parent_span_id == producer.context.span_id
    assert (work.name, work.outcome, work.redelivered) == ("process orders", "ok", False)
    assert (work.attempt, work.peer) == (1, "broker")
    assert 0 <= work.age < 60
    assert work.end_to_end_age >= work.age
    assert context.get() is None


def test_a_callback_gets_what_it_gets_without_us(channel):
    """The channel that it was given to, the delivery, the properties, the body."""
    seen = []
    send(channel, b"1")
    consume(channel, lambda *message: seen.extend(message))

    assert seen[0] is channel
    assert [type(one) for one in seen[1:]] == [spec.Basic.Deliver, BasicProperties, bytes]


def test_an_error_of_a_callback_goes_on(channel, observed):
    """It is the error of the message, and its frames are the user's."""
    error = ValueError("mine")

    def work(*message):
        raise error

    send(channel, b"1")
    with pytest.raises(ValueError) as info:
        consume(channel, work)

    assert info.value is error
    assert info.traceback[-1].name == "work"
    assert [(one.outcome, one.error) for one in got(observed)] == [("server_error", error)]
    assert context.get() is None


def test_what_a_callback_sends_belongs_to_the_operation(channel, observed):
    """A message that was caused by a message says so."""

    def work(channel, method, properties, body):
        channel.basic_publish("", "bills", b"bill")

    send(channel, b"1")
    consume(channel, work)
    headers = channel.basic_get("bills")[1].headers

    assert headers["x-correlation-id"] == "abc"
    assert f"obskit.causation={got(observed)[0].context.span_id}" in headers["baggage"]
    assert "obskit.hop=2" in headers["baggage"]


def test_a_message_of_a_service_without_obskit_begins_an_operation(channel, observed):
    """The source says that a message began it."""
    instrumentation.uninstrument("pika")
    channel.basic_publish("", "orders", b"1")
    channel.basic_publish("", "orders", b"2", BasicProperties(headers={"X-Correlation-ID": "Z"}))
    instrumentation.instrument("pika")
    seen = []
    consume(channel, lambda *message: seen.append(context.current()))

    assert [one.correlation_source for one in seen] == ["message", "inherited"]
    assert seen[1].correlation_id == "Z"
    assert seen[0].correlation_id == seen[0].trace_id


HOSTILE = [
    {"x-correlation-id": "a\nb", "traceparent": "00-zz"},
    {"x-correlation-id": "x" * 8192, "baggage": "a=" + "b" * 8192},
    {"x-correlation-id": "ümlaut", "tracestate": "ü"},
    {"x-correlation-id": {"a": {"b": [1]}}, "traceparent": 7, "baggage": True},
    {"x-correlation-id": b"\xff\xfe", "obskit-cause": b"\x00"},
    {"x-correlation-id": None, "traceparent": [1, 2], "x-death": "x", "x-delivery-count": {}},
    {
        "obskit-cause": "1." + "z" * 300,
        "baggage": "obskit.hop=99999999999,obskit.sent=zzzzzzzzzzzz",
    },
    {"x-death": [1, {"count": "many"}, None]},
]


@pytest.mark.parametrize("headers", HOSTILE)
def test_hostile_headers_do_no_harm(channel, observed, broken, headers):
    """The message arrives, within an operation of its own."""
    instrumentation.uninstrument("pika")
    channel.basic_publish("", "orders", b"1", BasicProperties(headers=headers, timestamp=2**62))
    instrumentation.instrument("pika")
    seen = []
    consume(channel, lambda *message: seen.append((context.current().correlation_id, message[3])))
    work = got(observed)[0]

    assert seen[0][1] == b"1"
    assert len(seen[0][0]) == 32
    assert (work.outcome, work.attempt, work.age) == ("ok", 1, None)
    assert broken == {}


@pytest.mark.parametrize(
    ("method", "arguments", "facts"),
    [
        ("basic_nack", {"requeue": False}, ("rejected", True, False)),
        ("basic_reject", {"requeue": False}, ("rejected", True, False)),
        ("basic_nack", {"requeue": False, "multiple": True}, ("rejected", True, False)),
        ("basic_nack", {}, ("ok", False, True)),
        ("basic_reject", {}, ("ok", False, True)),
        ("basic_ack", {}, ("ok", False, False)),
    ],
)
def test_what_is_done_with_a_message_is_noted(channel, observed, method, arguments, facts):
    """Given up: rejected and dead-lettered; given back: to be done again."""

    def work(channel, delivery, properties, body):
        if delivery.redelivered:
            channel.basic_ack(delivery.delivery_tag)
        else:
            getattr(channel, method)(delivery.delivery_tag, **arguments)

    send(channel, b"1")
    consume(channel, work)
    first = got(observed)[0]

    assert (first.outcome, first.dead_lettered, first.retried) == facts
    assert [one.redelivered for one in got(observed)[1:]] == [True] * facts[2]


def test_the_error_for_which_a_message_is_given_back_is_the_messages(channel, observed):
    """Caught by the callback, it is said all the same; that of before is not."""

    def work(channel, method, properties, body):
        try:
            raise KeyError(body)
        except KeyError:
            channel.basic_nack(method.delivery_tag, requeue=False)

    send(channel, b"bad")
    with pytest.raises(OSError):
        try:
            raise OSError
        except OSError:
            consume(channel, work)
            channel.basic_publish("", "others", b"1")
            method = channel.basic_get("others")[0]
            channel.basic_nack(method.delivery_tag, requeue=False)
            channel.basic_get("others")
            raise
    bad, other = got(observed)

    assert (bad.outcome, type(bad.error)) == ("rejected", KeyError)
    assert (other.outcome, other.error) == ("rejected", None)


@pytest.mark.parametrize(
    ("tags", "outcomes"),
    [
        ([(1, False)], ("rejected", "ok")),
        ([(2, False)], ("ok", "rejected")),
        ([(1, True)], ("rejected", "ok")),
        ([(2, True)], ("rejected", "rejected")),
        ([(0, True)], ("rejected", "rejected")),
        ([(1, False), (2, False)], ("rejected", "rejected")),
    ],
)
def test_several_messages_may_be_given_up_at_once(channel, observed, tags, outcomes):
    """All up to a tag, or all that there are."""

    def work(here, method, properties, body):
        here.basic_get("others")
        for tag, multiple in tags:
            here.basic_nack(tag, multiple, False)

    channel.basic_publish("", "others", b"1")
    send(channel, b"1")
    consume(channel, work)
    inner, outer = got(observed)

    assert (outer.outcome, inner.outcome) == outcomes


def test_a_tag_of_another_message_is_not_this_ones(channel, observed):
    """Channels number their messages alike, and a callback may answer for earlier ones."""
    other = blocking()
    other.basic_publish("", "orders", b"1")
    send(channel, b"1")

    def work(here, method, properties, body):
        tag = other.basic_get("orders")[0].delivery_tag
        assert tag == method.delivery_tag
        other.basic_nack(tag, requeue=False)

    consume(channel, work)
    other.close()

    assert [one.outcome for one in got(observed)] == ["ok", "rejected"]


def test_what_pika_gives_to_the_channel_below_is_no_work(channel, observed):
    """Neither the blocking channel's own callbacks, nor what it gives back when it is closed."""
    send(channel, b"1", b"2")
    consume(channel, lambda *message: None)
    send(channel, b"3")
    channel.close()

    assert len(got(observed)) == 2
    assert context.get() is None


@pytest.mark.parametrize("callback", [None, 7, "work"])
def test_what_is_no_callback_is_pikas_to_complain_about(channel, broken, callback):
    """The error names what the user gave."""
    with pytest.raises(TypeError, match=repr(callback)):
        channel.basic_consume("orders", callback)

    assert broken == {}


def test_a_callback_may_be_any_callable(channel, observed):
    """An object, a method, a partial function; given by name or not."""

    class Work:
        seen = 0

        def __call__(self, *message):
            Work.seen += 1

    send(channel, b"1")
    tag = channel.basic_consume(queue="orders", on_message_callback=Work(), auto_ack=True)
    channel.connection.process_data_events()
    channel.basic_cancel(tag)

    assert Work.seen == len(got(observed)) == 1


def test_a_queue_without_a_name_is_a_temporary_one(channel, observed):
    """The broker knows which one was declared last."""
    channel.basic_publish("", "", b"1")
    channel.basic_consume("", lambda *message: None)
    channel.connection.process_data_events()

    assert got(observed)[0].labels["messaging_destination_name"] == "__temporary__"


def test_switched_off_while_it_consumes(channel, observed):
    """Consumers that were registered before pass through."""
    seen = []
    consume(channel, lambda *message: seen.append(context.current()))
    instrumentation.uninstrument("pika")
    channel.basic_publish("", "orders", b"1")
    channel.connection.process_data_events()

    assert seen == [None]
    assert not observed


def test_what_a_callback_fetches_ends_with_it(channel, observed):
    """Between the callbacks no message's context stays."""

    def work(channel, method, properties, body):
        channel.basic_get("others")
        assert context.correlation_id() == "other"

    with observation.unit_of_work("outer", correlation_id="other"):
        channel.basic_publish("", "others", b"1")
    send(channel, b"1")
    consume(channel, work)

    assert [one.context.correlation_id for one in got(observed)] == ["other", "abc"]
    assert context.get() is None


def test_what_a_callback_that_fails_has_fetched_ends_with_it(channel, observed):
    """By the same error."""

    def work(channel, *message):
        channel.basic_get("others")
        raise ValueError("mine")

    channel.basic_publish("", "others", b"1")
    send(channel, b"1")
    with pytest.raises(ValueError):
        consume(channel, work)

    assert [one.outcome for one in got(observed)] == ["server_error", "server_error"]
    assert context.get() is None


def test_what_others_say_of_their_messages_is_heard(channel, observed):
    """A timestamp in seconds, and how often it was given up."""
    headers = {"x-death": [{"queue": "orders", "count": 2}]}
    properties = BasicProperties(headers=headers, timestamp=int(time.time()) - 60)
    with observation.suppress():
        channel.basic_publish("", "orders", b"1", properties)
    consume(channel, lambda *message: None)
    work = got(observed)[0]

    assert work.attempt == 3
    assert 59 < work.age < 90
    assert sent(observed) == []


def test_without_a_work_the_callback_is_called(channel, broken, monkeypatch):
    """A message whose parts cannot be read arrives."""
    monkeypatch.setattr(ours.conventions, "consumer", None)
    seen = []
    send(channel, b"1")
    consume(channel, lambda *message: seen.append(message[3]))

    assert seen == [b"1"]
    assert broken == {"instrumentation.pika": 1}


# Getting in loops and one by one.


def test_the_body_of_a_loop_has_the_messages_id(channel, observed):
    """Until the next message, and no longer than the loop."""
    send(channel, b"1", correlation_id="a")
    send(channel, b"2", correlation_id="b")
    ids = []
    for method, _, body in channel.consume("orders"):
        ids.append(context.correlation_id())
        channel.basic_ack(method.delivery_tag)
        if body == b"2":
            break
    assert context.get() is None
    channel.cancel()

    assert ids == ["a", "b"]
    assert [one.outcome for one in got(observed)] == ["ok", "ok"]
    assert ours._open_on(channel).keys() == {2}


def test_a_loop_that_is_called_off_is_over(channel, observed):
    """`cancel` ends the work on the message that was handed out last."""
    send(channel, b"1", b"2")
    messages = channel.consume("orders")
    next(messages)
    assert context.correlation_id() == "abc"
    channel.cancel()

    assert context.get() is None
    assert list(messages) == []
    assert len(got(observed)) == 1


def test_a_loop_that_an_error_leaves_has_failed(channel, observed):
    """The message is not counted as one that went well."""
    send(channel, b"1")
    with pytest.raises(ZeroDivisionError):
        for _ in channel.consume("orders"):
            1 / 0  # noqa: B018

    found = ZeroDivisionError if sys.version_info >= (3, 12) else type(None)
    assert [(one.outcome, type(one.error)) for one in got(observed)] == [("server_error", found)]
    assert context.get() is None


def test_a_loop_for_each_message_holds_it(channel, observed):
    """``next(channel.consume(queue))`` is a common way to get one."""
    send(channel, b"1", correlation_id="a")
    send(channel, b"2", correlation_id="b")
    ids = []
    for _ in range(2):
        next(channel.consume("orders"))
        ids.append(context.correlation_id())
    channel.close()

    assert ids == ["a", "b"]
    assert len(got(observed)) == 2
    assert context.get() is None


def test_a_message_that_was_asked_for_holds_until_the_next(channel, observed):
    """An empty queue ends it."""
    send(channel, b"1", correlation_id="a")
    send(channel, b"2", correlation_id="b")
    ids = []
    while channel.basic_get("orders", auto_ack=True)[0]:
        ids.append(context.correlation_id())

    assert ids == ["a", "b"]
    assert context.get() is None
    assert channel.basic_get(queue="orders") == (None, None, None)


def test_callbacks_begin_without_what_was_asked_for_before(channel, observed):
    """`start_consuming` is the next pull, too."""
    send(channel, b"1", b"2")
    channel.basic_get("orders")
    around = []

    def work(channel, *message):
        around.append(observed[-1].context.correlation_id)
        channel.stop_consuming()

    channel.basic_consume("orders", work)
    channel.start_consuming()

    assert around == ["abc"]
    assert context.get() is None


def test_two_consumers_in_one_thread_end_their_own_messages(channel, observed):
    """The ID is that of the message fetched last."""
    other = blocking()
    send(channel, b"1", b"2", correlation_id="a")
    send(other, b"1", correlation_id="b")
    channel.basic_get("orders")
    other.basic_get("orders")
    assert context.correlation_id() == "b"
    channel.basic_get("orders")
    assert context.correlation_id() == "a"
    channel.close()
    other.close()

    assert context.get() is None
    assert len(got(observed)) == 3


@pytest.mark.parametrize("again", ["basic_get", "consume", "callback"])
def test_a_channel_that_was_lost_holds_nothing_for_ever(channel, observed, again):
    """The next connection's messages begin without the one that nobody will end."""
    send(channel, b"1", correlation_id="lost")
    channel.basic_get("orders")
    channel._impl._set_state(channel._impl.CLOSED)
    channel = blocking()
    send(channel, b"2", correlation_id="next")
    if again == "callback":
        consume(channel, lambda *message: None)
    elif again == "consume":
        next(iter(channel.consume("orders")))
    else:
        channel.basic_get("orders")
    channel.close()

    assert [one.context.correlation_id for one in got(observed)] == ["lost", "next"]
    assert context.get() is None


def test_a_deep_stack_of_waiting_messages_is_forgotten(channel):
    """What was worked on is not kept by its tag."""
    for _ in range(50):
        send(channel, b"1")
        channel.basic_get("orders")
    channel.close()

    assert len(ours._open_on(channel)) == 1
    assert _pulls.count(channel) == 0


# Threads.


def test_what_a_thread_asks_the_connection_to_do_belongs_to_its_message(channel, observed):
    """Only the connection's own thread may send; it does so for whoever has asked."""
    connection = channel.connection

    def work(here, method, properties, body):
        def later():
            connection.add_callback_threadsafe(
                lambda: here.basic_publish("", "bills", str(context.correlation_id()))
            )

        thread = threading.Thread(target=later)
        thread.start()
        thread.join()

    send(channel, b"1")
    consume(channel, work)
    assert context.get() is None
    connection.process_data_events()
    _, properties, body = channel.basic_get("bills")

    assert (properties.headers["x-correlation-id"], body) == ("abc", b"abc")
    with pytest.raises(TypeError, match="callable"):
        connection.add_callback_threadsafe(None)
