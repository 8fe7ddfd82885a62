"""Take an operation's identity from a carrier, and put it into one.

A carrier for reading is a mapping of lower-case names to text. Of a name that came several
times the values are joined with commas, as HTTP says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from obskit import clock, context
from obskit.context import RANDOM, SAMPLED, Context, Unit
from obskit.propagation import causal, correlation, w3c
from obskit.propagation.inbound import Boundary

__all__ = ["Entry", "Policy", "configure", "enter", "extract", "headers", "hear", "policy"]

Trust = Literal["auto", "internal", "edge"]

LONGEST_OWN = 512
_HALF = 1 << 56


@dataclass(frozen=True, slots=True)
class Policy:
    """What is read, believed and written; made from the settings."""

    service: str = ""
    trust: Trust = "auto"
    propagate: frozenset[str] = frozenset({"correlation", "w3c"})
    correlation_header: str = "X-Correlation-ID"
    cause_header: str = "Obskit-Cause"
    ratio: float = 1.0
    boundary: Boundary = Boundary()


@dataclass(frozen=True, slots=True)
class Entry:
    """What came in: the new unit of work, its first clock position, why an ID was refused."""

    unit: Unit
    position: clock.Position
    invalid: str | None = None


_policy = Policy()
_correlation_key = "x-correlation-id"
_cause_key = "obskit-cause"

# The names that extract() looks at; entry points need to pick only these.
names: frozenset[str] = frozenset()


def configure(policy: Policy) -> None:
    """Make *policy* the one in force."""
    global _policy, _correlation_key, _cause_key, names
    _policy = policy
    _correlation_key = policy.correlation_header.lower()
    _cause_key = policy.cause_header.lower()
    names = frozenset(
        {
            _correlation_key,
            _cause_key,
            "x-request-id",
            "traceparent",
            "tracestate",
            "baggage",
            "b3",
            "x-b3-traceid",
            "x-amzn-trace-id",
            "x-forwarded-for",
            "forwarded",
        }
    )


def policy() -> Policy:
    """Return the policy in force."""
    return _policy


def extract(
    headers: Mapping[str, str], peer: str | None = None, *, source: str = "generated"
) -> Entry:
    """Return the unit of work that *headers* begin or continue; attach nothing.

    *peer* is the sender's address, which decides on trust. *source* is what
    ``correlation_source`` says where nothing was inherited.
    """
    trust = _policy.trust
    internal = trust == "internal" or (
        trust == "auto" and _policy.boundary.trusts(peer, headers)
    )
    own, others = _baggage(headers)
    parent = _parent(headers)
    known, origin, invalid = _known_id(headers, own, parent)
    if not internal:
        return _restart(known, parent, invalid)
    return _continue(headers, own, others, parent, known, origin or source, invalid)


def _baggage(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    text = headers.get("baggage")
    return w3c.split_baggage(text) if text else ({}, "")


def _parent(headers: Mapping[str, str]) -> w3c.Traceparent | None:
    text = headers.get("traceparent")
    return w3c.parse_traceparent(text) if text else None


def _known_id(
    headers: Mapping[str, str], own: dict[str, str], parent: w3c.Traceparent | None
) -> tuple[str | None, str, str | None]:
    """Return the first valid ID, where it stood, and why an earlier one was refused."""
    invalid = None
    for text, origin in (
        (headers.get(_correlation_key), "inherited"),
        (own.get("correlation"), "baggage"),
        (headers.get("x-request-id"), "request_id"),
    ):
        if text is None:
            continue
        if correlation.is_valid(text):
            return text, origin, invalid
        invalid = invalid or correlation.why_invalid(text)
    if parent is not None:
        return parent.trace_id, "trace", invalid
    foreign = correlation.foreign_trace_id(headers)
    if foreign is not None:
        return foreign, "trace", invalid
    return None, "invalid" if invalid else "", invalid


def _ids() -> tuple[str, str]:
    """Return a new trace ID and a new span ID."""
    digits = os.urandom(24).hex()
    return digits[:32], digits[32:]


def _restart(
    known: str | None, parent: w3c.Traceparent | None, invalid: str | None
) -> Entry:
    """Begin an operation of our own at the edge; what the client said is kept beside it."""
    trace_id, span_id = _ids()
    unit = Unit(
        trace_id,
        "restarted" if known else "invalid" if invalid else "generated",
        trace_id,
        span_id,
        flags=sample(trace_id),
        client_correlation_id=known,
        links=((parent.trace_id, parent.span_id),) if parent else (),
        trusted=False,
    )
    return Entry(unit, clock.begin(span_id), invalid)


def _continue(
    headers: Mapping[str, str],
    own: dict[str, str],
    others: str,
    parent: w3c.Traceparent | None,
    known: str | None,
    origin: str,
    invalid: str | None,
) -> Entry:
    trace_id, span_id = _ids()
    flags = 0
    if parent is not None:
        trace_id, flags = parent.trace_id, parent.flags
    elif known is not None and origin == "trace":
        trace_id = known
    unit = Unit(
        known or trace_id,
        origin,
        trace_id,
        span_id,
        parent_span_id=parent.span_id if parent else None,
        flags=flags if parent is not None else sample(trace_id),
        baggage=others,
        tracestate=_tracestate(headers) if parent is not None else "",
    )
    if own:
        _take_own(unit, own)
    cause = clock.parse(headers.get(_cause_key) or own.get("cause") or "")
    broken = cause is None and known is not None
    return Entry(unit, clock.begin(span_id, cause, broken=broken), invalid)


def _tracestate(headers: Mapping[str, str]) -> str:
    text = headers.get("tracestate")
    return w3c.parse_tracestate(text) if text else ""


def _take_own(unit: Unit, own: dict[str, str]) -> None:
    for name in ("caller", "causation", "synthetic"):
        text = own.get(name)
        if text is not None and correlation.is_valid(text):
            setattr(unit, "causation_id" if name == "causation" else name, text)
    hop = own.get("hop", "")
    if len(hop) <= 6 and hop.isascii() and hop.isdigit():
        unit.hop = int(hop) + 1


def sample(trace_id: str) -> int:
    """Return the flags of a new trace: sampled by the trace ID itself, at the set ratio."""
    ratio = _policy.ratio
    if ratio >= 1.0 or int(trace_id[-14:], 16) >= (1.0 - ratio) * _HALF:
        return SAMPLED | RANDOM
    return RANDOM


def enter(
    *, correlation_id: str | None = None, source: str = "generated"
) -> tuple[Context, clock.Position]:
    """Return context and clock of a unit of work that nobody sent (a cron job, a script)."""
    trace_id, span_id = _ids()
    unit = Unit(
        correlation_id or trace_id,
        "given" if correlation_id else source,
        trace_id,
        span_id,
        flags=sample(trace_id),
    )
    return Context(unit, span_id, None, {}), clock.begin(span_id)


def headers(peer: str | None = None) -> list[tuple[str, str]]:
    """Return what a message to the host *peer* sent now must carry, as names and values.

    Inside (also where *peer* is None: a broker of ours) that is everything; to other hosts
    only the correlation ID and the traceparent go. Empty outside of a unit of work.
    """
    current = context.current()
    if current is None:
        return []
    unit = current.unit
    chosen = _policy.propagate
    out: list[tuple[str, str]] = []
    if "correlation" in chosen:
        out.append((_policy.correlation_header, unit.correlation_id))
    if "w3c" in chosen:
        out.append(
            ("traceparent", w3c.format_traceparent(unit.trace_id, current.span_id, unit.flags))
        )
    if peer is not None and not _policy.boundary.is_internal_host(peer):
        return out
    cause = causal.value()
    if cause is not None:
        out.append((_policy.cause_header, cause))
    if "w3c" in chosen:
        if unit.tracestate:
            out.append(("tracestate", unit.tracestate))
        own = _own_baggage(unit)
        if cause is not None:
            own += ",obskit.cause=" + cause
        out.append(("baggage", f"{own},{unit.baggage}" if unit.baggage else own))
    return out


def _own_baggage(unit: Unit) -> str:
    """Return our entries but the clock, which changes; made once for each unit of work."""
    wire = unit.wire
    if isinstance(wire, str):
        return wire
    entries = f"obskit.correlation={unit.correlation_id},obskit.hop={unit.hop}"
    entries += f",obskit.causation={unit.root_span_id}"
    if _policy.service and correlation.is_valid(_policy.service):
        entries += f",obskit.caller={_policy.service}"
    if unit.synthetic:
        entries += f",obskit.synthetic={unit.synthetic}"
    # Of our entries only the probe's name and the ID have no fixed size.
    unit.wire = entries[:LONGEST_OWN].rpartition(",")[0] if len(entries) > LONGEST_OWN else entries
    return str(unit.wire)


def hear(headers: Mapping[str, str]) -> None:
    """Take in the clock of an answer."""
    causal.heard(headers.get(_cause_key))


configure(_policy)
