"""Write the lines of small operations by the real clock, one scene after another."""

import contextvars
import itertools
import json
from datetime import UTC, datetime
from typing import Any

from obskit import clock

START = 1_800_000_000.0


class Play:
    """One operation: its lines, and a true time that each line takes 10 ms of."""

    def __init__(self, correlation_id: str = "op-1", **offsets: float) -> None:
        self.correlation_id = correlation_id
        self.offsets = offsets
        self.lines: list[dict[str, Any]] = []
        self.now = START
        self.ids = itertools.count(1)

    def enter(self, service: str, work: str = "POST /orders", header: str | None = None,
              *, broken: bool = False, **more: Any) -> "Actor":  # fmt: skip
        """Begin a unit of work."""
        return Actor(self, service, work, header, broken=broken, more=more)


class Actor:
    """A unit of work in one service."""

    def __init__(self, play: Play, service: str, work: str, header: str | None,
                 *, broken: bool, more: dict[str, Any]) -> None:  # fmt: skip
        self.play = play
        self.work = work
        self.span = f"{next(play.ids):016x}"
        self.constant = {"service": service, "host": f"{service}-1", "pid": 1, **more}
        self.context = contextvars.Context()
        cause = clock.parse(header) if header else None
        self.run(clock.attach, clock.begin(self.span, cause, broken=broken))

    def run(self, function: Any, *arguments: Any) -> Any:
        """Call a function in the context of this unit."""
        return self.context.run(function, *arguments)

    def log(self, message: str, level: str = "info", **fields: Any) -> "Actor":
        """Write a line."""
        self.play.now += 0.01
        wall = self.play.now + self.play.offsets.get(self.constant["service"], 0.0)
        moment = datetime.fromtimestamp(wall, UTC)
        line = {"timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z", "level": level, "message": message}
        line |= self.constant | {"correlation_id": self.play.correlation_id, "span_id": self.span}
        line |= {"trace_id": "ab" * 16}
        self.play.lines.append(line | json.loads("{" + self.run(clock.tick) + "}") | fields)
        return self

    def send(self) -> str:
        """Return what a message that is sent now carries."""
        header: str = self.run(clock.header)
        return header

    def call(self, service: str, work: str = "POST /parcels", *, broken: bool = False) -> "Actor":
        """Begin a unit of work in another service, on a request of this one."""
        header = None if broken else self.send()
        caller = {"causation_id": self.span, "caller": self.constant["service"]}
        return self.play.enter(service, work, header, broken=broken, **caller)

    def hear(self, callee: "Actor") -> "Actor":
        """Take in the answer that *callee* sends now."""
        cause = clock.parse(callee.send())
        assert cause is not None
        self.run(clock.join, cause)
        return self

    def end(self, outcome: str = "ok", status: int | None = None, **fields: Any) -> "Actor":
        """Write the last line."""
        kind, _, name = self.work.partition(" ")
        what: dict[str, Any] = {"task_name": name}
        message = "task finished"
        if kind == "message":
            what = {"messaging_system": "kafka", "messaging_destination_name": name}
            message = "message processed"
        elif kind != "task":
            codes = {"ok": 200, "client_error": 422, "server_error": 500, "dependency": 502}
            what = {"http_request_method": kind, "http_route": name, "url_path": name}
            what["http_response_status_code"] = status or codes.get(outcome, 503)
            message = "request finished"
        level = "error" if outcome in ("server_error", "dependency", "timeout") else "info"
        what |= {"outcome": outcome, "duration_ms": 20.5, "calls": 0}
        return self.log(message, level, **(what | fields))


def failing_order(**offsets: float) -> Play:
    """Play the shop's mystery: an unknown country passes invoice and breaks warehouse."""
    play = Play(**offsets)
    invoice = play.enter("invoice", "POST /orders/{customer}").log("Order received")
    invoice.log("Unknown country code", "warning", order_id="CD-7")
    warehouse = invoice.call("warehouse").log("Packing a parcel")
    warehouse.log("Invalid country code", "error")
    error = {
        "error_type": "KeyError",
        "error_message": "'XX'",
        "error_stack": "KeyError\n  at pack",
    }
    warehouse.log("Exception on /parcels", "error", **error)
    invoice.hear(warehouse)
    warehouse.end("server_error")
    invoice.log("Warehouse did not take the order", "error").end(
        "dependency", dependency="warehouse"
    )
    return play


def healthy_order() -> Play:
    """Play an order that goes well."""
    play = Play()
    invoice = play.enter("invoice").log("Order received")
    warehouse = invoice.call("warehouse").log("Packing a parcel")
    invoice.hear(warehouse)
    warehouse.end()
    invoice.log("Invoice written").end()
    return play
