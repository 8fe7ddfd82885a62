"""Render all metrics of the service, whichever of its processes is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from obskit import health, observation
from obskit.metrics import catalogue, runtime, unsent
from obskit.metrics.family import Family
from obskit.metrics.pages import read_exemplars
from obskit.metrics.workers import current

Encoder = Callable[[Any], bytes]
EOF = b"# EOF\n"


class Gathered:
    """Give metrics that were collected already to an encoder."""

    def __init__(self, metrics: Iterable[Any]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Any]:
        """Iterate over the metrics."""
        return iter(self._metrics)


def render(accept: str | None = None) -> tuple[str, bytes]:
    """Return content type and body of the exposition that suits an Accept header.

    Use it to serve the metrics in a way of your own. A collector that fails is left out and
    counted. Follows the Prometheus text format and OpenMetrics 1.0; exemplars are in the
    latter only.
    """
    with observation.suppress():
        catalogue.load()
        encode, content_type = _encoder(accept)
        return content_type, _encode(encode, list(gather()))


def _encoder(accept: str | None) -> tuple[Encoder, str]:
    from prometheus_client.exposition import choose_encoder

    try:
        return choose_encoder(accept or "")
    except Exception as error:
        health.internal_error("metrics.accept", error)
        return choose_encoder("")


def _encode(encode: Encoder, metrics: list[Any]) -> bytes:
    """Encode all at once; if that fails, each by itself, without those that cannot be encoded."""
    try:
        return encode(Gathered(metrics))
    except Exception:
        return _encode_each(encode, metrics)


def _encode_each(encode: Encoder, metrics: list[Any]) -> bytes:
    parts = []
    end = b""
    for metric in metrics:
        try:
            part = encode(Gathered([metric]))
        except Exception as error:
            health.internal_error("metrics.encode", error)
            continue
        end = EOF if part.endswith(EOF) else b""
        parts.append(part.removesuffix(EOF))
    return b"".join(parts) + end


def gather() -> Iterator[Any]:
    """Iterate over the metrics of this process or, where it has siblings, of all together."""
    from prometheus_client import REGISTRY

    registered = catalogue.collectors(REGISTRY)
    if not catalogue.is_adopted():
        yield from _gather_by_client(registered)
    elif current.share():
        yield from _gather_shared(registered)
    else:
        for collector in registered:
            yield from _collect(collector)


def _collect(collector: Any) -> list[Any]:
    try:
        metrics = list(collector.collect())
    except Exception as error:
        health.internal_error("metrics.collector", error)
        return []
    for metric in metrics:
        if getattr(metric, "type", "") in ("counter", "histogram"):
            _drop_created(metric)
    return metrics


def _drop_created(metric: Any) -> None:
    """Take off our own metrics' creation times: a series more for each child, of no use here."""
    if metric.name in catalogue.LISTED or metric.name + "_total" in catalogue.LISTED:
        metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]


def _gather_shared(registered: list[Any]) -> Iterator[Any]:
    """Add up the numbers of all processes; what is no number comes from this one."""
    family = current.family
    assert family is not None
    merged = {metric.name: metric for metric in _merge(list(map(str, family.files())))}
    for collector in registered:
        if _is_kept_in_files(collector):
            continue
        for metric in _collect(collector):
            merged.pop(metric.name, None)
            yield metric
    _attach_exemplars(merged.values())
    _add_killed(merged, family)
    yield from merged.values()
    yield from runtime.worker_metrics(list(family.workers()))


def _is_kept_in_files(collector: Any) -> bool:
    """Tell whether the merged files say all there is to say of *collector*."""
    import prometheus_client as client

    if collector in (client.PROCESS_COLLECTOR, client.GC_COLLECTOR):
        return True
    kinds = (client.Counter, client.Gauge, client.Histogram, client.Summary)
    if not isinstance(collector, kinds):
        return False
    children = list(getattr(collector, "_metrics", {}).values()) or [collector]
    return not any("_child_samples" in vars(child) for child in children)


def _merge(files: list[str]) -> list[Any]:
    try:
        return _merge_all(files)
    except Exception:
        return _merge_all(list(filter(_is_readable, files)))


def _merge_all(files: list[str]) -> list[Any]:
    from prometheus_client.multiprocess import MultiProcessCollector

    return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def _is_readable(file: str) -> bool:
    try:
        _merge_all([file])
    except Exception as error:
        health.internal_error("metrics.merge", error)
        return False
    return True


def _add_killed(merged: dict[str, Any], family: Family) -> None:
    """Count as lost what waited in processes that were killed."""
    try:
        killed = unsent.lost(family)
    except Exception as error:
        health.internal_error("metrics.unsent", error)
        return
    if killed:
        metric = merged.setdefault("obskit_lost", runtime.family_of("obskit_lost_total"))
        labels = {"signal": unsent.SIGNAL, "reason": unsent.REASON}
        metric.add_sample("obskit_lost_total", labels, killed)


def _attach_exemplars(metrics: Iterable[Any]) -> None:
    """Give merged samples the latest exemplar that any process has kept for them."""
    found = _exemplars()
    for metric in metrics if found else ():
        metric.samples = [
            sample._replace(exemplar=found.get((sample.name, frozenset(sample.labels.items()))))
            for sample in metric.samples
        ]


def _exemplars() -> dict[tuple[str, frozenset[tuple[str, str]]], Any]:
    from prometheus_client.samples import Exemplar

    assert current.family is not None
    found: dict[tuple[str, frozenset[tuple[str, str]]], Any] = {}
    for file in current.family.exemplar_files():
        for name, labels, named, value, timestamp in read_exemplars(file):
            key = (name, frozenset(labels.items()))
            known = found.get(key)
            if known is None or known.timestamp < timestamp:
                found[key] = Exemplar(named, value, timestamp)
    return found


def _gather_by_client(registered: list[Any]) -> Iterator[Any]:
    """Let prometheus_client add up the processes: the user has set it up to do so."""
    from prometheus_client.multiprocess import MultiProcessCollector

    try:
        collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    except ValueError:
        for known in registered:
            yield from _collect(known)
        return
    yield from _collect(collector)
    for known in registered:
        if not _is_kept_in_files(known):
            yield from _collect(known)
