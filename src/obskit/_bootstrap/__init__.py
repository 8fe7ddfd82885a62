"""Introduce the rooms to each other: the only place that knows them all.

A room that fails is named in the status and in one line; the service runs on without it.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from obskit import health
from obskit import settings as settings_
from obskit._bootstrap import rooms
from obskit.settings import Settings

if TYPE_CHECKING:
    from obskit._bootstrap import process

__all__ = [
    "active",
    "autostart",
    "init",
    "instrument",
    "shutdown",
    "status",
    "undo",
    "uninstrument",
]

_lock = threading.RLock()
_active: Settings | None = None
_arguments: dict[str, Any] = {}
_process: process.Kind = "service"
_at_exit = False


def init(service: str | None = None, **settings: Any) -> None:
    """Switch obskit on for this process.

    Use it once, as early as possible; under ``obskit run`` it has been called already. A
    further call with the same arguments does nothing, one with others puts these in force.
    A value that is not allowed is reported in one line and its default used: a wrong setting
    never keeps a service from starting.

    Args:
        service: Name of this service; None leaves the one that a call before has given.
        settings: Any setting by its name in lower case, as in ``log_level="DEBUG"``. The
            environment variable ``OBSKIT_<NAME>`` wins over the argument.
    """
    with _lock:
        named = {} if service is None else {"service": service}
        arguments = _arguments | named | settings
        _put_in_force(settings_.resolve(arguments), "service")
        _arguments.update(arguments)


def autostart() -> None:
    """Switch obskit on in a program started by ``obskit run``, or in a child of it.

    Where a parent reads the output of this process, no byte of it changes.
    """
    from obskit._bootstrap import process

    with _lock:
        settings = settings_.resolve()
        stream = process.own_stream(settings.log_stream)
        if stream is None:
            _put_in_force(settings, "captured")
        else:
            _put_in_force(settings.but(log_stream=stream), process.kind())
        if _process == "helper" and settings.enabled:
            from obskit import instrumentation

            instrumentation.when_imported("multiprocessing.util", _serve_when_forked)


def _serve_when_forked(util: Any) -> None:
    """See that what a helper of multiprocessing forks, to run the user's code, is a service."""
    util.register_after_fork(_become_service, lambda become: become())


def _become_service() -> None:
    if _process == "helper" and _active is not None:
        _put_in_force(_active, "service")


def _put_in_force(settings: Settings, kind: process.Kind) -> None:
    global _active, _process
    before = _active
    if before is not None and kind == _process and values(before) == values(settings):
        return
    observed = before is not None and before.enabled and _process == "service"
    _active, _process = settings, kind
    if settings.enabled:
        rooms.enter(settings, kind, first=not observed, at_end=end)
        _leave_well()
    elif rooms.states:
        rooms.leave()


def values(settings: Settings) -> dict[str, Any]:
    """Return names and values of *settings*."""
    return {name: getattr(settings, name) for name in settings_.FIELDS}


def _leave_well() -> None:
    global _at_exit
    if not _at_exit:
        _at_exit = True
        atexit.register(end)


def shutdown(timeout: float = 5.0) -> None:
    """Write out and send what is kept; lines that come later are still written.

    It is called at exit; call it where a process ends without one (`os._exit`).

    Args:
        timeout: Most seconds to wait, for all rooms together.
    """
    if _active is not None and _active.enabled:
        rooms.flush(timeout)


def end(timeout: float = 5.0) -> None:
    """Do the same where the process is about to end: what is still kept then is counted as lost.

    Args:
        timeout: Most seconds to wait, for all rooms together; 0 to write and send nothing.
    """
    if timeout > 0:
        shutdown(timeout)
    if _active is not None and _active.enabled:
        rooms.give_up()


def undo() -> None:
    """Give the process back as it was found; for tests."""
    global _active
    with _lock:
        if _active is not None and _active.enabled:
            shutdown()
            rooms.leave()
        _active = None
        _arguments.clear()


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
        "rooms": dict(rooms.states),
        "internal_errors": dict(health.internal_errors),
        "last_errors": dict(health.last_errors),
        "lost": {"/".join(key): count for key, count in health.lost.items()},
    }
    if settings is not None:
        report["settings"] = {k: settings_.shown(v) for k, v in values(settings).items()}
        report["sources"] = dict(settings.sources)
        report["problems"] = rooms.all_problems(settings)
    if rooms.states.get("shipping") == "on":
        from obskit import shipping

        report["spans"] = shipping.status()
        report["lines"] = shipping.lines()
    if rooms.states.get("instrumentation") == "on":
        from dataclasses import asdict

        from obskit import instrumentation

        report["instrumentation"] = [asdict(row) for row in instrumentation.status()]
    return report
