"""Take an operation's identity from a carrier, and put it into one.

A carrier for reading is a mapping of lower-case names to text. Of a name that came several
times the values are joined with commas, as HTTP says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from obskit import clock, context, health
from obskit.context import RANDOM, SAMPLED, Context, Unit
from obskit.propagation import b3, carrier, causal, correlation, w3c
from obskit.propagation.inbound import Boundary

__all__ = [
    "Entry",
    "Policy",
    "configure",
    "enter",
    "extract",
    "headers",
    "hear",
    "policy",
    "readable",
]

Trust = Literal["auto", "internal", "edge"]
_HALF = 1 << 56
_urandom = os.urandom
_is_valid = correlation.is_valid
# Rare enough to be looked for all at once.
_OTHER_TRACERS = frozenset(
    {"b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-amzn-trace-id"}
)
# A header cut here is no valid list any more, or one with too many members.
_LONGEST_TRACESTATE = 17_000


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


class Entry:
    """What came in: the new unit of work, its first clock position, why an ID was refused."""

    __slots__ = ("invalid", "position", "unit")

    def __init__(self, unit: Unit, position: clock.Position, invalid: str | None = None) -> None:
        self.unit = unit
        self.position = position
        self.invalid = invalid


_policy = Policy()
# Tells whether a peer with these headers is one of ours.
_is_internal: Callable[[str | None, Mapping[str, str]], bool] = _policy.boundary.trusts
_JUDGES: dict[str, Callable[[str | None, Mapping[str, str]], bool]] = {
    "internal": lambda peer, headers: True,
    "edge": lambda peer, headers: False,
}
_correlation_key = "x-correlation-id"
_cause_key = "obskit-cause"
_caller = ""

# The names that extract() looks at; entry points need to pick only these.
names: frozenset[str] = frozenset()

# Says what of others travels on, where more may be known than what came in.
foreign: Callable[[Unit], str] | None = None

# Another number after each configure(): who keeps what follows from the policy looks here.
generation = 0


def configure(policy: Policy) -> None:
    """Make *policy* the one in force."""
    global _policy, _correlation_key, _cause_key, _caller, _is_internal, names, generation
    _policy = policy
    _is_internal = _JUDGES.get(policy.trust) or policy.boundary.trusts
    generation += 1
    _correlation_key = policy.correlation_header.lower()
    _cause_key = policy.cause_header.lower()
    _caller = correlation.fit(policy.service)
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
            "x-b3-spanid",
            "x-b3-sampled",
            "x-b3-flags",
            "x-amzn-trace-id",
            "x-forwarded-for",
            "forwarded",
        }
    )


def policy() -> Policy:
    """Return the policy in force."""
    return _policy


def readable(source: object) -> dict[str, str]:
    """Return what *source*, headers of any shape or a message, has for `extract`. Never raises."""
    try:
        return carrier.pick(source, names)
    except Exception as error:
        health.internal_error("propagation.readable", error)
        return {}


def extract(
    headers: Mapping[str, str],
    peer: str | None = None,
    source: str = "generated",
    believed: bool = False,
) -> Entry:
    """Return the unit of work that *headers* begin or continue; attach nothing.

    *peer* is the sender's address, which decides on trust, unless the headers are *believed*
    anyhow: those of a broker of ours, or of the program itself. *source* is what
    ``correlation_source`` says where nothing was inherited.
    """
    return Entry(*take(headers, peer, source, believed))


def take(
    headers: Mapping[str, str], peer: str | None, source: str, believed: bool
) -> tuple[Unit, clock.Position, str | None]:
    """Return what `extract` does, as a tuple: each request waits for this."""
    internal = believed or _is_internal(peer, headers)
    if not headers and internal:
        return _begin(source)
    trace_id = parent_id = flags = carried = state = None
    own: w3c.OwnFields | None = None
    others = ""
    text = headers.get("traceparent")
    if text:
        trace_id, parent_id, flags = w3c.read_traceparent(text)
    if trace_id is not None:
        state = headers.get("tracestate")
    elif not _OTHER_TRACERS.isdisjoint(headers):
        trace_id, parent_id, flags = _other_parent(headers)
    text = headers.get("baggage")
    if text:
        own, others = w3c.read_baggage(text)
        carried = own[0]
    text = headers.get(_correlation_key)
    known: str | None
    if text is not None and (text == trace_id or _is_valid(text)):
        known, origin, invalid = text, "inherited", None
    elif text is None and trace_id and own is None and "x-request-id" not in headers:
        known, origin, invalid = trace_id, "trace", None
    else:
        known, origin, invalid = correlation.next_best(text, headers, carried, trace_id)
    if not internal:
        return _restart(known, trace_id, parent_id, invalid)
    digits = _urandom(24).hex()
    span_id, random = digits[32:], 0
    if trace_id is None:
        if known is not None and origin == "trace":
            trace_id = known
        else:
            trace_id, random = digits[:32], RANDOM
    if flags is None:
        flags = sample(trace_id) & SAMPLED
    unit = Unit(known or trace_id, origin or source, trace_id, span_id, parent_id, flags | random)
    if state is not None:
        unit.tracestate = w3c.parse_tracestate(state[:_LONGEST_TRACESTATE])
    if others:
        unit.baggage = others
    text = headers.get(_cause_key)
    cause = clock.parse(text) if text is not None else None
    if own is not None:
        cause = _take_own(unit, own, cause)
    return unit, clock.begin(span_id, cause, cause is None and known is not None), invalid


def _begin(source: str) -> tuple[Unit, clock.Position, None]:
    trace_id, span_id = _ids()
    unit = Unit(trace_id, source, trace_id, span_id, None, sample(trace_id))
    return unit, clock.begin(span_id), None


def _other_parent(headers: Mapping[str, str]) -> tuple[str | None, str | None, int | None]:
    """Return the span that B3 names, and the decision on sampling where one was made."""
    found = b3.parse(headers)
    if found is None:
        return None, None, None
    return found.trace_id or None, found.span_id or None, found.flags


def _ids() -> tuple[str, str]:
    """Return a new trace ID and a new span ID."""
    digits = os.urandom(24).hex()
    return digits[:32], digits[32:]


def _restart(
    known: str | None, trace_id: str | None, parent_id: str | None, invalid: str | None
) -> tuple[Unit, clock.Position, str | None]:
    """Begin an operation of our own at the edge; what the client said is kept beside it."""
    own_trace_id, span_id = _ids()
    unit = Unit(
        own_trace_id,
        "restarted" if known else "invalid" if invalid else "generated",
        own_trace_id,
        span_id,
        flags=sample(own_trace_id),
        client_correlation_id=known,
        links=((trace_id, parent_id),) if trace_id and parent_id else (),
        trusted=False,
    )
    return unit, clock.begin(span_id), invalid


def _take_own(unit: Unit, own: w3c.OwnFields, cause: clock.Cause | None) -> clock.Cause | None:
    """Put into *unit* what our baggage says; return the clock, which may stand there alone."""
    _, hop, unit.causation_id, unit.caller, unit.synthetic, carried = own
    if hop:
        unit.hop = int(hop) + 1
    if cause is None and carried:
        return clock.parse(carried)
    return cause


def sample(trace_id: str) -> int:
    """Return the flags of a new trace: sampled by the trace ID itself, at the set ratio."""
    ratio = _policy.ratio
    if ratio >= 1.0 or int(trace_id[-14:], 16) >= (1.0 - ratio) * _HALF:
        return SAMPLED | RANDOM
    return RANDOM


def enter(*, source: str = "generated") -> tuple[Context, clock.Position]:
    """Return context and clock of a unit of work that nobody sent (a cron job, a script)."""
    trace_id, span_id = _ids()
    unit = Unit(trace_id, source, trace_id, span_id, None, sample(trace_id))
    return Context(unit, span_id, None, {}), clock.begin(span_id)


def headers(peer: str | None = None) -> list[tuple[str, str]]:
    """Return what a message to the host *peer* sent now must carry, as names and values.

    Inside (also where *peer* is None: a broker of ours) that is everything; to other hosts
    only the correlation ID and the traceparent go. Empty outside of a unit of work.
    """
    current = context.current()
    if current is None:
        return []
    unit, span_id = current.unit, current.span_id
    chosen = _policy.propagate
    out: list[tuple[str, str]] = []
    if "correlation" in chosen:
        out.append((_policy.correlation_header, unit.correlation_id))
    if "w3c" in chosen:
        out.append(("traceparent", w3c.format_traceparent(unit.trace_id, span_id, unit.flags)))
    if peer is not None and not _policy.boundary.is_internal_host(peer):
        return out
    if "w3c" in chosen and unit.tracestate:
        out.append(("tracestate", unit.tracestate))
    if "b3" in chosen:
        out.append(("b3", b3.single(unit.trace_id, span_id, unit.flags)))
    if "b3multi" in chosen:
        out += b3.multi(unit.trace_id, span_id, unit.flags)
    if "correlation" in chosen or "w3c" in chosen:
        _append_clock_and_baggage(out, unit)
    return out


def _append_clock_and_baggage(out: list[tuple[str, str]], unit: Unit) -> None:
    own = _own_baggage(unit)
    try:
        cause = causal.value()
    except Exception as error:
        health.internal_error("propagation.clock", error)
        cause = None
    if cause is not None:
        out.append((_policy.cause_header, cause))
        entry = ",obskit.cause=" + cause
        # The header says the same, so the entry may be left out where it has no room.
        if len(own) + len(entry) <= w3c.LONGEST_OWN:
            own += entry
    theirs = unit.baggage if foreign is None else foreign(unit)
    out.append(("baggage", f"{own},{theirs}" if theirs else own))


def _own_baggage(unit: Unit) -> str:
    """Return our entries but the clock, which changes; made once for each unit of work.

    With the longest IDs and names they have 489 bytes.
    """
    wire = unit.wire
    if isinstance(wire, str):
        return wire
    entries = f"obskit.correlation={unit.correlation_id},obskit.hop={unit.hop}"
    entries += f",obskit.causation={unit.root_span_id}"
    if _caller:
        entries += f",obskit.caller={_caller}"
    if unit.synthetic:
        entries += f",obskit.synthetic={unit.synthetic}"
    unit.wire = entries
    return entries


def hear(headers: Mapping[str, str], peer: str | None = None) -> None:
    """Take in the clock of an answer from the host *peer*; a foreign one is not believed."""
    try:
        if peer is None or _policy.boundary.is_internal_host(peer):
            causal.heard(headers.get(_cause_key))
    except Exception as error:
        health.internal_error("propagation.hear", error)


configure(_policy)
