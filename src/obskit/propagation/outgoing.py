"""Write the running operation's identity and clock for what is sent."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

from obskit import clock, context, health
from obskit.context import PROCESS, Unit
from obskit.propagation import causal, correlation, w3c
from obskit.propagation.policy import Policy

_get = context.get
_base36 = clock.base36
_cause, _short_cause = causal.value, clock.short_header
_LONGEST_OWN = w3c.LONGEST_OWN
_DEBUG = ",obskit.debug=1"
_USUAL = frozenset({"correlation", "w3c"})

_policy = Policy()
_is_usual = True
_correlation_key = "x-correlation-id"
_cause_key = "obskit-cause"
_caller = ""

# Says what of others travels on, where more may be known than what came in.
foreign: Callable[[Unit], str] | None = None


def configure(policy: Policy) -> None:
    """Make *policy* the one in force."""
    global _policy, _is_usual, _correlation_key, _cause_key, _caller
    _policy = policy
    _is_usual = policy.propagate == _USUAL
    _correlation_key = policy.correlation_header.lower()
    _cause_key = policy.cause_header.lower()
    _caller = correlation.fit(policy.service)


def headers(peer: str | None = None, *, dated: bool = False) -> list[tuple[str, str]]:
    """Return what a message to the host *peer* sent now must carry, as names and values.

    Inside (also where *peer* is None: a broker of ours) that is everything; to other hosts
    only the correlation ID and the traceparent go. A message that may wait before it is read
    is *dated*. Empty outside of a unit of work.
    """
    return _headers(peer, time_ns() if dated else 0)


def _headers(peer: str | None, dated_ns: int) -> list[tuple[str, str]]:
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
        cause, baggage = _clock_and_baggage(unit, dated_ns)
        if cause is not None:
            out.append((_policy.cause_header, cause))
        out.append(("baggage", baggage))
    return out


def message(at_ns: int = 0) -> dict[str, str]:
    """Return what a message over a broker of ours must carry, by lower-case names.

    That is what `headers` says of a dated one; *at_ns* is when it is sent, in nanoseconds since
    1970, now by default. Whoever gets the dictionary may keep it.
    """
    here = _get()
    if here is None or here.unit is PROCESS:
        return {}
    dated_ns = at_ns or time_ns()
    if not _is_usual:
        return {name.lower(): value for name, value in _headers(None, dated_ns)}
    unit = here.unit
    own = unit.wire
    if type(own) is not str:
        own = _own_baggage(unit)
    cause = _short_cause()
    baggage = f"{own},obskit.sent={_base36(dated_ns // 1_000_000)},obskit.cause={cause}"
    if cause is None or len(baggage) > _LONGEST_OWN or unit.baggage or foreign is not None:
        cause, baggage = _clock_and_baggage(unit, dated_ns)
    found = {
        _correlation_key: unit.correlation_id,
        "traceparent": f"00-{unit.trace_id}-{here.span_id}-0{unit.flags & 3}",
    }
    if unit.tracestate:
        found["tracestate"] = unit.tracestate
    if cause is not None:
        found[_cause_key] = cause
    found["baggage"] = baggage
    return found


def _clock_and_baggage(unit: Unit, dated_ns: int) -> tuple[str | None, str]:
    """Return the clock, and the baggage of *unit*: ours with the clock, then that of others."""
    own = unit.wire
    if type(own) is not str:
        own = _own_baggage(unit)
    if dated_ns:
        entry = ",obskit.sent=" + _base36(dated_ns // 1_000_000)
        if len(own) + len(entry) <= _LONGEST_OWN:
            own += entry
    try:
        cause = _cause()
    except Exception as error:
        health.internal_error("propagation.clock", error)
        cause = None
    if cause is not None:
        # The header says the same, so the entry may be left out where it has no room.
        entry = ",obskit.cause=" + cause
        if len(own) + len(entry) <= _LONGEST_OWN:
            own += entry
    theirs = unit.baggage if foreign is None else foreign(unit)
    return cause, f"{own},{theirs}" if theirs else own


def _own_baggage(unit: Unit) -> str:
    """Return our entries but the clock, which changes; made once for each unit of work.

    With the longest IDs and names they have 510 bytes, and no room for the wish for debug lines.
    """
    entries = f"obskit.correlation={unit.correlation_id},obskit.hop={unit.hop}"
    entries += f",obskit.causation={unit.root_span_id}"
    if _caller:
        entries += f",obskit.caller={_caller}"
    if unit.synthetic:
        entries += f",obskit.synthetic={unit.synthetic}"
    born_ms = unit.born_ms or unit.started_at_ns // 1_000_000
    if born_ms:
        entries += f",obskit.born={_base36(born_ms)}"
    if unit.debug and len(entries) + len(_DEBUG) <= _LONGEST_OWN:
        entries += _DEBUG
    unit.wire = entries
    return entries
