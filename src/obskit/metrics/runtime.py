"""Show what obskit is, what it has lost or got wrong, and how its worker processes do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from obskit import health
from obskit.fields import VERSION
from obskit.metrics import catalogue
from obskit.metrics.budget import counts
from obskit.settings import Settings

_COUNTERS = {
    "internal_errors": "obskit_internal_errors_total",
    "lost": "obskit_lost_total",
}
_shown: dict[tuple[str, tuple[str, ...]], int] = {}
_build: dict[str, str] = {}


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
    if not any(isinstance(known, BuildInfo) for known in catalogue.collectors(REGISTRY)):
        REGISTRY.register(BuildInfo())


def _hear(what: str, key: tuple[str, ...], _: int) -> None:
    if catalogue.is_loaded():
        _count(what, key, _totals(what)[key])


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
