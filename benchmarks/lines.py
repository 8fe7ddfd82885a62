"""A log line: seven fields of a caller, inside a request, written to a file at once."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.race import Runner

Timed = Callable[[int], None]
FIELDS: dict[str, Any] = {
    "order_id": "CD-4711", "customer": "ada", "country": "DE", "total": 14.88, "copies": 1, "express": False
}  # fmt: skip

RUNNERS = (
    Runner("floor", "benchmarks.lines:floor"),
    Runner("obskit", "benchmarks.lines:obskit_native"),
    Runner("obskit, no clock", "benchmarks.lines:obskit_no_clock"),
    Runner("obskit by logging", "benchmarks.lines:obskit_stdlib"),
    Runner("structlog (orjson)", "benchmarks.lines:structlog_native", needs=("structlog",)),
    Runner(
        "python-json-logger (orjson)", "benchmarks.lines:json_logger", needs=("pythonjsonlogger",)
    ),
    Runner("loguru (serialize)", "benchmarks.lines:loguru_serialize", needs=("loguru",)),
    Runner("ecs-logging", "benchmarks.lines:ecs", needs=("ecs_logging",)),
    Runner("logfire (console off, spans)", "benchmarks.lines:logfire_info", needs=("logfire",)),
)
EXCEPTION_RUNNERS = (
    Runner("floor", "benchmarks.lines:floor_exception"),
    Runner("obskit", "benchmarks.lines:obskit_exception"),
    Runner(
        "structlog (dict_tracebacks, no locals)",
        "benchmarks.lines:structlog_exception",
        needs=("structlog",),
    ),
    Runner(
        "python-json-logger (orjson)",
        "benchmarks.lines:json_logger_exception",
        needs=("pythonjsonlogger",),
    ),
    Runner("loguru (serialize)", "benchmarks.lines:loguru_exception", needs=("loguru",)),
)
FILTERED_RUNNERS = (
    Runner("logging", "benchmarks.lines:stdlib_filtered"),
    Runner("obskit", "benchmarks.lines:obskit_filtered"),
    Runner("structlog", "benchmarks.lines:structlog_filtered", needs=("structlog",)),
)


def _sink() -> str:
    return tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log", delete=False).name


def _descriptor() -> int:
    path = _sink()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.unlink(path)
    return descriptor


def _repeat(call: Callable[[], Any]) -> Timed:
    def timed(count: int) -> None:
        for _ in range(count):
            call()

    return timed


def floor() -> Timed:
    """Write the very line by hand: the constant part as ready bytes, the rest by orjson."""
    import orjson

    descriptor = _descriptor()
    constant = (
        b',"logger":"shop","service":"invoice","version":"1.0","env":"production","host":"a1",'
        b'"pid":1,"correlation_id":"4bf92f3577b34da6a3ce929d0e0e4736","correlation_source":"generated",'
        b'"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","hop":1,'
    )
    second, prefix = 0, ""

    def info(message: str, **fields: Any) -> None:
        nonlocal second, prefix
        now = time.time_ns()
        whole, rest = divmod(now, 1_000_000_000)
        if whole != second:
            second, prefix = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        head = f'{{"timestamp":"{prefix}.{rest // 1000:06d}Z","level":"info","message":'
        line = b"".join(
            (head.encode(), orjson.dumps(message), constant, orjson.dumps(fields)[1:], b"\n")
        )
        os.write(descriptor, line)

    return _repeat(lambda: info("order placed", **FIELDS))


def _obskit(**settings: Any) -> Any:
    import obskit

    obskit.init(
        "invoice", version="1.0", env="production", log_format="json", log_stream=_sink(),
        metrics_port=False, instrument=("none",), **settings,
    )  # fmt: skip
    return obskit


def _in_request(obskit: Any) -> None:
    from obskit import observation

    work = observation.Observation("GET /", observation.Kind.SERVER)
    observation.start(work)


def obskit_native() -> Timed:
    obskit = _obskit()
    _in_request(obskit)
    log = obskit.get_logger("shop")
    return _repeat(lambda: log.info("order placed", **FIELDS))


def obskit_no_clock() -> Timed:
    obskit = _obskit()
    _in_request(obskit)
    from obskit import clock

    clock.attach(None)
    log = obskit.get_logger("shop")
    return _repeat(lambda: log.info("order placed", **FIELDS))


def obskit_stdlib() -> Timed:
    obskit = _obskit()
    _in_request(obskit)
    log = logging.getLogger("shop")
    return _repeat(lambda: log.info("order placed", extra=FIELDS))


def _structlog(level: int = logging.INFO) -> Any:
    import orjson
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(open(_sink(), "ab")),  # noqa: SIM115
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(
        service="invoice", version="1.0", env="production", host="a1",
        correlation_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7",
    )  # fmt: skip
    return structlog.get_logger()


def structlog_native() -> Timed:
    log = _structlog()
    return _repeat(lambda: log.info("order placed", **FIELDS))


def _json_logger() -> logging.Logger:
    from pythonjsonlogger.orjson import OrjsonFormatter

    handler = logging.FileHandler(_sink())
    handler.setFormatter(
        OrjsonFormatter(
            "{asctime}{levelname}{message}{name}{process}",
            style="{",
            static_fields={
                "service": "invoice",
                "version": "1.0",
                "env": "production",
                "host": "a1",
            },
        )
    )
    log = logging.getLogger("shop")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    return log


def json_logger() -> Timed:
    log = _json_logger()
    return _repeat(lambda: log.info("order placed", extra=FIELDS))


def _loguru() -> Any:
    from loguru import logger

    logger.remove()
    logger.add(_sink(), serialize=True, diagnose=False)
    return logger.bind(service="invoice", version="1.0", env="production")


def loguru_serialize() -> Timed:
    log = _loguru()
    return _repeat(lambda: log.bind(**FIELDS).info("order placed"))


def ecs() -> Timed:
    import ecs_logging

    handler = logging.FileHandler(_sink())
    handler.setFormatter(ecs_logging.StdlibFormatter())
    log = logging.getLogger("shop")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    return _repeat(lambda: log.info("order placed", extra=FIELDS))


def logfire_info() -> Timed:
    import logfire
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    out = open(_sink(), "w")  # noqa: SIM115
    logfire.configure(
        send_to_logfire=False, console=False,
        additional_span_processors=[SimpleSpanProcessor(ConsoleSpanExporter(out=out))],
    )  # fmt: skip
    return _repeat(lambda: logfire.info("order placed", **FIELDS))


def _deep(depth: int) -> None:
    if depth == 0:
        raise ValueError("no such country")
    _deep(depth - 1)


def _raising(report: Callable[[], Any]) -> Timed:
    def once() -> None:
        try:
            _deep(9)
        except ValueError:
            report()

    return _repeat(once)


def floor_exception() -> Timed:
    """Render ten frames by hand, without source lines of the library, and write the line."""
    import sys

    import orjson

    descriptor = _descriptor()

    def report() -> None:
        error = sys.exc_info()[1]
        assert error is not None
        frames = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(
                f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_qualname}'
            )
            trace = trace.tb_next
        now = time.time_ns()
        os.write(
            descriptor,
            orjson.dumps(
                {
                    "timestamp": now, "level": "error", "message": "order failed", "service": "invoice",
                    "correlation_id": "4bf92f3577b34da6a3ce929d0e0e4736", **FIELDS,
                    "error_type": type(error).__name__, "error_message": str(error),
                    "error_stack": "\n".join(frames),
                }
            ) + b"\n",
        )  # fmt: skip

    return _raising(report)


def obskit_exception() -> Timed:
    obskit = _obskit()
    _in_request(obskit)
    log = obskit.get_logger("shop")
    return _raising(lambda: log.exception("order failed", **FIELDS))


def structlog_exception() -> Timed:
    log = _structlog()
    return _raising(lambda: log.exception("order failed", **FIELDS))


def json_logger_exception() -> Timed:
    log = _json_logger()
    return _raising(lambda: log.exception("order failed", extra=FIELDS))


def loguru_exception() -> Timed:
    log = _loguru()
    return _raising(lambda: log.bind(**FIELDS).exception("order failed"))


def stdlib_filtered() -> Timed:
    logging.basicConfig(level=logging.INFO)
    log = logging.getLogger("shop")
    return _repeat(lambda: log.debug("order placed", extra=FIELDS))


def obskit_filtered() -> Timed:
    obskit = _obskit()
    _in_request(obskit)
    log = obskit.get_logger("shop")
    return _repeat(lambda: log.debug("order placed", **FIELDS))


def structlog_filtered() -> Timed:
    log = _structlog()
    return _repeat(lambda: log.debug("order placed", **FIELDS))
