"""Listen to units of work and record them: in the application's own provider, or lightly.

The light recorder does nothing at the start. At the end it makes a span, if anybody listens.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import Any

from obskit import health
from obskit.observation import Observation
from obskit.traces import finished, sampling


class State:
    """What is in force: whether spans are recorded, and what joins us to OpenTelemetry."""

    __slots__ = ("born_ns", "bridge", "eager", "on")

    def __init__(self) -> None:
        self.on = False
        # Stays None while nobody has imported OpenTelemetry.
        self.bridge: Any = None
        # Stays None while OpenTelemetry's context asks us for the current span.
        self.eager: Any = None
        self.born_ns = 0

    def has_provider(self) -> bool:
        """Tell whether spans go to a provider of the application's own."""
        return self.bridge is not None and self.bridge.has_provider()


state = State()


class Recorder:
    """Listen to units of work and record each as one span."""

    def start(self, observation: Observation) -> None:
        """Start the span in the application's provider, if it has one."""
        bridge = state.bridge
        if observation.quiet:
            sampling.quieten(observation)
        elif bridge is not None and state.on:
            before = observation.previous
            # Without a provider there is only what others have started for the same work.
            if bridge.provided() is not None or (before is not None and before.unit.spans):
                bridge.start(observation)
        if state.eager is not None and state.on:
            state.eager.enter(observation)

    def end(self, observation: Observation) -> None:
        """End the span; what began before a fork is the parent's to record."""
        here = observation.context
        if here is None:
            return
        spans, live = here.unit.spans, None
        if spans is not None:
            live = spans.get(here.span_id)
        elif state.eager is None and not finished.listeners and not observation.quiet:
            # Nobody wants to know; that a quiet one went wrong is asked for below.
            return
        if not state.on or observation.started_ns <= state.born_ns:
            return
        if live is None or (observation.quiet and state.has_provider()):
            if finished.listeners or observation.quiet:
                _record(observation)
        else:
            live.end(observation)
            if not observation.entry and live.ours and spans is not None:
                spans.pop(here.span_id, None)
        if state.eager is not None:
            state.eager.leave(observation)


def _record(observation: Observation) -> None:
    """Record an observation that no span was made for, as most are not."""
    if state.has_provider():
        if observation.quiet and sampling.is_wanted(observation):
            state.bridge.record_late(observation)
    elif finished.is_listening() and sampling.is_wanted(observation):
        span = finished.of(observation)
        if span is not None:
            finished.hand_over(span)


def offer(observation: Observation, provider: object) -> None:
    """Start the span of *observation*, which has begun, in a *provider* of its application."""
    here = observation.context
    if state.bridge is None or not state.on or observation.quiet or here is None:
        return
    if not here.unit.spans or here.span_id not in here.unit.spans:
        state.bridge.start(observation, provider)


def _begin_anew() -> None:
    state.born_ns = perf_counter_ns()


def _complete_imports() -> None:
    """Wait for what a first request imports in another thread: a child would wait for ever."""
    try:
        if state.has_provider():
            state.bridge.complete_imports()
    except Exception as error:
        health.internal_error("traces.fork", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_complete_imports, after_in_child=_begin_anew)
