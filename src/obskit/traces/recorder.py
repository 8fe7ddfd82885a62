"""Listen to units of work and record them: in the application's own provider, or lightly.

The light recorder does nothing at the start. At the end it makes a span, if anybody listens.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import Any

from obskit.observation import Observation
from obskit.traces import finished, sampling


class State:
    """What is in force: whether spans are recorded, and what joins us to OpenTelemetry."""

    __slots__ = ("born_ns", "bridge", "on")

    def __init__(self) -> None:
        self.on = False
        # Stays None while nobody has imported OpenTelemetry.
        self.bridge: Any = None
        self.born_ns = 0


state = State()


class Recorder:
    """Listen to units of work and record each as one span."""

    def start(self, observation: Observation) -> None:
        """Start the span in the application's provider, if it has one."""
        if observation.quiet:
            sampling.quieten(observation)
        elif state.bridge is not None and state.on:
            state.bridge.start(observation)

    def end(self, observation: Observation) -> None:
        """End the span; what began before a fork is the parent's to record."""
        here = observation.context
        if here is None or not state.on or observation.started_ns <= state.born_ns:
            return
        spans = here.unit.spans
        live = None if spans is None else spans.get(here.span_id)
        if live is not None:
            live.end(observation)
            if not observation.entry:
                spans.pop(here.span_id, None)
        elif sampling.is_wanted(observation):
            if state.bridge is not None and state.bridge.has_provider():
                state.bridge.record_late(observation)
            elif finished.is_listening() and (span := finished.of(observation)) is not None:
                finished.hand_over(span)


def _begin_anew() -> None:
    state.born_ns = perf_counter_ns()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
