"""Print one table: what obskit costs, against a hand-written floor and its peers, and the budget.

    python -m benchmarks [line exception filtered stalled request call message task startup throughput metric span
                          ship]
                         [--rounds N] [--json FILE]

Exit code 1 if a budget is missed by more than a quarter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks import (
    calls,
    lines,
    messages,
    metrics,
    requests_served,
    shipped,
    spans,
    stalled,
    startup,
    tasks,
    throughput,
)
from benchmarks.race import Result, Runner, added_ratio, available, ratio, run

TOLERANCE = 1.25


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; *budget* is what it may be (at least, where *more* is better)."""

    what: str
    who: str
    value: float
    unit: str
    budget: float | None = None
    more: bool = False

    @property
    def verdict(self) -> str:
        """``ok``, ``near`` (missed by at most a quarter) or ``MISSED``; nothing without budget."""
        if self.budget is None:
            return ""
        off = self.budget / self.value if self.more else self.value / self.budget
        return "ok" if off <= 1 else "near" if off <= TOLERANCE else "MISSED"


def _against(
    base: str, results: Sequence[Result], what: str, budgets: dict[str, float]
) -> Iterator[Row]:
    by_name = {result.name: result for result in results}
    for result in results:
        value = ratio(result, by_name[base])
        yield Row(what, result.name, value, f"x {base}", budgets.get(result.name))


def line(rounds: int) -> Iterator[Row]:
    """An info line with six fields, inside a request, to a file."""
    results = run(available(lines.RUNNERS), rounds=rounds)
    budgets = {"obskit": 2.0, "obskit, no clock": 1.6, "obskit by logging": 4.8}
    yield from _against("floor", results, "info line", budgets)


def exception(rounds: int) -> Iterator[Row]:
    """A line with an exception of ten frames."""
    results = run(available(lines.EXCEPTION_RUNNERS), rounds=rounds)
    yield from _against("floor", results, "exception, 10 frames", {"obskit": 3.0})


def filtered(rounds: int) -> Iterator[Row]:
    """A call below the level."""
    results = run(available(lines.FILTERED_RUNNERS), rounds=rounds)
    yield from _against("logging", results, "call below the level", {})


def stalls(rounds: int) -> Iterator[Row]:
    """A call while nobody reads fast enough."""
    budgets = {"obskit": 0.05}
    for result in run(stalled.RUNNERS, rounds=3, seconds=0.01):
        p99 = result.extra["p99_ms"]
        yield Row(
            "log call at a stalled sink, p99", result.name, p99, "ms", budgets.get(result.name)
        )


def request(rounds: int) -> Iterator[Row]:
    """CPU that a request costs more than bare, as a share of what the stack of peers adds."""
    for what, runners, budgets in (
        (
            "FastAPI request, added",
            requests_served.FASTAPI,
            {"obskit": 0.12, "obskit, user's SDK": 0.17},
        ),
        ("Flask request, added", requests_served.FLASK, {"obskit": 0.12}),
        ("Django request, added", requests_served.DJANGO, {"obskit": 0.08}),
    ):
        results = {result.name: result for result in run(available(runners), rounds=rounds)}
        for name, result in results.items():
            if name != "bare":
                share = added_ratio(result, results["bare"], results["stack"])
                yield Row(what, name, share, "x stack", budgets.get(name))


def call(rounds: int) -> Iterator[Row]:
    """Microseconds of CPU that an outgoing call costs more than bare."""
    kinds: tuple[tuple[str, tuple[Runner, ...], float], ...] = (
        ("httpx call, added", calls.HTTPX, 40),
        ("httpx async call, added", calls.HTTPX_ASYNC, 80),
        ("requests call, added", calls.REQUESTS, 40),
        ("urllib3 call, added", calls.URLLIB3, 40),
        ("urllib call, added", calls.URLLIB, 40),
        ("aiohttp call, added", calls.AIOHTTP, 80),
    )
    for what, runners, budget in kinds:
        present = available(runners)
        if not present:
            continue
        bare, *others = run(present, rounds=rounds)
        for result in others:
            added = sorted(a - b for a, b in zip(result.seconds, bare.seconds, strict=True))
            value = added[len(added) // 2] * 1e6
            yield Row(what, result.name, value, "us", budget if result.name == "obskit" else None)


def message(rounds: int) -> Iterator[Row]:
    """Microseconds of CPU that a message costs more than bare, sent and received."""
    present = available(messages.PIKA)
    if not present:
        return
    bare, *others = run(present, rounds=rounds)
    for result in others:
        added = sorted(a - b for a, b in zip(result.seconds, bare.seconds, strict=True))
        value = added[len(added) // 2] * 1e6
        # The budget for messages is Kafka's: pika encodes the headers of a message by itself.
        yield Row("pika message, added", result.name, value, "us")


def task(rounds: int) -> Iterator[Row]:
    """Microseconds of CPU that a task costs more than bare, sent and carried out."""
    present = available(tasks.CELERY)
    if not present:
        return
    bare, *others = run(present, rounds=rounds)
    for result in others:
        added = sorted(a - b for a, b in zip(result.seconds, bare.seconds, strict=True))
        yield Row("Celery task, added", result.name, added[len(added) // 2] * 1e6, "us")


def start(rounds: int) -> Iterator[Row]:
    """What a start costs on top of ``import fastapi``."""
    costs = startup.measure(rounds)
    for name in costs:
        if name != "bare":
            milliseconds, memory = startup.added(costs, name)
            mine = name == "obskit"
            yield Row("start-up, added CPU", name, milliseconds, "ms", 20.0 if mine else None)
            yield Row("start-up, added memory", name, memory, "MiB", 3.0 if mine else None)


def served(rounds: int) -> Iterator[Row]:
    """Requests a second under uvicorn, against the bare service."""
    rates = throughput.measure(rounds)
    for name in rates:
        if name != "bare":
            share = throughput.against_bare(rates, name)
            budget = 0.75 if name == "obskit" else None
            yield Row("uvicorn throughput", name, share, "x bare", budget, more=True)


def metric(rounds: int) -> Iterator[Row]:
    """The metrics of one request."""
    results = run(available(metrics.RUNNERS), rounds=rounds)
    yield from _against(results[0].name, results, "metrics of a request", {})


def span(rounds: int) -> Iterator[Row]:
    """A span written for Zipkin, and what sending spans there adds to a request."""
    yield from _against("floor", run(available(spans.ENCODING), rounds=rounds), "span, encoded", {})
    _, ours, *others = run(available(spans.REQUESTS), rounds=rounds)
    for result in others:
        added = sorted(a - b for a, b in zip(result.seconds, ours.seconds, strict=True))
        value = added[len(added) // 2] * 1e6
        yield Row("FastAPI request, spans added", result.name, value, "us")


def ship(rounds: int) -> Iterator[Row]:
    """A log call whose lines are shipped, and how many of them a real server takes."""
    value = shipped.call_ratio(min(rounds, 5))
    yield Row("log call while shipped, median", "obskit", value, "x not shipped", 1.2)
    rate = shipped.lines_a_second()
    if rate is not None:
        yield Row("lines to OpenSearch", "obskit", rate, "a second", 20_000, more=True)


SECTIONS: dict[str, Callable[[int], Iterable[Row]]] = {
    "line": line,
    "exception": exception,
    "filtered": filtered,
    "stalled": stalls,
    "request": request,
    "call": call,
    "message": message,
    "task": task,
    "startup": start,
    "throughput": served,
    "metric": metric,
    "span": span,
    "ship": ship,
}


def _show(row: Row) -> None:
    budget = "" if row.budget is None else f"{'>=' if row.more else '<='} {row.budget:g}"
    print(
        f"{row.what:<34}{row.who:<40}{row.value:>9.3f} {row.unit:<10}{budget:>9}  {row.verdict}",
        flush=True,
    )


def main() -> int:
    """Measure the chosen sections and print a row for each figure."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure what obskit costs.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.sections if name not in SECTIONS]
    if unknown or chosen.rounds < 1:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    rows: list[Row] = []
    for name in chosen.sections or SECTIONS:
        for row in SECTIONS[name](chosen.rounds):
            _show(row)
            rows.append(row)
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump([asdict(row) | {"verdict": row.verdict} for row in rows], file, indent=2)
    return 1 if any(row.verdict == "MISSED" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
