"""A task sent and carried out by Celery, over its transport in memory: what is added to bare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.calls import _in_request
from benchmarks.race import Runner
from benchmarks.requests_served import _init_obskit, _sdk

Timed = Callable[[int], None]


def _celery(name: str, function: str, *needs: str, **environ: str) -> Runner:
    return Runner(name, f"benchmarks.tasks:celery_{function}", environ, ("celery", *needs))


CELERY = (
    _celery("bare", "bare"),
    _celery("obskit", "obskit"),
    _celery("obskit, no lines", "obskit", OBSKIT_LOG_LEVEL="CRITICAL"),
    _celery("OpenTelemetry", "otel", "opentelemetry.instrumentation.celery"),
)


def _sent_and_carried_out() -> Timed:
    import logging

    from celery import Celery
    from celery.app import trace
    from celery.worker.request import Request

    logging.getLogger("celery").setLevel(logging.WARNING)
    app = Celery("orders", broker="memory://", set_as_current=False)
    app.conf.task_ignore_result = True

    @app.task(name="pack", shared=False)  # type: ignore[untyped-decorator,unused-ignore]
    def pack(order: int) -> int:
        return order

    pack.__trace__ = trace.build_tracer("pack", pack, app=app)
    producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
    box = app.connection_for_read().SimpleQueue("celery")

    def nothing(*_: Any) -> None:
        """Answer the broker, which is none."""

    def timed(count: int) -> None:
        for _ in range(count):
            pack.apply_async((4711,), producer=producer)
            message = box.get(block=False)
            message.ack()
            request = Request(message, app=app, on_ack=nothing, on_reject=nothing, task=pack)
            pack.__trace__(request.id, request.args, request.kwargs, request.request_dict)

    return timed


def celery_bare() -> Timed:
    return _sent_and_carried_out()


def celery_obskit() -> Timed:
    _init_obskit()
    timed = _sent_and_carried_out()
    _in_request()
    return timed


def celery_otel() -> Timed:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    _sdk()
    CeleryInstrumentor().instrument()
    return _sent_and_carried_out()
