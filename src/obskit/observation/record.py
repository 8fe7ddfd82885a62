"""The record of one observed unit of work."""

from __future__ import annotations

from enum import Enum
from typing import Any

from obskit import clock
from obskit.context import Context


class Kind(Enum):
    """The side of a call or message that is observed (OpenTelemetry's span kinds)."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    INTERNAL = "internal"

    # Members are told apart by identity; Enum's own hash is a Python function, and asked often.
    __hash__ = object.__hash__


ENTRIES = frozenset({Kind.SERVER, Kind.CONSUMER})
EXITS = frozenset({Kind.CLIENT, Kind.PRODUCER})


class Observation:
    """One unit of work, or one step of it, as the observers see it.

    *labels* have few values each and may become labels of metrics; *attributes* may have
    any value and never do. *protocol* (``http``, ``messaging``, ``task``, ``db``, ``rpc`` or
    nothing) chooses the metrics. *library* names the module root that the work was seen in.
    """

    # What most have in common stands on the class: one is made for each request and call.
    status: int | None = None
    error: BaseException | None = None
    # What is known of the error, found out when somebody asks `failure` for it.
    failure: Any = None
    outcome = "ok"
    client_gone = False
    rejected = False
    # Successful health checks and scrapes: neither summary line nor span.
    quiet = False
    source = "generated"
    invalid_id: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    context: Context | None = None
    previous: Context | None = None
    previous_position: clock.Position | None = None
    started_ns = 0
    started_at_ns = 0
    duration_ns = 0
    finished = False
    # What observers keep for themselves between start and end.
    notes: dict[str, Any] | None = None

    def __init__(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        protocol: str = "",
        labels: dict[str, str] | None = None,
        attributes: dict[str, Any] | None = None,
        carrier: Any = None,
        peer: str | None = None,
        library: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.protocol = protocol
        self.labels = {} if labels is None else labels
        self.attributes = {} if attributes is None else attributes
        self.carrier = carrier
        # Entries: the sender's address. Exits: the host that is called, with port if unusual.
        self.peer = peer
        self.library = library
        self.entry = kind in ENTRIES

    def __repr__(self) -> str:
        return f"<Observation {self.kind.value} {self.name!r} outcome={self.outcome}>"


class Message(Observation):
    """The work on one message or task, and what its transport says of it.

    *sent_at* is in seconds since 1970, None where the transport does not say; *redelivered* None
    where it cannot tell; *attempt* counts from 1. *retried* says that the work will be done
    again, *dead_lettered* that it will not, although it failed.
    """

    sent_at: float | None = None
    redelivered: bool | None = None
    attempt = 1
    retried = False
    dead_lettered = False
    # What `ages` has returned.
    known_ages: tuple[float | None, float | None] | None = None

    @property
    def age(self) -> float | None:
        """Seconds from when the message was sent to when the work on it began."""
        here, sent_at = self.context, self.sent_at
        if sent_at is None:
            if here is None or not here.unit.sent_ms:
                return None
            sent_at = here.unit.sent_ms / 1e3
        # The clock of the sender may be ahead of ours.
        return max(0.0, self.started_at_ns / 1e9 - sent_at)

    @property
    def end_to_end_age(self) -> float | None:
        """Seconds from the birth of the operation, in whatever service, to the end of the work."""
        here = self.context
        if here is None or not here.unit.born_ms:
            return None
        ended_at = (self.started_at_ns + self.duration_ns) / 1e9
        return max(0.0, ended_at - here.unit.born_ms / 1e3)

    def ages(self) -> tuple[float | None, float | None]:
        """Return `age` and `end_to_end_age` of work that is over; they are computed once."""
        if self.known_ages is not None:
            return self.known_ages
        here, sent_at, began = self.context, self.sent_at, self.started_at_ns / 1e9
        age = since_birth = None
        if here is not None:
            unit = here.unit
            if sent_at is None and unit.sent_ms:
                sent_at = unit.sent_ms / 1e3
            if unit.born_ms:
                since_birth = (self.started_at_ns + self.duration_ns) / 1e9 - unit.born_ms / 1e3
                if since_birth < 0.0:
                    since_birth = 0.0
        if sent_at is not None:
            age = began - sent_at if began > sent_at else 0.0
        known = self.known_ages = (age, since_birth)
        return known

    def told(self) -> dict[str, Any]:
        """Return what is said of it at its end, beside what is said of all work."""
        told: dict[str, Any] = {}
        age, since_birth = self.ages()
        if age is not None:
            told["message_age_ms"] = round(age * 1000, 3)
        if since_birth is not None:
            told["end_to_end_age_ms"] = round(since_birth * 1000, 3)
        if self.attempt > 1:
            told["attempt"] = self.attempt
        for name in ("redelivered", "retried", "dead_lettered"):
            if getattr(self, name):
                told[name] = True
        return told
