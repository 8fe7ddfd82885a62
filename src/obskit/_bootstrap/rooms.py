"""Enter the rooms in their order, and leave them: what fails is named, and the rest goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from time import monotonic
from typing import Any

from obskit import clock, health, observation, propagation
from obskit import settings as settings_
from obskit.propagation.inbound import Boundary
from obskit.settings import Settings

states: dict[str, str] = {}
"""What has become of each room: ``on``, or ``failed`` with the reason."""

problems: dict[str, list[str]] = {}
"""What a room does not understand of its settings; it goes on without."""

listeners: list[tuple[str, Any]] = []
"""Further observers with their names, such as the one that ``obskit doctor`` counts with."""


def enter(settings: Settings, process: str, *, first: bool, at_end: Callable[[], None]) -> None:
    """Put *settings* in force in all rooms that a process of this kind uses."""
    speaking = process != "captured"
    _contained("propagation", _propagation, settings)
    if speaking:
        _contained("logs", _logs, settings)
    _contained("observers", _observers, settings, speaking)
    _contained("instrumentation", _instrumentation, settings, at_end)
    _contained("traces", _traces)
    sends = settings.zipkin or settings.otlp or settings.ship
    if process != "helper" and (sends or "shipping" in states):
        _contained("shipping", _shipping, settings, at_end)
    if speaking:
        _contained("capture", _capture, settings)
    if process == "service":
        _contained("metrics", _metrics, settings)
        _contained("start line", _say_hello, settings, first)


def _before_fork() -> None:
    try:
        from obskit._bootstrap import forks

        forks.finish(list(states))
    except Exception as error:
        health.internal_error("bootstrap.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)


def _contained(room: str, enter: Callable[..., None], *arguments: Any) -> None:
    try:
        enter(*arguments)
        states[room] = "on"
    except Exception as error:
        states[room] = f"failed: {type(error).__name__}: {error}"
        health.internal_error(f"bootstrap.{room}", error)
        if states.get("logs") != "on":
            _say_plainly(f"obskit: {room} is off: {type(error).__name__}: {error}")


def _say_plainly(text: str) -> None:
    """Write to stderr where there is no log to write to."""
    try:
        sys.stderr.write(text + "\n")
    except Exception as error:
        health.internal_error("bootstrap.stderr", error)


def _propagation(settings: Settings) -> None:
    propagation.configure(
        propagation.Policy(
            service=settings.service,
            trust=settings.trust,  # type: ignore[arg-type]
            propagate=frozenset(settings.propagate),
            correlation_header=settings.correlation_header,
            ratio=settings.trace_ratio,
            boundary=Boundary(settings.internal_hosts),
        )
    )


def _logs(settings: Settings) -> None:
    from obskit import logs

    logs.configure(settings)
    clock.join_line = _write_what_was_heard
    if states.get("logs") != "on":
        health.on_first_error(_report)
        for where, text in list(health.last_errors.items()):  # from before there was a log
            _report(where, text)


def _write_what_was_heard() -> None:
    """Write a line that points to more answers than one message can; no level keeps it away."""
    from obskit.logs import pipeline

    pipeline.emit(20, "obskit", "several answers heard", {})


def _report(where: str, text: str) -> None:
    from obskit import logs

    logs.get_logger("obskit").error(
        "obskit contained an error of its own", obskit_where=where, obskit_error=text
    )


def _observers(settings: Settings, speaking: bool) -> None:
    """Let metrics hear a start first and an end last; the summary line comes before both.

    So the line is out before anything slower happens, and the span's ID is known to all. What
    was held back of a unit of work is written before its summary.
    """
    observers = dict(_observers_that_work(settings, speaking))
    observation.configure([*observers.items(), *listeners])


def _observers_that_work(settings: Settings, speaking: bool) -> Iterator[tuple[str, Any]]:
    for room, make in (
        ("metrics", _red), ("traces", _recorder), ("summary", _summary), ("rings", _rings)
    ):  # fmt: skip
        if room == "summary" and not (speaking and settings.request_log):
            continue
        if room == "rings" and not (speaking and settings.debug_ring):
            continue
        try:
            yield room, make(settings)
            states[f"observer {room}"] = "on"
        except Exception as error:
            states[f"observer {room}"] = f"failed: {type(error).__name__}: {error}"
            health.internal_error(f"bootstrap.{room}", error)


def _red(settings: Settings) -> Any:
    from obskit import metrics
    from obskit.metrics.red import Red

    metrics.configure(settings)
    if states.get("logs") == "on":
        from obskit.logs import pipeline
        from obskit.metrics import runtime

        pipeline.on_error = _count_error
        runtime.ask("storm", _tell_of_storms if settings.storm else None)
    return Red()


def _count_error(here: Any, kind: str, fingerprint: str) -> None:
    from obskit.metrics import errors

    errors.count(here, kind, fingerprint)


def _tell_of_storms() -> tuple[()]:
    """Say at a scrape what was suppressed, since a service that is silent has no other moment."""
    from obskit.logs import storm

    storm.tell()
    return ()


def _recorder(settings: Settings) -> Any:
    from obskit import traces
    from obskit.traces.recorder import Recorder

    traces.configure(settings)
    return Recorder()


def _summary(settings: Settings) -> Any:
    from obskit.logs.summary import Summary

    return Summary()


def _rings(settings: Settings) -> Any:
    from obskit.logs.held import Rings

    return Rings()


def _instrumentation(settings: Settings, at_end: Callable[[], None]) -> None:
    from obskit import instrumentation

    instrumentation.arm(settings)
    problems["instrumentation"] = instrumentation.problems(settings)
    instrumentation.when_imported("multiprocessing.util", _end_with_children(at_end))
    if states.get("observer metrics") == "on":
        from obskit import metrics

        for module, prepare in metrics.ON_IMPORT:
            instrumentation.when_imported(module, prepare)


def _traces() -> None:
    """Join OpenTelemetry, if and when the application has it."""
    from obskit import instrumentation, traces

    for module, prepare in traces.ON_IMPORT:
        instrumentation.when_imported(module, prepare)
    instrumentation.when_provided(traces.offer)


def _shipping(settings: Settings, at_end: Callable[..., None]) -> None:
    """Send spans to the servers of the settings; without one nothing of it is imported."""
    from obskit import instrumentation
    from obskit._bootstrap import destinations

    destinations.connect(settings, at_end)
    if states.get("observer metrics") == "on":
        destinations.tell_metrics()
    if settings.ship or "obskit._bootstrap.lines" in sys.modules:
        from obskit._bootstrap import lines

        lines.connect(settings)
        problems["shipping"] = lines.problems
        if states.get("observer metrics") == "on":
            lines.tell_metrics()
    instrumentation.when_imported("celery.signals", destinations.end_with_celery(at_end))
    destinations.spare_pools()
    instrumentation.when_imported("multiprocessing.util", _spare_pools)
    instrumentation.when_imported("multiprocessing.pool", destinations.spare_pools)


def _spare_pools(util: Any) -> None:
    from obskit._bootstrap import destinations

    util.register_after_fork(destinations.spare_pools, destinations.spare_pools)


def _capture(settings: Settings) -> None:
    from obskit import instrumentation, logs
    from obskit.logs import capture

    for module, adopt in logs.ON_IMPORT:
        instrumentation.when_imported(module, adopt)
    capture.configure(settings, settings_.launch().streams)
    for hook in capture.HOOKS:
        instrumentation.hook(hook.module, hook.path, hook.wrapper)
    for module, prepare in capture.ON_IMPORT:
        instrumentation.when_imported(module, prepare)


def _metrics(settings: Settings) -> None:
    from obskit import metrics

    metrics.serve(settings)


def _say_hello(settings: Settings, first: bool) -> None:
    from obskit import logs

    logger = logs.get_logger("obskit")
    logger.info("process started" if first else "settings changed", **_facts())
    for problem in all_problems(settings):
        logger.warning("setting not understood", obskit_problem=problem)


def all_problems(settings: Settings) -> list[str]:
    """Return what is not understood of *settings*, by themselves and by the rooms."""
    return [*settings.problems, *(one for found in problems.values() for one in found)]


def _facts() -> dict[str, Any]:
    from obskit.fields import SCHEMA, VERSION

    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "obskit_version": VERSION,
        "python_version": sys.version.partition(" ")[0],
    }
    failed = [room for room, state in states.items() if state != "on"]
    return facts | {"obskit_failed": failed} if failed else facts


def _end_with_children(at_end: Callable[[], None]) -> Callable[[Any], None]:
    """See that a process of multiprocessing leaves its last words: it runs no atexit."""

    def prepare(util: Any) -> None:
        util.register_after_fork(at_end, lambda _: util.Finalize(None, at_end, exitpriority=-100))

    return prepare


def flush(timeout: float) -> None:
    """Write out what is kept, within *timeout* seconds for all rooms together."""
    deadline = monotonic() + timeout
    if states.get("capture") == "on":
        _leave_by("obskit.logs.capture", "flush")
    if states.get("shipping") == "on":
        _leave_by("obskit.shipping", "flush", timeout)
    if states.get("logs") == "on":
        _leave_by("obskit.logs", "shutdown", max(0.0, deadline - monotonic()))


def give_up() -> None:
    """Let the rooms say what they have not got rid of."""
    if states.get("logs") == "on":
        _leave_by("obskit.logs", "give_up")


def leave() -> None:
    """Leave all rooms and give the process back as it was found."""
    observation.configure(())
    clock.join_line = None
    for room, module, door in (
        ("capture", "obskit.logs.capture", "undo"),
        ("logs", "obskit.logs", "undo"),
        ("instrumentation", "obskit.instrumentation", "uninstrument"),
        ("traces", "obskit.traces", "undo"),
        ("shipping", "obskit.shipping", "undo"),
        ("metrics", "obskit.metrics", "shutdown"),
    ):
        if room in states:
            _leave_by(module, door)
    states.clear()


def _leave_by(module: str, door: str, *arguments: Any) -> None:
    try:
        getattr(import_module(module), door)(*arguments)
    except Exception as error:
        health.internal_error(f"{module}.{door}", error)
