"""Threads and timers belong to the operation that started them."""

from __future__ import annotations

from obskit import clock, context
from obskit.instrumentation._drive import Call, wraps

# Whoever happens to need the first of these workers has nothing to do with their later jobs.
SHARED = frozenset(
    {
        "concurrent.futures.thread",
        "multiprocessing.pool",
        "multiprocessing.queues",
        "logging.handlers",
    }
)


@wraps("threading", "Thread.start")
def start(call: Call) -> None:
    """Keep where the thread comes from."""
    here, thread = context.get(), call.instance
    target = getattr(thread, "_target", None)
    if here is not None and getattr(target, "__module__", None) not in SHARED:
        thread._obskit_origin = (here, clock.current())


@wraps("threading", "Thread._bootstrap_inner")
def run(call: Call) -> None:
    """Go on there, in whatever `run` a subclass has; with the thread its context ends."""
    origin = vars(call.instance).pop("_obskit_origin", None)
    if origin is not None:
        context.attach(origin[0])
        clock.attach(origin[1])
