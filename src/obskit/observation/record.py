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

    __slots__ = (
        "attributes",
        "carrier",
        "client_gone",
        "context",
        "duration_ns",
        "entry",
        "error",
        "finished",
        "invalid_id",
        "kind",
        "labels",
        "library",
        "links",
        "name",
        "notes",
        "outcome",
        "peer",
        "previous",
        "previous_position",
        "protocol",
        "quiet",
        "rejected",
        "source",
        "started_at_ns",
        "started_ns",
        "status",
    )

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
        self.status: int | None = None
        self.error: BaseException | None = None
        self.outcome = "ok"
        self.client_gone = False
        self.rejected = False
        # Successful health checks and scrapes: neither summary line nor span.
        self.quiet = False
        self.entry = kind in ENTRIES
        self.source = "generated"
        self.invalid_id: str | None = None
        self.links: tuple[tuple[str, str], ...] = ()
        self.context: Context | None = None
        self.previous: Context | None = None
        self.previous_position: clock.Position | None = None
        self.started_ns = 0
        self.started_at_ns = 0
        self.duration_ns = 0
        self.finished = False
        # What observers keep for themselves between start and end.
        self.notes: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Observation {self.kind.value} {self.name!r} outcome={self.outcome}>"
