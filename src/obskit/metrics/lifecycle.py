"""Begin and end the metrics of this process, and take them through forks."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from time import perf_counter_ns
from typing import Any

from obskit import health, settings
from obskit.metrics import budget, catalogue, family, runtime, values, workers
from obskit.metrics.server import Server
from obskit.settings import Settings

LONGEST_WAIT = 1.0
# Whose locks are held while the process forks.
LOCKED = (catalogue, values)

server = Server()
# When this process was forked, on the clock of observations; what began earlier is its parent's.
born_ns = 0
_hooked = False
# Locks and slot that a fork needs; each thread its own, as several may fork at the same time.
_held = threading.local()


def configure(chosen: Settings) -> None:
    """Prepare the metrics of this process; nothing is opened or imported yet."""
    budget.set_budget(chosen.series_budget)
    runtime.configure(chosen)
    workers.current.join(chosen.service, settings.inherited_family())
    if workers.current.family is not None:
        settings.bequeath_family(workers.current.family.name)
    catalogue.adopt_if_imported()
    _hook_forks()
    atexit.unregister(_tidy_up)
    atexit.register(_tidy_up)


def serve(chosen: Settings) -> None:
    """Serve the metrics on their own port, or wait for our turn to; idempotent.

    It is opened when the program has started. One that is taken then is left to whoever has
    it, which is said in one line, and tried again; it never harms the service.
    """
    if chosen.metrics_port is None:
        server.stop()
        workers.current.settle_early()
        return
    server.configure(chosen.metrics_host, chosen.metrics_port, workers.current.family)
    server.begin()


def shutdown() -> None:
    """Stop serving, give the port to a sibling, and count in memory from now on."""
    server.stop()
    workers.current.leave()
    settings.bequeath_family(None)


def _tidy_up() -> None:
    """Take the folder away with the head of the family, unless somebody is left."""
    current = workers.current.family
    if current is None or _is_interrupted_without_files():
        return
    if family.owner(current.name) in (None, os.getpid()):
        shutdown()
    current.wipe_strangers()


def _is_interrupted_without_files() -> bool:
    """Tell whether tidying up would change how an interrupted program ends.

    Python forgets that it was interrupted, and with it the exit code, when code is evaluated
    from text; tempfile's own imports do that. Who has not imported it has made no folder.
    """
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    return interrupted and "tempfile" not in sys.modules


def status() -> dict[str, Any]:
    """Say how the metrics of this process are kept and served, for people."""
    current = workers.current
    return {
        "mode": _mode(),
        "slot": None if current.slot is None else current.slot.number,
        "folder": None if current.family is None else str(current.family.folder),
        "address": server.address,
        "trouble": [trouble for trouble in (current.trouble, server.trouble) if trouble],
    }


def _mode() -> str:
    if catalogue.is_loaded() and not catalogue.is_adopted():
        return "prometheus_client's own: no exemplars with several processes"
    return "single" if workers.current.slot is None else "prefork"


def _hook_forks() -> None:
    global _hooked
    if _hooked or not family.SUPPORTED:
        return
    _hooked = True
    os.register_at_fork(
        before=_before_fork, after_in_parent=_parent_after_fork, after_in_child=_child_after_fork
    )


def _before_fork() -> None:
    """Bring our threads and locks to rest, so that the child inherits none that is taken."""
    held: list[Any] = []
    _held.modules, _held.slot = held, None
    try:
        server.rest(LONGEST_WAIT)
        held.extend(module for module in LOCKED if module.before_fork(LONGEST_WAIT))
        if len(held) == len(LOCKED):  # so no other thread's child can inherit it
            _held.slot = workers.current.slot_for_child()
    except Exception as error:
        health.internal_error("metrics.fork", error)


def _parent_after_fork() -> None:
    try:
        if _held.slot is not None:
            _held.slot[1].close()
        for module in _held.modules:
            module.parent_after_fork()
        if server.address is None:
            workers.current.parent_after_fork()
        server.parent_after_fork()
    except Exception as error:
        health.internal_error("metrics.fork", error)


def _child_after_fork() -> None:
    global born_ns
    born_ns = perf_counter_ns()
    try:
        catalogue.child_after_fork()
        values.child_after_fork()
        server.child_after_fork()
        workers.current.child_after_fork(_held.slot)
        runtime.child_after_fork()
    except Exception as error:
        health.internal_error("metrics.fork", error)
