"""Take an operation's identity from a carrier, and put it into one.

A carrier for reading is a mapping of lower-case names to text. Of a name that came several
times the values are joined with commas, as HTTP says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from time import time_ns

from obskit import clock, context, health
from obskit.context import OURS, RANDOM, SAMPLED, Context, Unit
from obskit.propagation import causal, correlation, w3c
from obskit.propagation.policy import OTHER_TRACERS, Policy

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

_HALF = 1 << 56
_urandom = os.urandom
_is_valid = correlation.is_valid
# A header cut here is no valid list any more, or one with too many members.
_LONGEST_TRACESTATE = 17_000
MOST_OTHER_IDS = 8


Taken = tuple[Unit, clock.Position, str | None]


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
_near: AbstractSet[str | None] = frozenset()
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
    global _policy, _correlation_key, _cause_key, _caller, _is_internal, _near, names, generation
    _policy = policy
    _is_internal, _near = policy.judge(), policy.near()
    generation += 1
    _correlation_key = policy.correlation_header.lower()
    _cause_key = policy.cause_header.lower()
    _caller = correlation.fit(policy.service)
    names = policy.names()


def policy() -> Policy:
    """Return the policy in force."""
    return _policy


def readable(source: object) -> dict[str, str]:
    """Return what *source*, headers of any shape or a message, has for `extract`. Never raises."""
    try:
        from obskit.propagation import carrier

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


def take(headers: Mapping[str, str], peer: str | None, source: str, believed: bool) -> Taken:
    """Return what `extract` does, as a tuple: each request waits for this."""
    text = headers.get("traceparent")
    if text and len(headers) == 1 and (believed or peer in _near):
        # As most come who are not us: nothing but the trace is told.
        trace_id, parent_id, flags = w3c.read_traceparent(text)
        if trace_id is not None:
            span_id = _urandom(8).hex()
            unit = Unit(trace_id, "trace", trace_id, span_id, parent_id, flags or 0)
            unit.harmless = True
            return unit, clock.begin(span_id, None, True), None
    is_direct = "x-forwarded-for" not in headers and "forwarded" not in headers
    internal = believed or (is_direct and peer in _near) or _is_internal(peer, headers)
    if not headers and internal:
        return _begin(source)
    return _take_all(headers, source, internal)


def _take_all(headers: Mapping[str, str], source: str, internal: bool) -> Taken:
    trace_id = parent_id = flags = carried = state = None
    own: w3c.OwnFields | None = None
    others, text = "", headers.get("traceparent")
    if text:
        trace_id, parent_id, flags = w3c.read_traceparent(text)
    if trace_id is not None:
        state = headers.get("tracestate")
        if "b3" in headers or "x-b3-flags" in headers:
            from obskit.propagation import b3

            flags = b3.with_debug(headers, trace_id, flags)
    elif not OTHER_TRACERS.isdisjoint(headers):
        from obskit.propagation import b3

        trace_id, parent_id, flags = b3.parent(headers)
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
    span_id, random = _urandom(8).hex(), 0
    if trace_id is None and known is not None and origin == "trace":
        trace_id = known
    elif trace_id is None:
        trace_id, random = _urandom(16).hex(), RANDOM
    if flags is None:
        flags = sample(trace_id) & ~RANDOM
    unit = Unit(known or trace_id, origin or source, trace_id, span_id, parent_id, flags | random)
    unit.harmless = True
    if state is not None:
        unit.tracestate = w3c.parse_tracestate(state[:_LONGEST_TRACESTATE])
    if others:
        unit.baggage = others
    text = headers.get(_cause_key)
    cause = clock.parse(text) if text is not None else None
    if own is not None:
        cause = _take_own(unit, own, cause)
    # Who is given an ID by his own program has no clock to lose.
    broken = cause is None and known is not None and source != "given"
    return unit, clock.begin(span_id, cause, broken), invalid


def _begin(source: str) -> tuple[Unit, clock.Position, None]:
    trace_id, span_id = _ids()
    unit = Unit(trace_id, source, trace_id, span_id, None, sample(trace_id))
    unit.harmless = True
    return unit, clock.begin(span_id), None


def _ids() -> tuple[str, str]:
    """Return a new trace ID and a new span ID."""
    digits = _urandom(24).hex()
    return digits[:32], digits[32:]


def _restart(
    known: str | None, trace_id: str | None, parent_id: str | None, invalid: str | None
) -> tuple[Unit, clock.Position, str | None]:
    """Begin an operation of our own at the edge; what the client said is kept beside it."""
    own_trace_id, span_id = _ids()
    unit = Unit.of(
        own_trace_id,
        "restarted" if known else "invalid" if invalid else "generated",
        own_trace_id,
        span_id,
        flags=sample(own_trace_id),
        client_correlation_id=known,
        links=((trace_id, parent_id),) if trace_id and parent_id else (),
        trusted=False,
        harmless=True,
    )
    return unit, clock.begin(span_id), invalid


def _take_own(unit: Unit, own: w3c.OwnFields, cause: clock.Cause | None) -> clock.Cause | None:
    """Put into *unit* what our baggage says; return the clock, which may stand there alone."""
    _, hop, unit.causation_id, unit.caller, unit.synthetic, born, sent, carried = own
    if hop:
        unit.hop = int(hop) + 1
    if born:
        unit.born_ms = int(born, 36)
    if sent:
        unit.sent_ms = int(sent, 36)
    if cause is None and carried:
        return clock.parse(carried)
    return cause


def sample(trace_id: str) -> int:
    """Return the flags of a new trace: sampled by the trace ID itself, at the set ratio."""
    ratio = _policy.ratio
    if ratio >= 1.0 or int(trace_id[-14:], 16) >= (1.0 - ratio) * _HALF:
        return SAMPLED | RANDOM
    return OURS | RANDOM


def enter(*, source: str = "generated") -> tuple[Context, clock.Position]:
    """Return context and clock of a unit of work that nobody sent (a cron job, a script)."""
    unit, position, _ = _begin(source)
    return Context(unit, unit.root_span_id, None, {}), position


def headers(peer: str | None = None, *, dated: bool = False) -> list[tuple[str, str]]:
    """Return what a message to the host *peer* sent now must carry, as names and values.

    Inside (also where *peer* is None: a broker of ours) that is everything; to other hosts
    only the correlation ID and the traceparent go. A message that may wait before it is read
    is *dated*. Empty outside of a unit of work.
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
    if "b3" in chosen or "b3multi" in chosen:
        from obskit.propagation import b3

        out += b3.written(chosen, unit.trace_id, span_id, unit.flags)
    if "correlation" in chosen or "w3c" in chosen:
        _append_clock_and_baggage(out, unit, dated)
    return out


def _append_clock_and_baggage(out: list[tuple[str, str]], unit: Unit, dated: bool) -> None:
    own = _own_baggage(unit)
    if dated:
        entry = ",obskit.sent=" + clock.base36(time_ns() // 1_000_000)
        if len(own) + len(entry) <= w3c.LONGEST_OWN:
            own += entry
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

    With the longest IDs and names they have 510 bytes.
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
    born_ms = unit.born_ms or unit.started_at_ns // 1_000_000
    if born_ms:
        entries += f",obskit.born={clock.base36(born_ms)}"
    unit.wire = entries
    return entries


def hear(headers: Mapping[str, str], peer: str | None = None) -> None:
    """Take in the clock of an answer from the host *peer*; a foreign one is not believed.

    An answer under another ID than the one that was sent is noted: the hop has lost it.
    """
    try:
        if peer is None or _policy.boundary.is_internal_host(peer):
            causal.heard(headers.get(_cause_key))
            answered_as, here = headers.get(_correlation_key), context.get()
            if here is not None and answered_as and answered_as != here.unit.correlation_id:
                _note_other_id(here.unit, answered_as, headers)
    except Exception as error:
        health.internal_error("propagation.hear", error)


def _note_other_id(unit: Unit, answered_as: str, headers: Mapping[str, str]) -> None:
    known = unit.answered_as
    # A cache answers under the ID of whoever asked first.
    if unit is context.PROCESS or headers.get("age") or "correlation" not in _policy.propagate:
        return
    if answered_as not in known and len(known) < MOST_OTHER_IDS and _is_valid(answered_as):
        unit.answered_as = (*known, answered_as)


configure(_policy)
