"""Messages that pika sends to RabbitMQ and gets from there: by callbacks, in loops, one by one.

A `BlockingChannel` does its work by a `Channel` below it; what both are asked for is observed
where the user asks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from obskit import context, conventions, health, observation
from obskit.instrumentation import _amqp, _pulls
from obskit.instrumentation._carried import Carried
from obskit.instrumentation._drive import Call, Switch, around, instead, wraps
from obskit.instrumentation._pulls import pulls
from obskit.observation import Message, Observation

SYSTEM = "rabbitmq"
BLOCKING = "pika.adapters.blocking_connection"
PORTS = (5671, 5672)
REFUSALS = ("UnroutableError", "NackError")

# What stands in the frame of a message's properties beside them.
_FRAME = 20

_get, _start, _finish = context.get, observation.start, observation.finish
_leave, _is_suppressed = observation.leave, observation.is_suppressed

# The queue that a client declares without a name gets one from the broker.
UNNAMED = "amq.gen-"


@instead(BLOCKING, "BlockingChannel.basic_publish")
@instead("pika.channel", "Channel.basic_publish")
def publish(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Observe one message that is sent; with confirmations until the broker has it."""

    def replacement(
        channel: Any,
        exchange: Any,
        routing_key: Any,
        body: Any,
        properties: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        here = _get()
        if not switch.on or (here is not None and here.exit) or _is_suppressed():
            return original(channel, exchange, routing_key, body, properties, *args, **kwargs)
        work = _sending(channel, exchange or routing_key)
        if work is None:
            return original(channel, exchange, routing_key, body, properties, *args, **kwargs)
        _start(work)
        sent = _with_headers(channel, properties, work.started_at_ns)
        try:
            result = original(channel, exchange, routing_key, body, sent, *args, **kwargs)
        except BaseException as error:
            work.rejected = type(error).__name__ in REFUSALS
            observation.end(work, error)
            raise
        _finish(work)
        _leave(work)
        return result

    return replacement


def _sending(channel: Any, destination: Any) -> Observation | None:
    # What is no text is pika's to complain about.
    if not isinstance(destination, str):
        return None
    try:
        parameters = _parameters(channel)
        peer = _address(parameters.host, parameters.port)
    except Exception as error:
        health.internal_error("instrumentation.pika", error)
        peer = None
    try:
        return conventions.producer(SYSTEM, destination, peer=peer, library="pika")
    except Exception as error:
        health.internal_error("instrumentation.pika", error)
        return None


def _with_headers(channel: Any, properties: Any, at_ns: int) -> Any:
    """Return a copy of *properties* that carries the operation; themselves if they are strange."""
    try:
        kind: Any = sys.modules["pika.spec"].BasicProperties
        if properties is None:
            sent = kind()
        elif type(properties) is kind:
            sent = object.__new__(kind)
            sent.__dict__.update(properties.__dict__)
        elif isinstance(properties, kind):
            sent = copy(properties)
        else:
            return properties
        if sent.headers is not None and not isinstance(sent.headers, Mapping):
            return properties

        def frame_size() -> int:
            most: int = _parameters(channel).frame_max
            return most

        sent.headers = _amqp.with_ours(sent.headers, frame_size, at_ns)
        if properties is not None and _amqp.may_burst(sent.headers, frame_size):
            if _FRAME + sum(map(len, sent.encode())) > frame_size():
                _amqp.lose()
                return properties
        return sent
    except Exception as error:
        health.internal_error("propagation.inject", error)
        return properties


def _parameters(channel: Any) -> Any:
    connection = channel.connection
    return getattr(connection, "_impl", connection).params


def _broker(channel: Any) -> str | None:
    """Return the address of the broker that *channel* goes to."""
    try:
        parameters = _parameters(channel)
        return _address(parameters.host, parameters.port)
    except Exception as error:
        health.internal_error("instrumentation.pika", error)
        return None


@lru_cache(maxsize=256)
def _address(host: str, port: int) -> str:
    if port in PORTS:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# A message that is worked on, and the error that was being handled already when that began.
Opened = tuple[Message, BaseException | None]

# What each channel has handed out and is worked on, by delivery tag.
_opened: WeakKeyDictionary[Any, dict[int, Opened]] = WeakKeyDictionary()


def _open_on(channel: Any) -> dict[int, Opened]:
    """Return what is worked on of *channel*, a `Channel` or the one that is built on it."""
    return _opened.setdefault(getattr(channel, "_impl", channel), {})


@instead(BLOCKING, "BlockingChannel.basic_consume")
@instead("pika.channel", "Channel.basic_consume")
def consume_by_callback(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Observe the work on each message of a queue."""
    return _giving("on_message_callback", original, switch)


@instead("pika.channel", "Channel.basic_get")
def get_by_callback(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Observe the work on the one message that was asked for."""
    return _giving("callback", original, switch)


def _giving(name: str, original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
    """Return *original*, which takes a queue and a callback *name*, with the callback observed."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        if not switch.on or not args:
            return original(*args, **kwargs)
        call = Call(args[0], args[1:], kwargs)
        try:
            queue, callback = call.argument(0, "queue", None), call.argument(1, name, None)
            # What pika itself gives to the channel below only passes messages on.
            is_pikas = str(getattr(callback, "__module__", "")).startswith("pika.")
            if callable(callback) and not is_pikas and isinstance(queue, str):
                call.replace(1, name, _observed(callback, queue, call.instance, switch))
        except Exception as error:
            health.internal_error("instrumentation.pika", error)
        return original(call.instance, *call.args, **call.kwargs)

    return replacement


def _observed(
    callback: Callable[..., Any], queue: str, owner: Any, switch: Switch
) -> Callable[..., Any]:
    """Return *callback* with an observation around each message that it gets."""
    opened, peer = _open_on(owner), _broker(owner)

    def deliver(channel: Any, method: Any, properties: Any, body: Any) -> Any:
        if not switch.on or _is_suppressed():
            return callback(channel, method, properties, body)
        work = _work(queue, method, properties, peer)
        if work is None:
            return callback(channel, method, properties, body)
        held = 0
        if _pulls.in_use:
            _pulls.let_go_of_lost(_is_lost)
            held = _pulls.count(channel)
        tag = method.delivery_tag
        opened[tag] = (work, sys.exception())
        _start(work)
        try:
            result = callback(channel, method, properties, body)
        except BaseException as error:
            if _pulls.in_use:
                _pulls.let_go(channel, since=held)
            opened.pop(tag, None)
            observation.end(work, error)
            raise
        if _pulls.in_use:
            _pulls.let_go(channel, since=held)
        opened.pop(tag, None)
        _finish(work)
        _leave(work)
        return result

    return deliver


def _is_lost(channel: Any) -> bool:
    return bool(getattr(channel, "is_closed", False))


@pulls(BLOCKING, "BlockingChannel.basic_get", close="BlockingChannel.close")
@pulls(BLOCKING, "BlockingChannel.consume", close="BlockingChannel.start_consuming")
def fetch(call: Call, message: Any) -> Message | None:
    """Observe the work on a message that was asked for, until the next one is, or the end."""
    method, properties, _ = message
    if method is None:
        return None
    _pulls.let_go_of_lost(_is_lost)
    queue, channel = call.argument(0, "queue", ""), call.instance
    work = _work(queue, method, properties, _broker(channel))
    if work is not None:
        opened = _open_on(channel)
        for tag in [tag for tag, (one, _) in opened.items() if one.finished]:
            del opened[tag]
        opened[method.delivery_tag] = (work, sys.exception())
    return work


@around(BLOCKING, "BlockingChannel.cancel")
def cancel(
    wrapped: Callable[..., Any], channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """End the work on the last message of a loop that is called off."""
    _pulls.let_go(channel, "BlockingChannel.consume")
    return wrapped(*args, **kwargs)


def _work(queue: str, method: Any, properties: Any, peer: str | None) -> Message | None:
    """Return the observation of a message; None where its parts are none that pika makes."""
    try:
        headers = properties.headers
        carrier = _amqp.readable(headers) if headers else {}
        work = conventions.consumer(
            SYSTEM, queue or UNNAMED, carrier=carrier, peer=peer, library="pika"
        )
        work.redelivered = bool(method.redelivered)
        if headers and ("x-death" in headers or "x-delivery-count" in headers):
            work.attempt = _amqp.attempt(headers, queue)
        if properties.timestamp is not None:
            work.sent_at = _amqp.sent_at(carrier, properties.timestamp)
        return work
    except Exception as error:
        health.internal_error("instrumentation.pika", error)
        return None


@around("pika.channel", "Channel.basic_reject")
def reject(
    wrapped: Callable[..., Any], channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note that a message is given back, or given up."""
    result = wrapped(*args, **kwargs)
    call = Call(channel, args, kwargs)
    tag, requeue = call.argument(0, "delivery_tag", 0), call.argument(1, "requeue", True)
    _refuse(channel, tag, False, requeue)
    return result


@around("pika.channel", "Channel.basic_nack")
def nack(
    wrapped: Callable[..., Any], channel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note that messages are given back, or given up."""
    result = wrapped(*args, **kwargs)
    call = Call(channel, args, kwargs)
    tag, requeue = call.argument(0, "delivery_tag", 0), call.argument(2, "requeue", True)
    _refuse(channel, tag, call.argument(1, "multiple", False), requeue)
    return result


def _refuse(channel: Any, tag: int, multiple: bool, requeue: bool) -> None:
    try:
        for number, (work, handled) in tuple(_opened.get(channel, {}).items()):
            if number == tag or (multiple and (number <= tag or tag == 0)):
                _mark(work, handled, requeue)
    except Exception as error:
        health.internal_error("instrumentation.pika", error)


def _mark(work: Message, handled: BaseException | None, requeue: bool) -> None:
    """Note what is done with a message, and the error for which that is done."""
    error = sys.exception()
    if requeue:
        work.retried = True
    else:
        work.rejected = work.dead_lettered = True
    if error is not None and error is not handled:
        work.error = error


@wraps(BLOCKING, "BlockingConnection.add_callback_threadsafe")
def call_in_its_thread(call: Call) -> None:
    """Let what another thread asks a connection to do belong to what that thread works on."""
    here, callback = context.get(), call.argument(0, "callback", None)
    if here is not None and callable(callback):
        call.replace(0, "callback", Carried(callback, here))
