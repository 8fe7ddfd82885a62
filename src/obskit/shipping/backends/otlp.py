"""OpenTelemetry's protocol for logs, by HTTP in its JSON encoding.

Sent: ``POST /v1/logs``, the lines grouped by resource (service, host, process) and scope (logger),
in OpenTelemetry's data model; ids as hexadecimal text, 64 bit numbers as text, names in camelCase.
Promised: 200 means accepted. A partial success says how many records were rejected, never which:
it must not be sent again, and so many are counted as lost. 429, 502, 503 and 504 are sent again
when the server says, and so is what did not get through or needs somebody to put it right.
Limits: 2 MiB or 1000 entries a batch; a request may have 64 MiB.
Contract: "OTLP Specification" (OTLP/HTTP, JSON Protobuf encoding), "Logs Data Model".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from obskit.schemas import otlp
from obskit.shipping import verdict
from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

if TYPE_CHECKING:
    from obskit.http import Answer

LOGS = "/v1/logs"
_HEADERS = {"Content-Type": "application/json"}


class Otlp(OverHttp):
    """One collector, or a product that takes what a collector takes."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 2 * 1024 * 1024
    most_entries = 1000

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._exchange = Exchange(target, LOGS)

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* in one request."""
        answer = self._exchange.post(LOGS, encode(batch), seconds, _HEADERS)
        found = self._exchange.judge(answer)
        if isinstance(answer, Verdict) or found.kind != TAKEN:
            return found
        return self._exchange.hide(_partial(answer, len(batch)))


def _partial(answer: Answer, count: int) -> Verdict:
    """Return what a success is worth: how many records the server says it rejected."""
    if not answer.body.strip():
        return ALL_TAKEN
    try:
        found: Any = orjson.loads(answer.body) if answer.whole else None
        partial = found.get("partialSuccess") or {}
        rejected = min(count, max(0, int(partial.get("rejectedLogRecords") or 0)))
        message = verdict.said(str(partial.get("errorMessage", "")).encode())
    except (ValueError, TypeError, AttributeError):
        return Verdict(AGAIN, "not understood", answer=verdict.said(answer.body))
    if not rejected:
        return ALL_TAKEN
    if rejected == count:
        return Verdict(REFUSED, "rejected", answer=message)
    return Verdict(TAKEN, "rejected", answer=message, lost=rejected)


def encode(batch: Sequence[Entry]) -> bytes:
    """Return the body of a request."""
    return orjson.dumps(otlp.request([reading.record(entry.body) for entry in batch]))


def make(target: Target, facts: Facts) -> Otlp:
    """Return the backend that *target* describes."""
    return Otlp(target)
