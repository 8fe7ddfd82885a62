"""Say what a service reads from carriers, what it believes, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Literal

from obskit.propagation.inbound import Boundary

Trust = Literal["auto", "internal", "edge"]

# Rare enough to be looked for all at once.
OTHER_TRACERS = frozenset(
    {"b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-amzn-trace-id"}
)
_JUDGES: dict[str, Callable[[str | None, Mapping[str, str]], bool]] = {
    "internal": lambda peer, headers: True,
    "edge": lambda peer, headers: False,
}


class Policy:
    """What is read, believed and written; made from the settings, and never changed."""

    def __init__(
        self,
        service: str = "",
        trust: Trust = "auto",
        propagate: frozenset[str] = frozenset({"correlation", "w3c"}),
        correlation_header: str = "X-Correlation-ID",
        cause_header: str = "Obskit-Cause",
        ratio: float = 1.0,
        boundary: Boundary | None = None,
    ) -> None:
        self.service = service
        self.trust = trust
        self.propagate = propagate
        self.correlation_header = correlation_header
        self.cause_header = cause_header
        self.ratio = ratio
        self.boundary = boundary or Boundary()

    def judge(self) -> Callable[[str | None, Mapping[str, str]], bool]:
        """Return what tells whether a peer with these headers is one of ours."""
        return _JUDGES.get(self.trust) or self.boundary.trusts

    def near(self) -> AbstractSet[str | None]:
        """Return peers that are ours if they forward for nobody, as far as is known by now."""
        return frozenset() if self.trust in _JUDGES else self.boundary.near

    def names(self) -> frozenset[str]:
        """Return the names of all headers that are read, in lower case."""
        return OTHER_TRACERS | {
            self.correlation_header.lower(),
            self.cause_header.lower(),
            "x-request-id",
            "traceparent",
            "tracestate",
            "baggage",
            "x-forwarded-for",
            "forwarded",
        }
