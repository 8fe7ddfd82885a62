"""Make the metrics that the dictionary lists, once for the process, when they are needed."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from obskit import fields, health
from obskit.metrics.values import Value

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

log = logging.getLogger("obskit.metrics")

LISTED = {metric.name: metric for metric in fields.METRICS}

_lock = threading.RLock()
_made: dict[str, Any] = {}
_loaded = False
_on_load: list[Callable[[], None]] = []


def adopt(client: ModuleType | None = None) -> None:
    """Let prometheus_client keep its numbers where all workers of a service can be added up.

    It is called when the application imports prometheus_client, and before our own first
    metric. A value class that the user has chosen (``PROMETHEUS_MULTIPROC_DIR``) stays.
    """
    from prometheus_client import REGISTRY, values

    if values.ValueClass is not values.MutexValue:
        return
    values.ValueClass = Value
    for collector in collectors(REGISTRY):
        for child in _children(collector):
            try:
                _renew(child)
            except Exception as error:
                health.internal_error("metrics.adopt", error)


def adopt_if_imported() -> None:
    """Adopt prometheus_client where the application has imported it already."""
    if "prometheus_client" in sys.modules:
        adopt()


def on_load(function: Callable[[], None]) -> None:
    """Call *function* once, when prometheus_client is first needed."""
    if function not in _on_load:
        _on_load.append(function)


def load() -> None:
    """Import prometheus_client and do what waits for it."""
    global _loaded
    if _loaded:
        return
    with _lock:
        adopt()
        _loaded = True
        for function in _on_load:
            try:
                function()
            except Exception as error:
                health.internal_error("metrics.load", error)


def is_loaded() -> bool:
    """Tell whether prometheus_client has been needed."""
    return _loaded


def is_adopted() -> bool:
    """Tell whether numbers are kept by us, not by a value class that the user has chosen."""
    from prometheus_client import values

    return values.ValueClass is Value


def collectors(registry: Any) -> list[Any]:
    """Return what is registered in *registry*."""
    with registry._lock:
        return list(registry._collector_to_names)


def _children(collector: Any) -> Iterator[Any]:
    from prometheus_client.metrics import MetricWrapperBase

    if isinstance(collector, MetricWrapperBase):
        yield from list(getattr(collector, "_metrics", {}).values()) or [collector]


def _renew(child: MetricWrapperBase) -> None:
    """Give *child* new values with the numbers of its old ones."""
    old = _values_of(child)
    if not old:
        return
    created = getattr(child, "_created", None)
    child._metric_init()  # type: ignore[no-untyped-call]
    for before, after in zip(old, _values_of(child), strict=True):
        after.inc(before.get())
        after.set_exemplar(before.get_exemplar())
    if created is not None:
        child._created = created  # type: ignore[attr-defined]


def _values_of(child: Any) -> list[Any]:
    from prometheus_client.values import MutexValue

    known = [getattr(child, name, None) for name in ("_value", "_count", "_sum")]
    known += getattr(child, "_buckets", [])
    return [value for value in known if isinstance(value, MutexValue | Value)]


def is_shown(value: Value) -> bool:
    """Tell whether *value* belongs to a metric that is registered where expositions look.

    Metrics of registries that the user has made for himself stay as private as they were.
    """
    from prometheus_client import REGISTRY

    collector: Any = REGISTRY._names_to_collectors.get(value.identity.metric)
    children = getattr(collector, "_metrics", {})
    # The values of a bucket have one label more than their child: its upper bound.
    own = value.identity.label_values[: len(getattr(collector, "_labelnames", ()))]
    child = children.get(own) if children else collector
    return any(known is value for known in _values_of(child))


def metric(name: str) -> Any:
    """Return the metric called *name*, made from the dictionary when it is first asked for.

    Where a collector of that name and form is registered already, it is used. Where the
    name is taken by another kind of metric, ours is kept but not shown, which is reported.
    """
    found = _made.get(name)
    return found if found is not None else _make(name)


def _make(name: str) -> Any:
    from prometheus_client import REGISTRY

    with _lock:
        if name in _made:
            return _made[name]
        load()
        listed = LISTED[name]
        try:
            made = _new(listed, REGISTRY)
        except ValueError as error:
            made = _registered(listed)
            if made is None:
                health.internal_error(f"metrics.name.{name}", error)
                made = _new(listed, None)
        _made[name] = made
        return made


def _new(listed: fields.Metric, registry: Any) -> Any:
    from prometheus_client import Counter, Gauge, Histogram

    if listed.kind == "counter":
        return Counter(listed.name, listed.meaning, listed.labels, registry=registry)
    if listed.kind == "gauge":
        return Gauge(
            listed.name, listed.meaning, listed.labels, registry=registry,
            multiprocess_mode=listed.across,
        )  # fmt: skip
    return Histogram(
        listed.name, listed.meaning, listed.labels, registry=registry, buckets=listed.buckets
    )


def _registered(listed: fields.Metric) -> Any:
    """Return the registered collector of that name, if it has the same form."""
    from prometheus_client import REGISTRY

    found: Any = REGISTRY._names_to_collectors.get(listed.name)
    same = (
        getattr(found, "_type", "") == listed.kind
        and tuple(getattr(found, "_labelnames", ())) == listed.labels
    )
    return found if same else None


def before_fork(longest_wait: float) -> bool:
    """Wait until no other thread is making a metric; tell whether that came true."""
    return _lock.acquire(timeout=longest_wait)


def parent_after_fork() -> None:
    """Let the other threads go on."""
    _lock.release()


def child_after_fork() -> None:
    """Replace the lock, whose holder may not exist in this process."""
    global _lock
    _lock = threading.RLock()


def creating() -> AbstractContextManager[object]:
    """Return the lock under which metrics and their children are made."""
    return _lock
