"""Humio, which is called LogScale now.

Sent: ``POST /api/v1/ingest/humio-structured``, a list of groups of events; each has the line's
time and its fields as attributes. With ``api=hec``: ``POST /api/v1/ingest/hec``, one object after
the other, with the microseconds beside the time, which has milliseconds only.
Tags are ``service`` and ``env`` unless ``tags=`` names other fields (``none`` for none): each
combination of values is a data source of its own, so they must have few values.
Promised: 200 means received and committed. Any other success is none and is sent again, as are
401, 403 and 5xx; 400 is refused, and the entry that is to blame is found by halving.
Limits: 4 MiB or 5000 entries a batch, as advised. Of a larger event than the server allows
LogScale keeps the text alone, and of more than 1000 fields the first by the alphabet.
Contract: CrowdStrike's "Ingest API", "Ingesting Structured Data", "Ingesting with HTTP Event
Collector (HEC)", "Limits & Standards".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, Verdict, said

STRUCTURED, HEC = "/api/v1/ingest/humio-structured", "/api/v1/ingest/hec"
_HEADERS = {"Content-Type": "application/json"}

Tags = tuple[tuple[str, str], ...]


class Humio(OverHttp):
    """One repository, by the token that it gave out."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 4 * 1024 * 1024
    most_entries = 5000

    def __init__(self, target: Target, facts: Facts) -> None:
        self.url = target.url
        self._is_hec = target.options.get("api") == "hec"
        self._path = HEC if self._is_hec else STRUCTURED
        self._exchange = Exchange(target, self._path)
        named = target.options.get("tags", "service,env")
        self._tags = () if named == "none" else tuple(one.strip() for one in named.split(","))
        known = {
            "index": target.options.get("index"),
            "sourcetype": target.options.get("sourcetype"),
        }
        self._known = {name: value for name, value in known.items() if value}

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* in one request."""
        encode = self._hec if self._is_hec else self._structured
        answer = self._exchange.post(self._path, encode(batch), seconds, _HEADERS)
        if not isinstance(answer, Verdict) and 200 < answer.status < 300:
            why = f"status {answer.status}"
            return self._exchange.hide(Verdict(AGAIN, why, answer=said(answer.body)))
        return self._exchange.judge(answer)

    def _tags_of(self, found: dict[str, Any]) -> Tags:
        return tuple(
            (name, reading.text(found[name])) for name in self._tags if found.get(name) is not None
        )

    def _structured(self, batch: Sequence[Entry]) -> bytes:
        groups: dict[Tags, list[bytes]] = {}
        for _, body in batch:
            found = reading.record(body)
            time = orjson.dumps(found["timestamp"])
            whole = reading.whole(body)
            event = b'{"timestamp":%b,"attributes":%b}' % (time, whole)
            groups.setdefault(self._tags_of(found), []).append(event)
        parts = [
            b'{"tags":%b,"events":[%b]}' % (orjson.dumps(dict(tags)), b",".join(events))
            for tags, events in groups.items()
        ]
        return b"[%b]" % b",".join(parts)

    def _hec(self, batch: Sequence[Entry]) -> bytes:
        return b"\n".join(map(self._hec_event, batch))

    def _hec_event(self, entry: Entry) -> bytes:
        found = reading.record(entry.body)
        micros = reading.microseconds(found["timestamp"])
        fields = {f"#{name}": value for name, value in self._tags_of(found)}
        fields["@timestamp.nanos"] = str(micros % 1000 * 1000)
        head = {"time": micros // 1000 / 1000, "fields": fields, **self._known}
        return b'%b,"event":%b}' % (orjson.dumps(head)[:-1], reading.whole(entry.body))


def make(target: Target, facts: Facts) -> Humio:
    """Return the backend that *target* describes."""
    return Humio(target, facts)
