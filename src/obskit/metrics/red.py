"""Count rate, errors and duration of every unit of work, as the recipe of its kind says."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from obskit.metrics import exemplars, lifecycle, values
from obskit.metrics.budget import Key, counts, table
from obskit.observation import Observation, dependency

CLIENT_GONE = "499"
STATUSES = {status: str(status) for status in range(100, 600)}
EXEMPLAR_PAUSE_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """Say which metrics a kind of work has; their labels are in the dictionary.

    *labels* names those of the observation that are told apart, beside the outcome; ``name``
    stands for the observation's own name. With *ingress* it is counted where the correlation
    ID came from.
    """

    labels: tuple[str, ...]
    duration: str = ""
    requests: str = ""
    active: str = ""
    ingress: bool = False


_TASK = Recipe(("task_name",), "task_duration_seconds", ingress=True)

# By protocol, then by kind.
RECIPES: dict[str, dict[str, Recipe]] = {
    "http": {
        "server": Recipe(
            ("http_request_method", "http_route"),
            "http_server_request_duration_seconds",
            requests="http_server_requests_total",
            active="http_server_active_requests",
            ingress=True,
        ),
        "client": Recipe(
            ("http_request_method", "server_address"), "http_client_request_duration_seconds"
        ),
    },
    "websocket": {
        "server": Recipe(
            ("http_request_method", "http_route"),
            requests="http_server_requests_total",
            ingress=True,
        ),
    },
    "task": {"consumer": _TASK, "internal": _TASK},
    "": {"internal": Recipe(("name",), "operation_duration_seconds")},
}


class Red:
    """Listen to units of work and keep their rate, errors and duration."""

    def __init__(self) -> None:
        self._meters = {
            protocol: {kind: Meter(recipe) for kind, recipe in kinds.items()}
            for protocol, kinds in RECIPES.items()
        }

    def start(self, observation: Observation) -> None:
        """Count the beginning of *observation*."""
        if lifecycle.server.is_due and observation.entry:
            lifecycle.server.start()
        meters = self._meters.get(observation.protocol)
        meter = meters and meters.get(observation.kind._value_)
        if meter and meter.active is not None:
            key = (observation.labels["http_request_method"],)
            (meter.running.get(key) or meter.active.row(key))(1.0)

    def end(self, observation: Observation) -> None:
        """Count the end of *observation*; what began before a fork is its parent's to count."""
        meters = self._meters.get(observation.protocol)
        meter = meters and meters.get(observation.kind._value_)
        if meter and observation.started_ns > lifecycle.born_ns:
            meter.end(observation)


class Meter:
    """Keep the metrics of one recipe."""

    __slots__ = ("_durations", "_ingress", "_pick", "_requests", "_rows", "active", "running")

    def __init__(self, recipe: Recipe) -> None:
        # One label comes as it is, several as a tuple, none for the name of the observation.
        self._pick = None if recipe.labels == ("name",) else itemgetter(*recipe.labels)
        self.active = table(recipe.active, _adder) if recipe.active else None
        # Looked up directly where time counts; what is not among them yet, the table admits.
        self.running = self.active.rows if self.active is not None else {}
        self._durations = table(recipe.duration, Duration) if recipe.duration else None
        self._requests = Requests(recipe.requests) if recipe.requests else None
        self._ingress = Ingress() if recipe.ingress else None
        self._rows: dict[Any, Row] = {}

    def end(self, observation: Observation) -> None:
        """Count *observation* as done."""
        here = observation.context
        if observation.outcome != "ok" or here is None or observation.invalid_id:
            self._count(observation)
            return
        pick = self._pick
        key: Any = observation.name if pick is None else pick(observation.labels)
        if self._ingress is not None:
            unit = here.unit
            key = (
                key, observation.status, unit.correlation_source,
                unit.caller if unit.trusted else None, unit.synthetic is None,
            )  # fmt: skip
        row = self._rows.get(key)
        if row is None:
            changes = self._count(observation)
            if changes is not None:
                self._rows[key] = Row(*changes)
        elif not row.count(observation):
            self._count(observation)

    def _labels(self, observation: Observation) -> Key:
        found = observation.name if self._pick is None else self._pick(observation.labels)
        return found if isinstance(found, tuple) else (found,)

    def _count(self, observation: Observation) -> tuple[Duration | None, list[Any]] | None:
        """Count *observation* one metric after the other, and return what has changed.

        Nothing is returned where the budget is used up, which is said of each observation.
        """
        key = (*self._labels(observation), observation.outcome)
        kept: list[Any] = []
        duration = None
        if self.active is not None:
            running = (observation.labels["http_request_method"],)
            self.active.row(running)(-1.0)
            kept.append((self.running.get(running), -1.0))
        if self._durations is not None:
            duration = self._durations.row(key)
            duration.observe(observation)
            if key not in self._durations.rows:
                kept.append((None, 1.0))
        if self._ingress is not None:
            caller, row = self._ingress.count(observation)
            kept.append((row, 1.0))
            if self._requests is not None:
                kept.append((self._requests.count(observation, key, caller), 1.0))
        return _changes(duration, kept)


class Row:
    """Count what went well under all its labels at once: most of what there is to count."""

    __slots__ = ("_bounds", "_buckets", "_duration", "_steady", "_sum")

    def __init__(self, duration: Duration | None, steady: list[tuple[values.Value, float]]) -> None:
        self._duration = duration
        self._steady = steady
        if duration is not None:
            self._sum, self._bounds = duration.child._sum, duration.child._upper_bounds
            self._buckets = [(bucket, 1.0) for bucket in duration.child._buckets]

    def count(self, observation: Observation) -> bool:
        """Count *observation*; False if it deserves an exemplar, then nothing is counted."""
        duration = self._duration
        if duration is None:
            values.add(self._steady)
            return True
        took = observation.duration_ns
        if (
            took > duration.slowest_ns
            or observation.started_ns + took - duration.exemplar_ns >= EXEMPLAR_PAUSE_NS
        ):
            return False
        seconds = took / 1e9
        bucket = self._buckets[bisect_left(self._bounds, seconds)]
        values.add((*self._steady, (self._sum, seconds), bucket))
        return True


def _changes(
    duration: Duration | None, rows: list[tuple[Any, float]]
) -> tuple[Duration | None, list[tuple[values.Value, float]]] | None:
    """Return the values behind *rows*; None where there are none of ours for one of them."""
    steady = []
    for row, amount in rows:
        owner = getattr(row, "__self__", None)
        value = getattr(owner, "_value", owner)
        if type(value) is not values.Value:
            return None
        steady.append((value, amount))
    if duration is not None and type(duration.child._sum) is not values.Value:
        return None
    return duration, steady


def _adder(gauge: Any) -> Callable[[float], None]:
    """Return what adds to *gauge*, without the checks that a metric of ours needs not."""
    add: Callable[[float], None] = gauge._value.inc
    return add


class Duration:
    """One child of a histogram of durations, with its exemplar."""

    __slots__ = ("child", "exemplar_ns", "slowest_ns")

    def __init__(self, child: Any) -> None:
        self.child = child
        self.exemplar_ns = -EXEMPLAR_PAUSE_NS
        self.slowest_ns = 0

    def observe(self, observation: Observation) -> None:
        """Count the duration; give it an exemplar if it failed, is slow, or none is recent."""
        took = observation.duration_ns
        now = observation.started_ns + took
        if (
            took <= self.slowest_ns
            and now - self.exemplar_ns < EXEMPLAR_PAUSE_NS
            and observation.outcome == "ok"
        ):
            self.child.observe(took / 1e9)
            return
        self.exemplar_ns = now
        self.slowest_ns = took
        self.child.observe(took / 1e9, exemplars.labels(observation.context, observation.outcome))


class Ingress:
    """Count where the correlation IDs of units of work came from."""

    __slots__ = ("_invalid", "_rows", "_sources")

    def __init__(self) -> None:
        self._sources = counts("obskit_ingress_correlation_total")
        self._rows = self._sources.rows
        self._invalid = counts("obskit_correlation_invalid_total")

    def count(self, observation: Observation) -> tuple[str, Any]:
        """Count the source of *observation*; return its caller, if believed, and the row."""
        here = observation.context
        if here is None:
            return "", None
        unit = here.unit
        caller = (unit.caller or "") if unit.trusted else ""
        key = (unit.correlation_source, caller)
        (self._rows.get(key) or self._sources.row(key))()
        if observation.invalid_id:
            self._invalid.row((observation.invalid_id,))()
        return caller, self._rows.get(key)


class Requests:
    """Count requests by everything that says whose fault they were."""

    __slots__ = ("_rows", "_table")

    def __init__(self, name: str) -> None:
        self._table = counts(name)
        self._rows = self._table.rows

    def count(self, observation: Observation, key: Key, caller: str) -> Any:
        """Count *observation*, whose duration has the labels *key*, and return the row."""
        here = observation.context
        blamed = dependency(observation) if observation.outcome == "dependency" else ""
        synthetic = "false" if here is None or here.unit.synthetic is None else "true"
        full = (*key, _status(observation), caller, blamed, synthetic)
        (self._rows.get(full) or self._table.row(full))()
        return self._rows.get(full)


def _status(observation: Observation) -> str:
    """Return the code label; whoever raises without having answered gets a 500 from its server."""
    if observation.outcome == "client_gone":
        return CLIENT_GONE
    status = observation.status
    if status is None:
        return "" if observation.error is None else "500"
    return STATUSES.get(status) or str(status)
