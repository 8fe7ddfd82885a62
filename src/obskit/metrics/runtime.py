"""Show what obskit is, what it has lost or got wrong, and how its worker processes do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from obskit import health
from obskit.fields import VERSION
from obskit.metrics import catalogue, values
from obskit.metrics.budget import counts
from obskit.settings import Settings

_COUNTERS = {
    "internal_errors": "obskit_internal_errors_total",
    "lost": "obskit_lost_total",
}
_shown: dict[tuple[str, tuple[str, ...]], int] = {}
_build: dict[str, str] = {}

Told = tuple[str, tuple[str, ...], float]
"""A value: the name of its metric, its labels, and what it is."""

_sources: dict[str, Callable[[], Iterable[Told]]] = {}


def configure(settings: Settings) -> None:
    """Describe this build and count what the health module counts."""
    _build.update(
        version=VERSION,
        service=settings.service,
        service_version=settings.version,
        env=settings.env,
        python=sys.version.partition(" ")[0],
    )
    health.on_count(_hear)
    catalogue.on_load(_load)
    if catalogue.is_loaded():
        _load()


def _load() -> None:
    from prometheus_client import REGISTRY

    _count_all()
    known = {type(one) for one in catalogue.collectors(REGISTRY)}
    for kind in (BuildInfo, Others):
        if kind not in known:
            REGISTRY.register(kind())


def ask(name: str, source: Callable[[], Iterable[Told]] | None) -> None:
    """Ask *source* for values at each scrape; None for nobody any more.

    Args:
        name: Who that is: a later one of the same name takes its place.
        source: Returns the values of metrics that are listed.
    """
    if source is None:
        _sources.pop(name, None)
    else:
        _sources[name] = source


def _hear(what: str, key: tuple[str, ...], _: int) -> None:
    """Count at once, if there are metrics by now; if not, what is asked for them counts it later.

    What sends spans may be a process that counts nothing else, and ends before it is asked. No
    lock is held where spans are lost, so that an import may wait for other threads.
    """
    if key[0] == "spans" and _is_asked_elsewhere():
        catalogue.load()
    if catalogue.is_loaded():
        _count(what, key, _totals(what)[key])


def _is_asked_elsewhere() -> bool:
    home = values.home()
    return home.shared or isinstance(home, values.Unsettled)


def _totals(what: str) -> dict[tuple[str, ...], int]:
    if what == "lost":
        return dict(list(health.lost.items()))
    return {(where,): total for where, total in list(health.internal_errors.items())}


def _count_all() -> None:
    for what in _COUNTERS:
        for key, total in _totals(what).items():
            _count(what, key, total)


def _count(what: str, key: tuple[str, ...], total: int) -> None:
    """Bring the counter of *key* up to *total*."""
    with catalogue.creating():
        missing = total - _shown.get((what, key), 0)
        _shown[what, key] = total
        if missing > 0:
            counts(_COUNTERS[what]).row(key)(missing)


def child_after_fork() -> None:
    """Leave what was counted so far to the parent."""
    _shown.update({(what, key): n for what in _COUNTERS for key, n in _totals(what).items()})


class BuildInfo:
    """Collect the one series that says which build of what is running."""

    def collect(self) -> Iterator[Any]:
        """Return the metric, as prometheus_client asks for it."""
        from prometheus_client.core import GaugeMetricFamily

        listed = catalogue.LISTED["obskit_build_info"]
        family = GaugeMetricFamily(listed.name, listed.meaning, labels=listed.labels)
        family.add_metric([_build.get(label, "") for label in listed.labels], 1)
        yield family


class Others:
    """Collect what other rooms tell when they are asked."""

    def describe(self) -> list[Any]:
        """Return nothing: to find out what there is would be to ask."""
        return []

    def collect(self) -> Iterator[Any]:
        """Return the metrics, as prometheus_client asks for them."""
        families: dict[str, Any] = {}
        for name, source in list(_sources.items()):
            try:
                for metric, labels, value in source():
                    if metric not in families:
                        families[metric] = family_of(metric)
                    families[metric].add_metric(labels, value)
            except Exception as error:
                health.internal_error(f"metrics.{name}", error)
        yield from families.values()


def family_of(name: str) -> Any:
    """Return the metric called *name*, which is a counter or a gauge, without samples."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    listed = catalogue.LISTED[name]
    kind = CounterMetricFamily if listed.kind == "counter" else GaugeMetricFamily
    return kind(listed.name, listed.meaning, labels=listed.labels)


def worker_metrics(workers: list[tuple[int, int]]) -> list[Any]:
    """Return how many workers there are and the process metrics of each, by its slot."""
    from prometheus_client import ProcessCollector
    from prometheus_client.core import GaugeMetricFamily

    listed = catalogue.LISTED["obskit_workers"]
    families: dict[str, Any] = {}
    for slot, pid in workers:
        for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            known = families.setdefault(family.name, family)
            samples = known.samples if known is not family else []
            known.samples = samples + [_of_worker(sample, slot) for sample in family.samples]
    return [GaugeMetricFamily(listed.name, listed.meaning, value=len(workers)), *families.values()]


def _of_worker(sample: Any, slot: int) -> Any:
    return sample._replace(labels={**sample.labels, "worker": str(slot)})
