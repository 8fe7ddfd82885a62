"""Spans of OpenTelemetry's API that the light recorder keeps while they are open."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from time import time_ns
from types import TracebackType
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util._decorator import _agnosticcontextmanager

from obskit.observation import Observation
from obskit.traces import finished, naming, sampling
from obskit.traces.finished import Event
from obskit.urls import masked

# What OpenTelemetry's own limits are, unless somebody sets others.
MOST_ATTRIBUTES = 128
MOST_EVENTS = 128
MOST_LINKS = 128
LONGEST_STACK = 16_000

_PRIMITIVES = (str, bool, int, float, bytes)


def in_hex(span_context: SpanContext) -> tuple[str, str]:
    """Return trace ID and span ID as everybody else writes them."""
    return f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}"


class LightSpan(trace.Span):
    """A span that keeps what is said of it, if anybody wants to have it in the end."""

    def __init__(
        self,
        context: SpanContext,
        name: str,
        kind: SpanKind,
        parent_id: str | None,
        scope: str,
        *,
        recording: bool,
        started_at_ns: int | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.scope = scope
        self.parent_id = parent_id
        self.started_at_ns = started_at_ns or time_ns()
        self.attributes: dict[str, Any] = {}
        self.events: list[Event] = []
        self.links: list[finished.Link] = []
        self.status = StatusCode.UNSET
        self.description = ""
        self.ended = False
        self._recording = recording
        self._context = context

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return self._recording and not self.ended

    def set_attribute(self, key: str, value: Any) -> None:
        if self.is_recording():
            _keep(self.attributes, key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        if self.is_recording() and len(self.events) < MOST_EVENTS:
            self.events.append(Event(name, timestamp or time_ns(), _kept(attributes)))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.is_recording() and context.is_valid and len(self.links) < MOST_LINKS:
            self.links.append(finished.Link(*in_hex(context), _kept(attributes)))

    def update_name(self, name: str) -> None:
        if self.is_recording():
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if isinstance(status, Status):
            code, description = status.status_code, status.description
        else:
            code = status
        if not self.is_recording() or self.status is StatusCode.OK or code is StatusCode.UNSET:
            return
        self.status = code
        self.description = masked(description or "") if code is StatusCode.ERROR else ""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        if not self.is_recording():
            return
        stack = "".join(traceback.format_exception(exception))
        found = {
            "exception.type": naming.type_name(exception),
            "exception.message": masked(str(exception)),
            "exception.stacktrace": masked(stack[-LONGEST_STACK:]),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        if self.ended:
            return
        recording, self.ended = self._recording, True
        if recording and finished.is_listening():
            finished.hand_over(self._finished((end_time or time_ns()) - self.started_at_ns))

    def _finished(self, duration_ns: int) -> finished.Span:
        span = finished.Span(
            self.name,
            self.kind.name.lower(),
            *in_hex(self._context),
            self.parent_id,
            self.started_at_ns,
            max(0, duration_ns),
        )
        span.scope = self.scope
        self.add_to(span)
        return span

    def add_to(self, span: finished.Span) -> None:
        """Add to *span* what was said of this one."""
        span.attributes |= self.attributes
        if self.events:
            span.events = [*span.events, *self.events]
        if self.links:
            span.links = [*span.links, *self.links]
        if self.status is not StatusCode.UNSET:
            span.status, span.description = self.status.name.lower(), self.description

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if isinstance(exc_val, Exception):
            self.record_exception(exc_val)
            self.set_status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}")
        self.end()


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in (attributes or {}).items():
        _keep(found, key, value)
    return found


def _keep(attributes: dict[str, Any], key: str, value: Any) -> None:
    """Keep *value* as it is now: a list may change later."""
    if len(attributes) >= MOST_ATTRIBUTES and key not in attributes:
        return
    if isinstance(value, (list, tuple)):
        value = tuple(item if isinstance(item, _PRIMITIVES) else str(item) for item in value)
    elif not isinstance(value, _PRIMITIVES):
        value = str(value)
    attributes[str(key)] = value


class UnitSpan(LightSpan):
    """The span of an observation, as far as its code has asked for it; it ends with that."""

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: the work is not over because somebody says so."""

    def close(self, observation: Observation) -> None:
        """Hand over what was observed, together with what was said of it."""
        if sampling.is_wanted(observation) and finished.is_listening():
            span = finished.of(observation)
            if span is not None:
                self.add_to(span)
                span.name = self.name or span.name
                finished.hand_over(span)
        self.ended = True


class LightTracer(trace.Tracer):
    """Make spans for the application's own code while it has no tracer provider."""

    def __init__(self, scope: str) -> None:
        self._scope = scope

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        parent = trace.get_current_span(context).get_span_context()
        own = _root() if not parent.is_valid else _below(parent)
        span = LightSpan(
            own,
            name,
            kind,
            f"{parent.span_id:016x}" if parent.is_valid else None,
            self._scope,
            recording=finished.is_listening() and own.trace_flags.sampled,
            started_at_ns=start_time,
        )
        span.set_attributes(attributes or {})
        for link in links or ():
            if isinstance(link, Link):
                span.add_link(link.context, link.attributes)
        return span

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        active: AbstractContextManager[trace.Span] = trace.use_span(
            span, end_on_exit, record_exception, set_status_on_exception
        )
        with active:
            yield span


def _root() -> SpanContext:
    digits = os.urandom(24).hex()
    flags = sampling.flags_of_root(digits[:32])
    return SpanContext(int(digits[:32], 16), int(digits[32:], 16), False, TraceFlags(flags & 3))


def _below(parent: SpanContext) -> SpanContext:
    span_id = int.from_bytes(os.urandom(8)) or 1
    return SpanContext(
        parent.trace_id, span_id, False, TraceFlags(parent.trace_flags), parent.trace_state
    )
