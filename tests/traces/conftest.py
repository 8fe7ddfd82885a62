"""Fixtures for tests of spans.

``joined``
    Context, clock, observers and counts are as new; the recorder listens to units of work and
    is joined to OpenTelemetry, which has no provider; all of it is undone.

``spans``
    The spans of the light recorder that have ended, in that order; implies ``joined``.

``sdk(**options)``
    Set a provider of OpenTelemetry's SDK, as an application does, and give the exporter that
    keeps its spans; implies ``joined``.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context as api
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from obskit import instrumentation, observation, propagation, traces
from obskit.traces import bridge, current, finished, provider
from obskit.traces.recorder import Recorder, state


def _as_new() -> None:
    trace._TRACER_PROVIDER = None
    trace._TRACER_PROVIDER_SET_ONCE = Once()
    provider._roads.clear()
    getattr(api._RUNTIME_CONTEXT, "inner", api._RUNTIME_CONTEXT).attach(api.Context())
    current._stamp.set(None)


@pytest.fixture
def joined(floor: None) -> Iterator[None]:
    """Record, without a provider."""
    runtime = api._RUNTIME_CONTEXT
    _as_new()
    state.on = True
    bridge.install()
    observation.configure([("traces", Recorder())])
    yield
    state.on = False
    state.bridge = state.eager = None
    propagation.outgoing.foreign = None
    finished.forget_listeners()
    api._RUNTIME_CONTEXT = runtime
    instrumentation.uninstrument()
    _as_new()


@pytest.fixture
def spans(joined: None) -> Iterator[deque[traces.Span]]:
    """Give the spans of the light recorder."""
    with traces.collected() as ended:
        yield ended


@pytest.fixture
def sdk(joined: None) -> Iterator[Callable[..., InMemorySpanExporter]]:
    """Give what sets a provider."""
    made: list[TracerProvider] = []

    def put(**options: Any) -> InMemorySpanExporter:
        exporter = InMemorySpanExporter()
        made.append(TracerProvider(shutdown_on_exit=False, **options))
        made[-1].add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(made[-1])
        return exporter

    yield put
    for one in made:
        one.shutdown()
