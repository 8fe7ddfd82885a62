"""The names of headers as servers spell them, ready made for the policy in force."""

from __future__ import annotations

from typing import Any

from obskit import propagation
from obskit.propagation import Policy

_MOST_SPELLINGS = 500


class Known(dict[Any, bool | None]):
    """What names of headers of answers mean, by how applications spell them.

    True for those that are replaced by ours, False for those that are *looked_at*, None for
    all others. Few spellings are used again and again, so it is not found out each time.
    """

    def __init__(self, replaced: frozenset[Any], looked_at: frozenset[Any] = frozenset()) -> None:
        self.replaced = replaced
        self.looked_at = looked_at

    def __missing__(self, name: Any) -> bool | None:
        lower = name.lower()
        meaning = True if lower in self.replaced else False if lower in self.looked_at else None
        if len(self) < _MOST_SPELLINGS:
            self[name] = meaning
        return meaning


class Wire:
    """What is looked up in each request, as text and as bytes."""

    __slots__ = (
        "cause",
        "cause_bytes",
        "correlation",
        "correlation_bytes",
        "environ_names",
        "generation",
        "header",
        "known",
        "known_bytes",
        "policy",
        "replaced",
        "says_id",
        "scope_names",
    )

    def __init__(self, policy: Policy, names: frozenset[str]) -> None:
        self.policy = policy
        self.generation = propagation.generation
        self.says_id = "correlation" in policy.propagate
        self.header = policy.correlation_header
        self.correlation = policy.correlation_header.lower()
        self.correlation_bytes = self.correlation.encode()
        self.cause = policy.cause_header.lower()
        self.cause_bytes = self.cause.encode()
        self.replaced = frozenset((self.correlation, self.cause) if self.says_id else (self.cause,))
        self.known = Known(self.replaced, frozenset({"content-length"}))
        self.known_bytes = Known(frozenset(name.encode() for name in self.replaced))
        self.scope_names = {name.encode(): name for name in names}
        self.environ_names = {f"HTTP_{name.upper().replace('-', '_')}": name for name in names}


latest = Wire(propagation.policy(), propagation.names)
"""The names for a policy; those for the one in force have its generation."""


def current() -> Wire:
    """Return the names for the policy in force."""
    global latest
    if latest.generation != propagation.generation:
        latest = Wire(propagation.policy(), propagation.names)
    return latest
