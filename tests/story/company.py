"""Services that call each other and send messages through the real propagation, and the truth.

Each step goes through `observation` as in a running service; what stands between two services
may take headers away or put others in their place. Lines are written as the services would.
"""

import contextvars
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from obskit import clock, context, conventions, observation, propagation
from obskit.logs import summary
from obskit.observation import Observation
from obskit.propagation import Policy

Headers = dict[str, str]
Road = Callable[[Headers], Headers]
SPOKEN = ("inherited", "baggage")


def well(headers: Headers) -> Headers:
    """Pass everything."""
    return headers


def bare(headers: Headers) -> Headers:
    """Pass nothing: the client's library is not known, or a proxy lets only its own list pass."""
    return {}


def by_hand(headers: Headers) -> Headers:
    """Pass the ID alone, as code does that knows of one header."""
    return {"x-correlation-id": headers["x-correlation-id"]}


def renamed(headers: Headers) -> Headers:
    """Put another ID in the place of the caller's, as some gateways do."""
    return headers | {"x-correlation-id": f"gateway-{random.getrandbits(64):x}"}


def only_trace(headers: Headers) -> Headers:
    """Pass what OpenTelemetry passes without baggage."""
    return {"traceparent": headers["traceparent"]}


# What each road loses.
LOSES = {well: "", bare: "id", by_hand: "clock", renamed: "id"}


class Company:
    """Services by name, with the roads between them and the programs that they run.

    *roads* are by caller and callee, or by queue and consumer; all others are well. *plans* are
    the steps of each service: ``("call", service)``, ``("send", queue)``, ``("log",)``, or
    ``("away",)`` for a call to a stranger.
    """

    def __init__(
        self,
        plans: Mapping[str, list[tuple[str, ...]]],
        roads: Mapping[tuple[str, str], Road] | None = None,
        queues: Mapping[str, list[str]] | None = None,
        trust: Mapping[str, Any] | None = None,
    ) -> None:
        self.plans = plans
        self.roads = roads or {}
        self.queues = queues or {}
        self.trust = trust or {}
        self.lines: list[dict[str, Any]] = []
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.lost: Counter[tuple[str, str, str]] = Counter()

    def ask(self, service: str, headers: Headers | None = None) -> Headers:
        """Let somebody outside call a service; return the answer's headers."""
        return self._serve(
            service, conventions.http_server("GET", f"/{service}", headers or {}, "10.0.0.1")
        )

    def post(self, queue: str, headers: Headers | None = None) -> None:
        """Let somebody outside send a message."""
        for consumer in self.queues[queue]:
            self._serve(consumer, conventions.consumer("rabbitmq", queue, carrier=headers or {}))

    def _serve(self, service: str, work: Observation) -> Headers:
        return contextvars.Context().run(self._work, service, work)

    def _work(self, service: str, work: Observation) -> Headers:
        self._is(service)
        observation.start(work)
        for step in self.plans[service]:
            getattr(self, f"_{step[0]}")(service, *step[1:])
            self._is(service)
        here = context.current()
        assert here is not None
        unit = here.unit
        answer = {"x-correlation-id": unit.correlation_id}
        cause = clock.header()
        if cause is not None and unit.trusted and unit.correlation_source in SPOKEN:
            answer["obskit-cause"] = cause
        work.status = 200
        observation.finish(work)
        self._write(service, "done", **summary._facts(work, unit))
        observation.leave(work)
        return answer

    def _is(self, service: str) -> None:
        propagation.configure(Policy(service=service, trust=self.trust.get(service, "auto")))

    def _log(self, service: str) -> None:
        self._write(service, "a step")

    def _call(self, service: str, callee: str) -> None:
        headers: Headers = {}
        call = conventions.http_client("GET", f"http://{callee}:8000/", carrier=headers)
        observation.start(call)
        arrived = self._on_the_way(service, callee, "http", headers)
        answer = self._serve(
            callee, conventions.http_server("GET", f"/{callee}", arrived, "10.0.0.1")
        )
        self._is(service)
        propagation.hear(answer, call.peer)
        call.status = 200
        observation.end(call)

    def _away(self, service: str) -> None:
        """Call somebody without obskit, who answers under an ID of his own."""
        call = conventions.http_client("GET", "http://partner:9000/", carrier={})
        observation.start(call)
        propagation.hear({"x-correlation-id": f"partner-{len(self.lines)}"}, call.peer)
        call.status = 200
        observation.end(call)

    def _send(self, service: str, queue: str) -> None:
        headers: Headers = {}
        sending = conventions.producer("rabbitmq", queue, carrier=headers)
        observation.start(sending)
        observation.end(sending)
        for consumer in self.queues[queue]:
            arrived = self._on_the_way(service, consumer, "message", headers)
            self._serve(consumer, conventions.consumer("rabbitmq", queue, carrier=arrived))
            self._is(service)

    def _on_the_way(self, caller: str, callee: str, kind: str, headers: Headers) -> Headers:
        road = self.roads.get((caller, callee), well)
        self.calls[caller, callee, kind] += 1
        if LOSES.get(road):
            self.lost[caller, callee, LOSES[road]] += 1
        return road({name.lower(): value for name, value in headers.items()})

    def _write(self, service: str, message: str, **fields: Any) -> None:
        here = context.current()
        assert here is not None
        unit = here.unit
        line: dict[str, Any] = {
            "timestamp": "2026-10-01T08:00:00.000000Z", "level": "info", "message": message,
            "service": service, "host": f"{service}-1", "correlation_id": unit.correlation_id,
            "correlation_source": unit.correlation_source, "trace_id": unit.trace_id,
            "span_id": here.span_id, "hop": unit.hop,
        }  # fmt: skip
        said = {"causation_id": unit.causation_id, "caller": unit.caller}
        line |= {name: value for name, value in said.items() if value is not None}
        self.lines.append(line | json.loads("{" + clock.tick() + "}") | fields)


def any_company(chance: random.Random, roads: list[Road]) -> Company:
    """Return a company of up to six services that call those below them, over these roads."""
    names = [f"service{number}" for number in range(chance.randint(2, 6))]
    queues = {
        f"queue{number}": chance.sample(names[1:], chance.randint(1, min(2, len(names) - 1)))
        for number in range(chance.randint(0, 2))
    }
    plans: dict[str, list[tuple[str, ...]]] = {}
    for rank, name in enumerate(names):
        moves: list[tuple[str, ...]] = [("log",), ("away",)]
        moves += [("call", below) for below in names[rank + 1 :]]
        moves += [
            ("send", queue)
            for queue, consumers in queues.items()
            if all(names.index(consumer) > rank for consumer in consumers)
        ]
        plans[name] = [chance.choice(moves) for _ in range(chance.randint(0, 3))]
    ways = {(one, other): chance.choice(roads) for one in names for other in names}
    return Company(plans, ways, queues)
