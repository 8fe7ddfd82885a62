"""Count rate, errors and duration of every unit of work, as the recipe of its kind says."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from obskit.metrics import exemplars, lifecycle, values, workers
from obskit.metrics.budget import Key, counts, table
from obskit.metrics.rows import Row
from obskit.observation import Kind, Message, Observation, dependency
from obskit.record import Record

if TYPE_CHECKING:
    from obskit.metrics.messages import Messages

CLIENT_GONE = "499"
_SERVER, _CONSUMER = Kind.SERVER, Kind.CONSUMER
STATUSES = {status: str(status) for status in range(100, 600)}
EXEMPLAR_PAUSE_NS = 1_000_000_000


class Recipe(Record):
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


# The duration that is counted, and the other values with what is added to each.
Changes = tuple["Duration", list[tuple[values.Value, float]]]

_TASK = Recipe(("task_name",), "task_duration_seconds", ingress=True)
_QUEUE = ("messaging_system", "messaging_destination_name")

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
    "messaging": {
        "producer": Recipe(_QUEUE, "messaging_publish_duration_seconds"),
        "consumer": Recipe(_QUEUE, "messaging_process_duration_seconds", ingress=True),
    },
    "task": {"consumer": _TASK, "internal": _TASK},
    "": {"internal": Recipe(("name",), "operation_duration_seconds")},
}


class Red:
    """Listen to units of work and keep their rate, errors and duration.

    Start and end are the hot path: one straight function each, which reaches for the insides
    of values, because each call that it spares costs more than what it does. There is no lock
    in it where the interpreter has one, see `values.ATOMIC`.
    """

    hears_other_starts = False

    __slots__ = ("_gauges", "_messages", "_meters", "_served")

    def __init__(self) -> None:
        self._messages: Messages | None = None
        self._meters = {
            protocol: {Kind(kind): Meter(recipe) for kind, recipe in kinds.items()}
            for protocol, kinds in RECIPES.items()
        }
        self._served = self._meters["http"][_SERVER]
        self._gauges = self._served.gauges

    def start(self, observation: Observation) -> None:
        """Count the beginning of *observation*."""
        if observation.kind is _SERVER and observation.protocol == "http":
            value = self._gauges.get(observation.labels["http_request_method"])
            if value is None or value._home is not values._home:
                self._served.begin(observation)
                return
            cells = value._cells
            if cells is None:
                value._number += 1.0
            else:
                cells[value._index] += 1.0

    def end(self, observation: Observation) -> None:
        """Count the end of *observation*; what began before a fork is its parent's to count."""
        kind = observation.kind
        if kind is _SERVER and observation.protocol == "http":
            meter: Meter | None = self._served
        else:
            if kind is _CONSUMER and isinstance(observation, Message):
                (self._messages or self._count_messages()).count(observation)
            meters = self._meters.get(observation.protocol)
            meter = None if meters is None else meters.get(kind)
        if meter is None or observation.started_ns <= lifecycle.born_ns:
            return
        here = observation.context
        if observation.outcome != "ok" or here is None or observation.invalid_id:
            meter.count(observation)
            return
        pick = meter.pick
        key: Any = observation.name if pick is None else pick(observation.labels)
        if meter.ingress is not None:
            unit = here.unit
            key = (
                key, observation.status, unit.correlation_source,
                unit.caller if unit.trusted else None, unit.synthetic is None,
            )  # fmt: skip
        row = meter.rows.get(key)
        if row is None:
            meter.learn(key, observation)
            return
        took, duration, total = observation.duration_ns, row.duration, row.sum
        seconds = took / 1e9
        bucket = row.buckets[bisect_left(row.bounds, seconds)]
        if (
            took > duration.slowest_ns
            or observation.started_ns + took - duration.exemplar_ns >= EXEMPLAR_PAUSE_NS
            or row.home is not values._home
        ):
            meter.count_anew(row, observation)
            return
        if row.is_alone:
            # Without a call or a loop since the comparison: no number has gone elsewhere.
            if row.alone is not None:
                running, entries, requests = row.alone
                running._number -= 1.0
                entries._number += 1.0
                requests._number += 1.0
            elif row.one is not None:
                row.one._number += 1.0
            total._number += seconds
            bucket._number += 1.0
            return
        row.add(bucket, seconds)

    def _count_messages(self) -> Messages:
        """Make what counts messages: few processes have any."""
        from obskit.metrics.messages import Messages

        self._messages = Messages()
        return self._messages


class Meter:
    """Keep the metrics of one recipe."""

    __slots__ = (
        "_durations", "_requests", "active", "gauges", "ingress", "pick", "rows",
    )  # fmt: skip

    def __init__(self, recipe: Recipe) -> None:
        # One label comes as it is, several as a tuple, none for the name of the observation.
        self.pick = None if recipe.labels == ("name",) else itemgetter(*recipe.labels)
        self.active = table(recipe.active, _adder) if recipe.active else None
        self._durations = table(recipe.duration, Duration) if recipe.duration else None
        self._requests = Requests(recipe.requests) if recipe.requests else None
        self.ingress = Ingress() if recipe.ingress else None
        # What is looked up where time counts, and is ours: running requests by their method,
        # and what goes well by all that is told apart.
        self.gauges: dict[str, values.Value] = {}
        self.rows: dict[Any, Row] = {}

    def begin(self, observation: Observation) -> None:
        """Count *observation* as running."""
        if lifecycle.server.is_due:
            lifecycle.server.start()
        if self.active is not None:
            method = observation.labels["http_request_method"]
            self.active.row((method,))(1.0)
            value = _value_of(self.active.rows.get((method,)))
            if value is not None and values.ATOMIC:
                self.gauges[method] = value

    def learn(self, key: Any, observation: Observation) -> None:
        """Count *observation*, and find its like by *key* from now on."""
        changes = self.count(observation)
        if changes is not None and values.ATOMIC:
            duration, steady = changes
            self.rows[key] = Row(duration, steady)

    def count_anew(self, row: Row, observation: Observation) -> None:
        """Count what deserves an exemplar, or finds the numbers of *row* elsewhere by now."""
        row.home = values.bring(row.values)
        row.alone, row.is_alone = None, row.is_short and not row.home.shared
        if [amount for _, amount in row.steady] == [-1.0, 1.0, 1.0] and not row.home.shared:
            row.alone = tuple(value for value, _ in row.steady)
            row.is_alone = True
        self.count(observation)

    def count(self, observation: Observation) -> Changes | None:
        """Count *observation* one metric after the other, and return what has changed.

        Nothing is returned where that is not always the same: where there is no duration, the
        budget is used up, or numbers are not kept by us.
        """
        if lifecycle.server.is_due and self.ingress is not None:
            lifecycle.server.start()
        if observation.error is not None:
            from obskit.metrics import errors

            errors.count_unit(observation)
        key = (*self._labels(observation), observation.outcome)
        steady: list[tuple[values.Value | None, float]] = []
        if self.active is not None:
            running = (observation.labels["http_request_method"],)
            self.active.row(running)(-1.0)
            steady.append((_value_of(self.active.rows.get(running)), -1.0))
        duration = None
        if self._durations is not None:
            self._durations.row(key).observe(observation)
            duration = self._durations.rows.get(key)
        if self.ingress is not None:
            caller, row = self.ingress.count(observation)
            steady.append((_value_of(row), 1.0))
            if self._requests is not None:
                row = self._requests.count(observation, key, caller)
                steady.append((_value_of(row), 1.0))
        if duration is None or type(duration.child._sum) is not values.Value:
            return None
        known = [(value, amount) for value, amount in steady if value is not None]
        return (duration, known) if len(known) == len(steady) else None

    def _labels(self, observation: Observation) -> Key:
        found = observation.name if self.pick is None else self.pick(observation.labels)
        return found if isinstance(found, tuple) else (found,)


def _value_of(row: Any) -> values.Value | None:
    """Return the value that *row* adds to, if it is one of ours."""
    owner = getattr(row, "__self__", None)
    value = getattr(owner, "_value", owner)
    return value if type(value) is values.Value else None


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
        self._sources = table("obskit_ingress_correlation_total", _entering)
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


def _entering(child: Any) -> Callable[[], None]:
    """Return what counts an entry; that there is one shows that this process is a worker."""
    workers.current.serve()
    count: Callable[[], None] = child.inc
    return count


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
