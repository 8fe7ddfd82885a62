"""Introduce the rooms to each other: the only place that knows them all.

A room that fails is named in the status and in one line; the service runs on without it.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from obskit import health, observation, propagation
from obskit import settings as settings_
from obskit.settings import Settings

_lock = threading.RLock()
_active: Settings | None = None
_arguments: dict[str, Any] = {}
_process = "service"
_rooms: dict[str, str] = {}
_at_exit = False


def init(service: str | None = None, **settings: Any) -> None:
    """Switch obskit on for this process.

    Use it once, as early as possible; under ``obskit run`` it has been called already. A
    further call with the same arguments does nothing, one with others puts these in force.
    A value that is not allowed is reported in one line and its default used: a wrong setting
    never keeps a service from starting.

    Args:
        service: Name of this service.
        settings: Any setting by its name in lower case, as in ``log_level="DEBUG"``. The
            environment variable ``OBSKIT_<NAME>`` wins over the argument.
    """
    with _lock:
        arguments = _arguments | {"service": service} | settings
        _put_in_force(settings_.resolve(arguments), "service")
        _arguments.update(arguments)


def autostart() -> None:
    """Switch obskit on in a program started by ``obskit run``, or in a child of it.

    Where a parent reads the output of this process, no byte of it changes.
    """
    with _lock:
        process = _kind_of_process()
        settings = settings_.resolve()
        stream = _own_stream(settings.log_stream) if settings.enabled else settings.log_stream
        if stream is None:
            _put_in_force(settings, "captured")
        else:
            _put_in_force(dataclasses.replace(settings, log_stream=stream), process)


def _kind_of_process() -> str:
    """Tell a service from the helpers that multiprocessing starts."""
    code = " ".join(sys.orig_argv[1:])
    helper = (
        "from multiprocessing.resource_tracker" in code or "from multiprocessing.forkserver" in code
    )
    return "helper" if helper else "service"


def _own_stream(wanted: str) -> str | None:
    """Return where lines may go without being read as a child's answer; None for nowhere."""
    own = settings_.launch().streams
    if not own or (wanted not in ("stdout", "stderr") and not wanted.startswith("fd:")):
        return wanted
    if settings_.stream_name(2) not in own:
        return None
    descriptor = {"stdout": 1, "stderr": 2}.get(wanted) or int(wanted[3:])
    return wanted if settings_.stream_name(descriptor) in own else "stderr"


def _put_in_force(settings: Settings, process: str) -> None:
    global _active, _process
    before = _active
    if before is not None and _values(before) == _values(settings):
        return
    _active, _process = settings, process
    if not settings.enabled:
        if before is not None and before.enabled:
            _let_go()
        return
    _enter_rooms(settings, process, first=before is None or not before.enabled)


def _values(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings_.FIELDS}


def _enter_rooms(settings: Settings, process: str, *, first: bool) -> None:
    speaking = process != "captured"
    _contained("propagation", _propagation, settings)
    if speaking:
        _contained("logs", _logs, settings)
    _contained("observers", _observers, settings, speaking)
    _contained("instrumentation", _instrumentation, settings)
    if speaking:
        _contained("capture", _capture, settings)
    if process == "service":
        _contained("metrics", _metrics, settings)
    if first:
        _leave_well()
    if process == "service":
        _contained("start line", _say_hello, settings, first)


def _contained(room: str, enter: Callable[..., None], *arguments: Any) -> None:
    try:
        enter(*arguments)
        _rooms[room] = "on"
    except Exception as error:
        _rooms[room] = f"failed: {type(error).__name__}: {error}"
        health.internal_error(f"bootstrap.{room}", error)
        if _rooms.get("logs") != "on":
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
            boundary=propagation.Boundary(settings.internal_hosts),
        )
    )


def _logs(settings: Settings) -> None:
    from obskit import logs

    logs.configure(settings)
    if _rooms.get("logs") != "on":
        health.on_first_error(_report)


def _report(where: str, text: str) -> None:
    from obskit import logs

    logs.get_logger("obskit").error("obskit contained an error of its own", where=where, error=text)


def _observers(settings: Settings, speaking: bool) -> None:
    """Let metrics hear a start first and an end last; the summary line comes before both.

    So the line is out before anything slower happens, and the span's ID is known to all.
    """
    observers = dict(_observers_that_work(settings, speaking))
    observation.configure(observers.items())


def _observers_that_work(settings: Settings, speaking: bool) -> Iterator[tuple[str, Any]]:
    for room, make in (("metrics", _red), ("traces", _recorder), ("summary", _summary)):
        if room == "summary" and not (speaking and settings.request_log):
            continue
        try:
            yield room, make(settings)
            _rooms[f"observer {room}"] = "on"
        except Exception as error:
            _rooms[f"observer {room}"] = f"failed: {type(error).__name__}: {error}"
            health.internal_error(f"bootstrap.{room}", error)


def _red(settings: Settings) -> Any:
    from obskit import metrics
    from obskit.metrics.red import Red

    metrics.configure(settings)
    return Red()


def _recorder(settings: Settings) -> Any:
    from obskit import traces
    from obskit.traces.recorder import Recorder

    traces.configure(settings)
    return Recorder()


def _summary(settings: Settings) -> Any:
    from obskit.logs.summary import Summary

    return Summary()


def _instrumentation(settings: Settings) -> None:
    from obskit import instrumentation

    instrumentation.arm(settings)


def _capture(settings: Settings) -> None:
    from obskit import instrumentation
    from obskit.logs import capture

    capture.configure(settings, settings_.launch().streams)
    for hook in capture.HOOKS:
        instrumentation.hook(hook.module, hook.path, hook.wrapper)
    for module, prepare in (*capture.ON_IMPORT, ("multiprocessing.util", _end_with_children)):
        instrumentation.when_imported(module, prepare)


def _metrics(settings: Settings) -> None:
    from obskit import metrics

    metrics.serve(settings)


def _say_hello(settings: Settings, first: bool) -> None:
    from obskit import logs
    from obskit.fields import SCHEMA

    logger = logs.get_logger("obskit")
    if first:
        logger.info("process started", schema=SCHEMA, **_facts(settings))
    else:
        logger.info("settings changed", **_facts(settings))
    for problem in settings.problems:
        logger.warning("setting not understood", problem=problem)


def _facts(settings: Settings) -> dict[str, Any]:
    from obskit import __version__

    facts: dict[str, Any] = {
        "obskit": __version__,
        "python": sys.version.partition(" ")[0],
        "program": " ".join(sys.orig_argv)[:200],
    }
    failed = [room for room, state in _rooms.items() if state != "on"]
    return facts | {"failed": failed} if failed else facts


def _leave_well() -> None:
    global _at_exit
    if not _at_exit:
        _at_exit = True
        atexit.register(shutdown)


def _end_with_children(util: Any) -> None:
    """See that a process of multiprocessing leaves its last words: it runs no atexit."""
    util.register_after_fork(shutdown, lambda _: util.Finalize(None, shutdown, exitpriority=-100))


def shutdown(timeout: float = 5.0) -> None:
    """Write out and send what is kept; lines that come later are still written.

    It is called at exit; call it where a process ends without one (`os._exit`).

    Args:
        timeout: Most seconds to wait, for all rooms together.
    """
    with _lock:
        settings = _active
        if settings is None or not settings.enabled:
            return
        deadline = monotonic() + timeout
        for room, close in (("capture", _close_capture), ("logs", _close_logs)):
            if _rooms.get(room) == "on":
                _closed(room, close, max(0.0, deadline - monotonic()))


def _closed(room: str, close: Callable[[float], None], timeout: float) -> None:
    try:
        close(timeout)
    except Exception as error:
        health.internal_error(f"shutdown.{room}", error)


def _close_capture(timeout: float) -> None:
    from obskit.logs import capture

    capture.flush()


def _close_logs(timeout: float) -> None:
    from obskit import logs

    logs.shutdown(timeout)


def undo() -> None:
    """Give the process back as it was found; for tests and for the kill switch."""
    global _active
    with _lock:
        if _active is not None and _active.enabled:
            shutdown()
            _let_go()
        _active = None
        _arguments.clear()


def _let_go() -> None:
    observation.configure(())
    for room, leave in (
        ("capture", _undo_capture), ("logs", _undo_logs),
        ("instrumentation", _undo_instrumentation), ("metrics", _undo_metrics),
    ):  # fmt: skip
        if room in _rooms:
            _closed(room, leave, 0.0)
    _rooms.clear()


def _undo_capture(timeout: float) -> None:
    from obskit.logs import capture

    capture.undo()


def _undo_logs(timeout: float) -> None:
    from obskit import logs

    logs.undo()


def _undo_instrumentation(timeout: float) -> None:
    from obskit import instrumentation

    instrumentation.uninstrument()


def _undo_metrics(timeout: float) -> None:
    from obskit import metrics

    metrics.shutdown()


def active() -> Settings | None:
    """Return the settings in force, or None before `init`."""
    return _active


def instrument(*names: str) -> None:
    """Observe the named libraries, or all that are known.

    Use it where ``OBSKIT_INSTRUMENT`` left one out, or after `uninstrument`. It does
    nothing while the kill switch (``OBSKIT_ENABLED=0``) is on.

    Args:
        names: Names as `status` lists them.

    Raises:
        UnknownInstrumentation: A name is in no catalog.
    """
    if _active is not None and not _active.enabled:
        return
    from obskit import instrumentation

    instrumentation.instrument(*names)


def uninstrument(*names: str) -> None:
    """Stop observing the named libraries, or all; their hooks stay, and pass through.

    Raises:
        UnknownInstrumentation: A name is in no catalog.
    """
    if _active is not None and not _active.enabled:
        return
    from obskit import instrumentation

    instrumentation.uninstrument(*names)


def status() -> dict[str, Any]:
    """Say what works in this process, what does not, and why.

    Use it in a shell or a support endpoint of your own. All values can be written as JSON;
    names and values of settings are in it, keep it from strangers.
    """
    settings = _active
    report: dict[str, Any] = {
        "enabled": settings is not None and settings.enabled,
        "process": _process,
        "pid": os.getpid(),
        "rooms": dict(_rooms),
        "internal_errors": dict(health.internal_errors),
        "last_errors": dict(health.last_errors),
        "lost": {"/".join(key): count for key, count in health.lost.items()},
    }
    if settings is not None:
        report["settings"] = _values(settings)
        report["sources"] = dict(settings.sources)
        report["problems"] = list(settings.problems)
    if _rooms.get("instrumentation") == "on":
        from obskit import instrumentation

        report["instrumentation"] = instrumentation.status()
    return report
