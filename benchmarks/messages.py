"""A message sent and received by pika, over a broker in the process: what is added to bare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.calls import _in_request
from benchmarks.race import Runner
from benchmarks.requests_served import _init_obskit, _sdk

Timed = Callable[[int], None]

# What pika itself takes to write and read the headers that obskit sends.
HEADERS = {
    "x-correlation-id": "87c6acea9bbaf7d5890c2d2c916353f0",
    "traceparent": "00-87c6acea9bbaf7d5890c2d2c916353f0-d0ddbb9264d48239-03",
    "obskit-cause": "1.1.c2dbc7f8df806024-1",
    "baggage": "obskit.correlation=87c6acea9bbaf7d5890c2d2c916353f0,obskit.hop=1,"
    "obskit.causation=c2dbc7f8df806024,obskit.caller=invoice,obskit.born=mww98x36,"
    "obskit.sent=mww98x36,obskit.cause=1.1.c2dbc7f8df806024-1",
}


def _pika(name: str, function: str, *needs: str, **environ: str) -> Runner:
    return Runner(name, f"benchmarks.messages:pika_{function}", environ, ("pika", *needs))


PIKA = (
    _pika("bare", "bare"),
    _pika("headers alone", "headers"),
    _pika("obskit", "obskit"),
    _pika("obskit, no lines", "obskit", OBSKIT_LOG_LEVEL="CRITICAL"),
    _pika("OpenTelemetry", "otel", "opentelemetry.instrumentation.pika"),
)


def _sent_and_received(channel: Any, properties: Any = None) -> Timed:
    def work(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume("orders", work)
    connection = channel.connection

    def timed(count: int) -> None:
        for _ in range(count):
            channel.basic_publish("", "orders", b'{"order":4711}', properties)
            connection.process_data_events(None)

    return timed


def _channel() -> Any:
    from tests.instrumentation.amqp_loopback import blocking

    return blocking()


def pika_bare() -> Timed:
    return _sent_and_received(_channel())


def pika_headers() -> Timed:
    from pika import BasicProperties

    return _sent_and_received(_channel(), BasicProperties(headers=HEADERS))


def pika_obskit() -> Timed:
    _init_obskit()
    timed = _sent_and_received(_channel())
    _in_request()
    return timed


def pika_otel() -> Timed:
    from opentelemetry.instrumentation.pika import PikaInstrumentor

    _sdk()
    channel = _channel()
    PikaInstrumentor.instrument_channel(channel)
    return _sent_and_received(channel)
