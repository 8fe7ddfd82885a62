"""Take an operation's identity from a carrier, and put it into one.

A carrier for reading is a mapping of lower-case names to text. Of a name that came several
times the values are joined with commas, as HTTP says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from obskit import clock, context, health
from obskit.context import OURS, RANDOM, SAMPLED, Context, Unit
from obskit.propagation import causal, correlation, outgoing, w3c
from obskit.propagation.outgoing import headers as headers
from obskit.propagation.outgoing import message as message
from obskit.propagation.policy import OTHER_TRACERS, Policy

__all__ = [
    "Entry",
    "Policy",
    "configure",
    "enter",
    "extract",
    "headers",
    "hear",
    "message",
    "policy",
    "readable",
]

_HALF = 1 << 56
_urandom = os.urandom
_is_valid = correlation.is_valid
_all_ours = w3c.ALL_OURS
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

# The names that extract() looks at; entry points need to pick only these.
names: frozenset[str] = frozenset()

# Another number after each configure(): who keeps what follows from the policy looks here.
generation = 0


def configure(policy: Policy) -> None:
    """Make *policy* the one in force."""
    global _policy, _correlation_key, _cause_key, _is_internal, _near, names, generation
    _policy = policy
    _is_internal, _near = policy.judge(), policy.near()
    generation += 1
    _correlation_key = policy.correlation_header.lower()
    _cause_key = policy.cause_header.lower()
    outgoing.configure(policy)
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
    if not internal:
        return _take_all(headers, source, False)
    if len(headers) == 4 and text and (taken := _take_ours(text, headers, source)) is not None:
        return taken
    return _take_all(headers, source, True) if headers else _begin(source)


def _take_ours(parent: str, headers: Mapping[str, str], source: str) -> Taken | None:
    """Return what `_take_all` does where obskit alone has written, as most of its peers do.

    None where anything is not as obskit writes it. *parent* is the traceparent.
    """
    wire, text = headers.get(_correlation_key), headers.get("baggage")
    cause = headers.get(_cause_key)
    if wire is None or text is None or cause is None:
        return None
    match = _all_ours.fullmatch(f"{parent} {cause} {text}")
    if match is None:
        return None
    (trace_id, parent_id, flags, number, before, last, carried, hop, causation, caller,
     synthetic, born, sent) = match.groups()  # fmt: skip
    # What the baggage has been found to hold is a valid ID.
    if carried != wire:
        return None
    span_id = _urandom(8).hex()
    unit = Unit(wire, "inherited", trace_id, span_id, parent_id, int(flags, 16) & 3)
    unit.harmless = True
    unit.hop, unit.causation_id = int(hop) + 1, causation
    if caller is not None:
        unit.caller = caller
    if synthetic is not None:
        unit.synthetic = synthetic
    if born is not None:
        unit.born_ms = int(born, 36)
    if sent is not None:
        unit.sent_ms = int(sent, 36)
    return unit, clock.follow(span_id, number, before, last), None


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
    _, hop, unit.causation_id, unit.caller, unit.synthetic, born, sent, carried, debug = own
    if hop:
        unit.hop = int(hop) + 1
    if born:
        unit.born_ms = int(born, 36)
    if sent:
        unit.sent_ms = int(sent, 36)
    if debug == "1":
        context.set_debug(unit)
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
