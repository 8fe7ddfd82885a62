"""Logstash, by its inputs ``http`` and ``tcp``.

Sent: by HTTP one JSON array, which the input's codec ``json`` makes an event of each element; by
TCP (``logstash+tcp://``, ``logstash+tls://``) one object a line, for the codec ``json_lines``.
``timestamp`` is called ``@timestamp``, which is the event's time to Logstash; ``format=ecs`` sends
another schema. The input ``http`` writes the sender's address to ``host``, where our host's name
is, or fails at it: it needs ``remote_host_target_field => "[@metadata][remote_host]"``.
Promised: by HTTP 200 means that it is in the pipeline's queue; 429 means that the queue is full,
and the batch waits. By TCP nobody answers: best effort; what was on its way in a connection that
breaks is lost, and a batch that broke off in the middle is sent again as a whole.
Limits: 1 MiB or 2000 entries a batch.
Contract: Elastic's "Http input plugin", "Tcp input plugin", "Json_lines codec plugin".
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.shipping import verdict
from obskit.shipping.backends import ACKNOWLEDGED, BEST_EFFORT, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange, OverHttp
from obskit.shipping.backends.stream import OverTcp
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import ALL_TAKEN, Verdict

_HEADERS = {"Content-Type": "application/json"}


class Http(OverHttp):
    """One input ``http``."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_bytes = 1024 * 1024
    most_entries = 2000

    def __init__(self, target: Target) -> None:
        self.url = target.url
        self._exchange = Exchange(target)
        self._encode = reading.encoder(target) or reading.renamed

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch* in one request."""
        body = b"[%b]" % b",".join([self._encode(entry.body) for entry in batch])
        return self._exchange.judge(self._exchange.post("/", body, seconds, _HEADERS))


class Tcp(OverTcp):
    """One input ``tcp``."""

    kind = "line"
    promise = BEST_EFFORT
    most_bytes = 1024 * 1024
    most_entries = 2000

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._encode = reading.encoder(target) or reading.renamed

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Write *batch* to the connection."""
        data = b"".join([self._encode(entry.body) + b"\n" for entry in batch])
        try:
            self._stream.write(data, seconds)
        except OSError as error:
            return verdict.of_error(error)
        return ALL_TAKEN


def make(target: Target, facts: Facts) -> Http | Tcp:
    """Return the backend that *target* describes."""
    return Http(target) if target.scheme in ("http", "https") else Tcp(target)
