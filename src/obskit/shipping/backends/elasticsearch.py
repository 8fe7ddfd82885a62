"""Elasticsearch and OpenSearch, by ``_bulk``.

Sent: ``POST /<index>/_bulk`` as ``application/x-ndjson``, an action ``create`` and the line for
each entry; the line as it is but that ``timestamp`` is called ``@timestamp``, or in another
format (``format=ecs``). The data stream is ``logs-obskit.<service>-<env>`` unless ``index=`` names
another one: ``integrations/elasticsearch`` has the template for it.
Promised: each entry has its own ``_id``, so one that is sent again is answered by 409 and counts
as taken: nothing is stored twice (``ids=0`` leaves the ids to the server, and this promise goes).
Each item is judged by its own status: 2xx and 409 are taken; 429, 5xx, and what is wrong with the
index rather than with the line (401, 403, 404, blocked, closed) are sent again, those alone; other
4xx are refused.
Limits: 4 MiB or 5000 entries a batch; servers take 100 MiB and advise 5 to 15 MiB.
Contract: Elastic's "Bulk API" and "Data streams", OpenSearch's "Bulk"; what is asked for and how
items are judged is as Filebeat does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from obskit.shipping import verdict
from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, Verdict

if TYPE_CHECKING:
    from obskit.http import Answer

_HEADERS = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
# The status of each item is needed to know which one an error belongs to.
_ASKED = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
_MOST_READ = 16 * 1024 * 1024
_PREFIX, _RENAMED = reading.PREFIX, b'{"@timestamp":"'
_AFTER = len(_PREFIX)
_FINE = b'{"errors":false'
# Errors that are answered for a line, and are about the index.
_ABOUT_INDEX = frozenset(
    {"cluster_block_exception", "index_not_found_exception", "index_closed_exception"}
)
_STATUSES = frozenset({401, 403, 408, 429})


class Elasticsearch(OverHttp):
    """One cluster, one index or data stream."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 4 * 1024 * 1024
    most_entries = 5000

    def __init__(self, target: Target, facts: Facts) -> None:
        self.url = target.url
        self._exchange = Exchange(target, most_read=_MOST_READ)
        self._encode = reading.encoder(target)
        self._has_ids = target.flag("ids", True)
        index = target.options.get("index") or data_stream(facts)
        pipeline = target.options.get("pipeline", "")
        more = f"&pipeline={quote(pipeline, safe='')}" if pipeline else ""
        self._path = f"/{index}/_bulk?{_ASKED}{more}"

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* in one request and judge each entry by its own answer."""
        answer = self._exchange.post(self._path, self.encode(batch), seconds, _HEADERS)
        if isinstance(answer, Verdict) or not 200 <= answer.status < 300:
            return self._exchange.judge(answer)
        return self._exchange.hide(_judge(answer, len(batch)))

    def encode(self, batch: Sequence[Entry]) -> bytes:
        """Return the body of a request."""
        pieces: list[bytes] = []
        add, has_ids, encode = pieces.append, self._has_ids, self._encode
        for id_, body in batch:
            add(b'{"create":{"_id":"%b"}}\n' % id_.encode() if has_ids else b'{"create":{}}\n')
            if encode is not None:
                add(encode(body))
            # As `lines.renamed` does it, which costs as much again to call.
            elif body[40:43] == b'Z",' and body.startswith(_PREFIX) and b"\n" not in body:
                add(_RENAMED)
                add(body[_AFTER:])
            else:
                add(reading.renamed(body))
            add(b"\n")
        return b"".join(pieces)


def make(target: Target, facts: Facts) -> Elasticsearch:
    """Return the backend that *target* describes."""
    return Elasticsearch(target, facts)


def data_stream(facts: Mapping[str, str]) -> str:
    """Return the name of the data stream for a service: type, dataset, namespace."""
    service, env = (_part(facts.get(name, "")) for name in ("service", "env"))
    return f"logs-obskit.{service or 'unknown'}-{env or 'default'}"


def _part(name: str) -> str:
    """Return *name* as a part of such a name can be: lower case, no hyphen, at most 80 bytes."""
    return re.sub("[^a-z0-9_.]+", "_", name.lower(), flags=re.ASCII)[:80].strip("_.")


def _judge(answer: Answer, count: int) -> Verdict:
    """Return what has become of the entries that an answer is about."""
    if answer.whole and answer.body.startswith(_FINE):
        return ALL_TAKEN
    try:
        found = orjson.loads(answer.body) if answer.whole else {}
        if found["errors"] is False:
            return ALL_TAKEN
        items = [next(iter(item.values())) for item in found["items"]]
        judged = [_judge_item(item) for item in items]
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration):
        judged = []
    if len(judged) != count:
        return Verdict(AGAIN, "not understood", answer=verdict.said(answer.body))
    missing = [(index, one) for index, one in enumerate(judged) if one is not None]
    return verdict.of_items(count, missing)


def _judge_item(item: dict[str, Any]) -> Verdict | None:
    """Return the verdict on one item; None if it is stored."""
    status = int(item["status"])
    if status < 300 or status == 409:
        return None
    error = item.get("error") or {}
    what = str(error.get("type", ""))
    said = verdict.said(f"{what}: {error.get('reason', '')}".encode())
    if status >= 500 or status in _STATUSES or what in _ABOUT_INDEX:
        return Verdict(AGAIN, f"status {status}", answer=said)
    return Verdict(REFUSED, f"status {status}", answer=said)
