"""Zipkin, for spans, by its HTTP API v2.

Sent: ``POST /api/v2/spans``, a list of encoded spans. Promised: 202 means accepted; a span that is
sent again has the same ids, and Zipkin shows it once. Limits: 900 KiB or 2000 spans a batch.
Contract: the OpenAPI description ``zipkin2-api.yaml``.
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends.exchange import Exchange
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import Verdict
from obskit.shipping.zipkin import PATH

_HEADERS = {"Content-Type": "application/json"}


class Zipkin:
    """One Zipkin server."""

    kind = "span"
    promise = ACKNOWLEDGED
    most_bytes = 900 * 1024
    most_entries = 2000

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._exchange = Exchange(target, PATH)

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* as one list."""
        body = b"[%b]" % b",".join([entry.body for entry in batch])
        return self._exchange.judge(self._exchange.post(PATH, body, seconds, _HEADERS))

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork."""
        self._exchange.forget()

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()


def make(target: Target, facts: Facts) -> Zipkin:
    """Return the backend that *target* describes."""
    return Zipkin(target)
