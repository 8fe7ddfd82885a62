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
    """Requests or tasks of one kind and outcome: how many, and how long they took on average."""

    service: str
    work: str
    outcome: str
    number: int
    mean_ms: float


# How long it took, by the label that says what it was.
DURATIONS = {
    "http_server_request_duration_seconds": "http_route",
    "task_duration_seconds": "task_name",
}


def rates(service: str, page: str) -> list[Rate]:
    """Return rate, errors and duration of *service*, by route or task and by outcome."""
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for sample in read(page):
        name, _, part = sample.name.rpartition("_")
        if part in ("count", "sum") and name in DURATIONS:
            key = (sample.labels[DURATIONS[name]], sample.labels["outcome"])
            row = sums.setdefault(key, {"count": 0.0, "sum": 0.0})
            row[part] += sample.value
    return [
        Rate(service, work, outcome, int(row["count"]), 1000 * row["sum"] / row["count"])
        for (work, outcome), row in sorted(sums.items())
        if row["count"]
    ]
