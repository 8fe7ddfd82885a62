"""Splunk, by its HTTP Event Collector (HEC).

Sent: ``POST /services/collector/event``, one object after the other, each with time, host, source,
sourcetype and the line as its event. The sourcetype is ``obskit:json`` unless ``sourcetype=``
says else, the source the name of the service, the index the token's own unless ``index=``.
Promised: 200 means received. With ``ack=1`` an entry is taken when the indexer has acknowledged
it: the batch's number is asked for until it is there, for five minutes, before it is sent again.
Where the server gives no number (acknowledgements are off for the token) 200 has to do.
An answer that names the invalid event (codes 6, 12, 13, 15) costs that one: it is sent alone to
be sure of it, then all the others again. Whether Splunk had stored those before it is nowhere
said: they may be there twice. A wrong index or channel (codes 7, 10, 11) is nobody's line's fault
and waits for somebody to put it right.
Limits: 900 KiB (``batch_bytes=``) or 2000 entries a batch; Splunk Cloud takes 1 MiB.
Contract: Splunk's "Format events for HTTP Event Collector", "About HTTP Event Collector Indexer
Acknowledgment", "Troubleshoot HTTP Event Collector" (codes).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import orjson

from obskit.shipping import verdict
from obskit.shipping.backends import ACKNOWLEDGED, Facts
from obskit.shipping.backends import lines as reading
from obskit.shipping.backends.exchange import Exchange
from obskit.shipping.entry import Entry
from obskit.shipping.target import Target
from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

if TYPE_CHECKING:
    from obskit.http import Answer

EVENT, ACK = "/services/collector/event", "/services/collector/ack"
SOURCETYPE = "obskit:json"
_NAMES_ONE, _MISPLACED = frozenset({6, 12, 13, 15}), frozenset({7, 10, 11, 14})
# Events of one batch that are found in this way; halving finds the others.
_MOST_INVALID = 20
_LONGEST_ACK = 300.0
_FIRST_POLL, _LONGEST_POLL = 0.1, 2.0

Refused = list[tuple[int, Verdict]]


class _Pending:
    """A batch that waits to be acknowledged."""

    def __init__(self, key: tuple[str, str, int], number: int, refused: Refused) -> None:
        self.key = key
        self.number = number
        self.refused = refused
        self.until = monotonic() + _LONGEST_ACK


class Splunk:
    """One collector, by a token of its own."""

    kind = "line"
    promise = ACKNOWLEDGED
    most_entries = 2000

    def __init__(self, target: Target, facts: Facts) -> None:
        self.url = target.url
        self.most_bytes = target.number("batch_bytes", 900 * 1024)
        self._exchange = Exchange(target, EVENT, word="Splunk")
        self._waits = target.flag("ack")
        self.channel = str(uuid.uuid4())
        self._headers = {
            "Content-Type": "application/json",
            "X-Splunk-Request-Channel": self.channel,
        }
        known = {
            "host": facts.get("host"),
            "source": target.options.get("source") or facts.get("service"),
            "sourcetype": target.options.get("sourcetype", SOURCETYPE),
            "index": target.options.get("index"),
        }
        self._known = orjson.dumps({name: one for name, one in known.items() if one})[1:-1]
        self._pending: _Pending | None = None

    def send(self, batch: Sequence[Entry], seconds: float) -> Verdict:
        """Send *batch*, or ask whether it has been acknowledged where it was sent before."""
        deadline = monotonic() + seconds
        key = (batch[0].id, batch[-1].id, len(batch))
        pending = self._pending
        if pending is None or pending.key != key or monotonic() > pending.until:
            self._pending = None
            found, refused, number = self._deliver(batch, deadline)
            if number is None or not self._waits:
                return _joined(len(batch), found, refused)
            pending = self._pending = _Pending(key, number, refused)
        found = self._wait(pending.number, deadline)
        if found.kind == TAKEN:
            self._pending = None
        return _joined(len(batch), found, pending.refused) if found.kind == TAKEN else found

    def _deliver(
        self, batch: Sequence[Entry], deadline: float
    ) -> tuple[Verdict, Refused, int | None]:
        """Send all of *batch* but the events that are found to be invalid."""
        kept = list(enumerate(batch))
        refused: Refused = []
        while True:
            answer = self._post([entry for _, entry in kept], deadline)
            found, said = self._judge(answer)
            number = said.get("invalid-event-number")
            if (
                found.kind != REFUSED
                or said.get("code") not in _NAMES_ONE
                or type(number) is not int
                or not 0 <= number < len(kept)
                or len(refused) >= _MOST_INVALID
            ):
                acknowledged = said.get("ackId")
                return found, refused, acknowledged if type(acknowledged) is int else None
            alone = found
            if len(kept) > 1:
                alone, _ = self._judge(self._post([kept[number][1]], deadline))
            if alone.kind != REFUSED:
                return found, refused, None
            refused.append((kept.pop(number)[0], alone._replace(part=False)))
            if not kept:
                return ALL_TAKEN, refused, None

    def _post(self, entries: Sequence[Entry], deadline: float) -> Answer | Verdict:
        left = deadline - monotonic()
        if left <= 0:
            return Verdict(AGAIN, "timeout")
        return self._exchange.post(EVENT, self.encode(entries), left, self._headers)

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """Return the body of a request."""
        known = self._known
        return b"\n".join(
            [
                b'{"time":%b,%b,"event":%b}' % (reading.seconds(body), known, reading.whole(body))
                for _, body in entries
            ]
        )

    def _judge(self, answer: Answer | Verdict) -> tuple[Verdict, dict[str, Any]]:
        """Return what an answer means, and what it says."""
        found = self._exchange.judge(answer)
        if isinstance(answer, Verdict):
            return found, {}
        try:
            said = orjson.loads(answer.body)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not answer.whole:
            # Without its text a success is none: a proxy may say 200 for reasons of its own.
            unknown = Verdict(AGAIN, "not understood", answer=found.answer)
            return (unknown if found.kind == TAKEN else found), {}
        code = said.get("code")
        if found.kind == REFUSED and code in _MISPLACED:
            found = found._replace(kind=AGAIN, why=f"code {code}", part=False)
        return found, said

    def _wait(self, number: int, deadline: float) -> Verdict:
        """Ask for an acknowledgement until it is there."""
        body = b'{"acks":[%d]}' % number
        pause = _FIRST_POLL
        while True:
            left = deadline - monotonic()
            if left <= 0:
                return Verdict(AGAIN, "not acknowledged yet")
            path = f"{ACK}?channel={self.channel}"
            found, said = self._judge(self._exchange.post(path, body, left, self._headers))
            if said.get("code") == 14:
                return Verdict(TAKEN, "acknowledgements are off")
            if found.kind != TAKEN:
                return found._replace(kind=AGAIN, part=False)
            acks = said.get("acks")
            if isinstance(acks, dict) and acks.get(str(number)) is True:
                return ALL_TAKEN
            sleep(max(0.0, min(pause, deadline - monotonic())))
            pause = min(_LONGEST_POLL, pause * 1.5)

    def forget(self) -> None:
        """Leave the connection to the parent, after a fork, and what it waits for."""
        self._pending = None
        self.channel = str(uuid.uuid4())
        self._headers = {**self._headers, "X-Splunk-Request-Channel": self.channel}
        self._exchange.forget()

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()


def _joined(count: int, found: Verdict, refused: Refused) -> Verdict:
    """Return the verdict on a batch of which some entries were *refused*, the others *found*."""
    if not refused or found.kind == REFUSED:
        return found
    if found.kind == TAKEN:
        return verdict.of_items(count, sorted(refused))
    gone = {index for index, _ in refused}
    others = [(index, found) for index in range(count) if index not in gone]
    return verdict.of_items(count, sorted(refused + others))


def make(target: Target, facts: Facts) -> Splunk:
    """Return the backend that *target* describes."""
    return Splunk(target, facts)
