"""What is seen of the orders: bare text, lines by time, and who said what about which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]
SAID = re.compile(r"\[(?:Shop|Inventory)\] (?:WARN|ERROR) ")
TROUBLE = ("warning", "warn", "error", "critical")


@dataclass(frozen=True, slots=True)
class Told:
    """What both services said in trouble about one order."""

    correlation_id: str
    customer: str
    status: int | None
    shop: tuple[str, ...]
    inventory: tuple[str, ...]

    @property
    def is_mysterious(self) -> bool:
        """Whether a warning of one service and an error of the other belong together."""
        return bool(self.shop and self.inventory and (self.status or 0) >= 500)


def bare_words(log: Path) -> list[str]:
    """Return what a service without obskit has said in trouble."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if SAID.match(line)]


def by_time(lines: Iterable[Line], correlation_id: str) -> list[Line]:
    """Return the lines of one operation as every log viewer sorts them."""
    own = [line for line in lines if line.get("correlation_id") == correlation_id]
    return sorted(own, key=lambda line: str(line["timestamp"]))


def tell_apart(lines: Sequence[Line]) -> list[Told]:
    """Return who said what about which order, in the order of the customers' names."""
    orders: dict[str, list[Line]] = {}
    for line in lines:
        if "correlation_id" in line:
            orders.setdefault(str(line["correlation_id"]), []).append(line)
    told = [_told(correlation_id, own) for correlation_id, own in orders.items()]
    return sorted((one for one in told if one.customer), key=lambda one: one.customer)


def _told(correlation_id: str, lines: Sequence[Line]) -> Told:
    customer, status = "", None
    for line in lines:
        path = str(line.get("url_path", ""))
        if path.startswith("/orders/"):
            customer = path.removeprefix("/orders/")
            status = line.get("http_response_status_code")
    shop, inventory = (tuple(_own_words(lines, name)) for name in ("shop", "inventory"))
    return Told(correlation_id, customer, status, shop, inventory)


def _own_words(lines: Iterable[Line], service: str) -> Iterator[str]:
    """Yield what the service's own code said about a country."""
    for line in lines:
        if line.get("service") == service == line.get("logger") and line["level"] in TROUBLE:
            message = str(line["message"])
            if "country code" in message:
                yield message
