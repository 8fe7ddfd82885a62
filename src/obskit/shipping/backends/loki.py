"""Grafana Loki.

Sent: ``POST /loki/api/v1/push`` as JSON, the lines grouped to streams by their labels: ``service``,
``env`` and ``level`` unless ``labels=`` names other fields, which must have few values. The ids
``correlation_id``, ``trace_id`` and ``span_id`` go along as structured metadata (``metadata=``
names other fields, ``none`` for servers without it). ``tenant=`` is sent as ``X-Scope-OrgID``.
Promised: 204 means stored. 400 means that Loki skipped what it did not like and stored the others,
without saying which by number: the halves are sent again, and Loki drops a line that it has with
the same time in the same stream. 260 means that ingestion is blocked: it is no success. 429 may
follow a part that was stored, with the same remedy.
Limits: 1 MiB or 2000 entries a batch; a line above 256 KiB (``max_line=``) is refused here; Loki
refuses what is older than a week or ten minutes ahead of its clock.
Contract: Grafana's "Loki HTTP API" and "limits_config"; what is skipped as in its distributor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from obskit.pattern import Pattern
from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, Verdict, said

PUSH = "/loki/api/v1/push"
_BLOCKED = 260
_UNFIT = Pattern("[^a-zA-Z0-9_]", re.ASCII)
_MOST_LINE = 256 * 1024

Labels = tuple[tuple[str, str], ...]


class Loki(OverHttp):
    """One Loki, perhaps one of its tenants."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 1024 * 1024
    most_entries = 2000

    def __init__(self, target: Target, facts: Facts) -> None:
        self.url = target.url
        self._exchange = Exchange(target, PUSH)
        self._headers = {"Content-Type": "application/json"}
        if tenant := target.options.get("tenant"):
            self._headers["X-Scope-OrgID"] = tenant
        self._labels = _names(target.options.get("labels", "service,env,level"))
        ids = "correlation_id,trace_id,span_id"
        self._metadata = _names(target.options.get("metadata", ids))
        self._most_line = target.number("max_line", _MOST_LINE)
        self._encode = reading.encoder(target)
        self._service = facts.get("service") or "unknown"

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* in one request, but for what Loki would not take for its size."""
        return reading.without_large(
            batch, self._most_line, lambda entries: self._send(entries, seconds)
        )

    def _send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        answer = self._exchange.post(PUSH, self.encode(batch), seconds, self._headers)
        if not isinstance(answer, Verdict):
            if answer.status == _BLOCKED:
                return self._exchange.hide(
                    Verdict(AGAIN, f"status {_BLOCKED}", answer=said(answer.body))
                )
            if answer.status == 400 and b"allow_structured_metadata" in answer.body:
                # All lines would be refused for a setting of the server.
                return Verdict(AGAIN, "no structured metadata", answer=said(answer.body))
        return self._exchange.judge(answer)

    def encode(self, batch: Sequence[Entry]) -> bytes:
        """Return the body of a request."""
        streams: dict[Labels, list[list[Any]]] = {}
        for _, body in batch:
            found = reading.record(body)
            time = str(reading.microseconds(found["timestamp"]) * 1000)
            encoded = reading.whole(body) if self._encode is None else self._encode(body)
            value: list[Any] = [time, encoded.decode("utf-8", "replace")]
            if metadata := _texts(found, self._metadata):
                value.append(dict(metadata))
            # A stream without any label is refused.
            labels = _texts(found, self._labels) or (("service", self._service),)
            streams.setdefault(labels, []).append(value)
        return orjson.dumps(
            {"streams": [{"stream": dict(one), "values": all_} for one, all_ in streams.items()]}
        )


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(one.strip() for one in text.split(","))


def _texts(found: dict[str, Any], names: tuple[str, ...]) -> Labels:
    """Return the fields called *names* as text, spelled as Loki wants, but for empty ones."""
    values = [(name, found.get(name)) for name in names]
    return tuple(
        (_UNFIT.sub("_", name), reading.text(value))
        for name, value in values
        if value not in (None, "")
    )


def make(target: Target, facts: Facts) -> Loki:
    """Return the backend that *target* describes."""
    return Loki(target, facts)
