"""Choose the servers that spans are sent to, and what is said and done on the way."""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from obskit import health, shipping
from obskit.logs import redaction
from obskit.settings import Settings
from obskit.shipping import endings, verdict
from obskit.shipping.verdict import Verdict
from obskit.traces import finished, zipkin

LOGGER, WARNING = "obskit", 30
POOLS = ("multiprocessing.pool", "concurrent.futures.process")

_takers: tuple[Callable[[Any], None], ...] = ()
_tells = False


def connect(settings: Settings, at_end: Callable[..., None]) -> None:
    """Send the spans that end from now on to where *settings* say."""
    global _takers
    disconnect()
    _takers = shipping.configure(of(settings), zipkin.is_precious, settings.span_queue, say, at_end)
    for take in _takers:
        finished.listen(take)


def tell_metrics() -> None:
    """Let siblings know how many spans wait here, so that they are counted if this is killed."""
    global _tells
    from obskit.metrics import workers

    if not _takers:
        return
    workers.current.keep_unsent()
    finished.listen(_settle, first=True)
    if not _tells and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_again)
    _tells = True


def _tell_again() -> None:
    if _takers:
        finished.listen(_settle, first=True)


def _settle(_: Any) -> None:
    """Find the place of this process's numbers before its first span waits."""
    from obskit.metrics import workers

    finished.unlisten(_settle)
    workers.current.settle_early()


def disconnect() -> None:
    """Send no further spans."""
    global _takers
    finished.unlisten(_settle)
    for take in _takers:
        finished.unlisten(take)
    _takers = ()


def of(settings: Settings) -> dict[str, shipping.Destination]:
    """Return where spans go, by name; what cannot be used is reported, and left out."""
    found: dict[str, shipping.Destination] = {}
    who = (settings.service, settings.version, settings.env)
    if settings.zipkin and settings.zipkin_exporter == "otel" and _is_there("otel-zipkin"):
        found["zipkin"] = Exporter(settings.zipkin, "zipkin", who)
    elif settings.zipkin:
        found["zipkin"] = shipping.Zipkin(
            settings.zipkin, zipkin.Encoder(*who, redaction.is_secret).encode
        )
    if settings.otlp and _is_there("otlp"):
        found["otlp"] = Exporter(settings.otlp, "otlp", who)
    return found


def _is_there(extra: str) -> bool:
    from obskit.traces import exporters

    if exporters.is_installed(exporters.OTLP if extra == "otlp" else exporters.ZIPKIN):
        return True
    why = f"it is not installed: pip install 'obskit[{extra}]'"
    health.internal_error(f"shipping.{extra}", ImportError(why))
    return False


class Exporter:
    """Deliver spans by one of OpenTelemetry's exporters.

    It is imported at once, with the SDK: at the end of a process it would be too late.
    """

    def __init__(self, url: str, kind: str, who: tuple[str, str, str]) -> None:
        from obskit.traces import exporters

        self.url = shipping.shown(url)
        self._convert = exporters.converter(exporters.resource(*who), redaction.is_secret)
        self._make: Callable[[], Any] = partial(getattr(exporters, kind), url)
        self._exporter: Any = self._make()

    def pack(self, item: Any) -> tuple[Any, int]:
        """Return *item*, which is converted when it is sent, and about how many bytes it takes."""
        return item, zipkin.weigh(item)

    def send(self, batch: Sequence[Any], seconds: float) -> Verdict:
        """Export *batch*; the exporter has a limit of its own, and does not say what went wrong."""
        if self._exporter is None:
            self._exporter = self._make()
        try:
            result = self._exporter.export([self._convert(span) for span in batch])
        except OSError as error:  # as those of requests are
            return verdict.of_error(error)
        if result.name == "SUCCESS":
            return verdict.ALL_TAKEN
        return Verdict(verdict.AGAIN, "the exporter failed", part=True)

    def forget(self) -> None:
        """Make another one, after a fork."""
        self._exporter = None

    def close(self) -> None:
        """Shut the exporter down."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.shutdown()


def say(message: str, fields: dict[str, Any]) -> None:
    """Write a line about the process, whoever's thread this is."""
    from obskit.logs import pipeline

    if pipeline.is_on() and pipeline.enabled(LOGGER, WARNING):
        contextvars.Context().run(pipeline.emit, WARNING, LOGGER, message, fields)


def spare_pools(*_: Any) -> None:
    """Handle no SIGTERM in a worker of a pool: no handler may run while it waits for work.

    `Pool.terminate` then waits for a worker that waits for ever, with any handler of Python's.
    """
    try:
        module = sys.modules.get("multiprocessing.process")
        process = module.current_process() if module else None
        target = getattr(process, "_target", None)
        # A child that is spawned for a pool imports it before it knows its target.
        is_spawned = hasattr(process, "_inheriting") and POOLS[0] in sys.modules
        if is_spawned or getattr(target, "__module__", "") in POOLS:
            endings.give_back()
    except Exception as error:
        health.internal_error("shipping.pools", error)


def end_with_celery(at_end: Callable[..., None]) -> Callable[[Any], None]:
    """See that a child of Celery's pool leaves its last words: it ends by `os._exit`."""

    def last_words(**_: Any) -> None:
        try:
            at_end()
        except Exception as error:
            health.internal_error("shipping.celery", error)

    def prepare(signals: Any) -> None:
        signals.worker_process_shutdown.connect(
            last_words, weak=False, dispatch_uid="obskit.shutdown"
        )

    return prepare
