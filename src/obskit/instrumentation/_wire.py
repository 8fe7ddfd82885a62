"""The names of headers as servers spell them, ready made for the policy in force."""

from __future__ import annotations

from obskit import propagation
from obskit.propagation import Policy


class Wire:
    """What is looked up in each request, as text and as bytes."""

    __slots__ = (
        "cause",
        "cause_bytes",
        "correlation",
        "correlation_bytes",
        "environ_names",
        "generation",
        "policy",
        "replaced",
        "replaced_bytes",
        "says_id",
        "scope_names",
    )

    def __init__(self, policy: Policy, names: frozenset[str]) -> None:
        self.policy = policy
        self.generation = propagation.generation
        self.says_id = "correlation" in policy.propagate
        self.correlation = policy.correlation_header.lower()
        self.correlation_bytes = self.correlation.encode()
        self.cause = policy.cause_header.lower()
        self.cause_bytes = self.cause.encode()
        self.replaced = frozenset((self.correlation, self.cause) if self.says_id else (self.cause,))
        self.replaced_bytes = frozenset(name.encode() for name in self.replaced)
        self.scope_names = {name.encode(): name for name in names}
        self.environ_names = tuple(
            (f"HTTP_{name.upper().replace('-', '_')}", name) for name in sorted(names)
        )


_wire = Wire(propagation.policy(), propagation.names)


def current() -> Wire:
    """Return the names for the policy in force."""
    global _wire
    if _wire.generation != propagation.generation:
        _wire = Wire(propagation.policy(), propagation.names)
    return _wire
