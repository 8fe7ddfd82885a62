"""Read a page of metrics: just enough of its format to sum samples by label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_SAMPLE = re.compile(r"(?m)^(\w+)(?:\{(.*?)\})? ([^\s{}]+)(?: [^#\n]*)?(?: # .*)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One number of a page of metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


def read(page: str) -> Iterator[Sample]:
    """Yield each sample of *page*."""
    for match in _SAMPLE.finditer(page):
        labels = {name: _plain(text) for name, text in _LABEL.findall(match[2] or "")}
        yield Sample(match[1], labels, float(match[3]))


def total(page: str, name: str) -> float:
    """Return the sum of all samples called *name*."""
    return sum(sample.value for sample in read(page) if sample.name == name)


def _plain(text: str) -> str:
    return text.replace(r"\n", "\n").replace(r"\"", '"').replace(r"\\", "\\")


class Rate(NamedTuple):
    """Requests of one route and outcome: how many, and how long they took on average."""

    service: str
    route: str
    outcome: str
    requests: int
    mean_ms: float


DURATION = "http_server_request_duration_seconds"


def rates(service: str, page: str) -> list[Rate]:
    """Return rate, errors and duration of *service*, by route and outcome."""
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for sample in read(page):
        part = sample.name.removeprefix(DURATION)
        if part in ("_count", "_sum") and sample.name.startswith(DURATION):
            key = (sample.labels["http_route"], sample.labels["outcome"])
            row = sums.setdefault(key, {"_count": 0.0, "_sum": 0.0})
            row[part] += sample.value
    return [
        Rate(service, route, outcome, int(row["_count"]), 1000 * row["_sum"] / row["_count"])
        for (route, outcome), row in sorted(sums.items())
        if row["_count"]
    ]
