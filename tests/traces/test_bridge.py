"""Whose spans a tracer makes: ours, until the application sets a provider, whenever that is."""

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import ProxyTracer

from obskit import health
from obskit.traces import bridge, eager
from obskit.traces.live import LightSpan
from obskit.traces.recorder import state

early = trace.get_tracer("early", "1.0")


def test_tracers_from_before_and_after_are_ours(spans):
    """One that was taken when a module was imported, and one taken now."""
    for tracer in (early, trace.get_tracer("late")):
        with tracer.start_as_current_span("work"):
            pass
        tracer.start_span("alone").end()

    assert [(span.name, span.scope) for span in spans] == [
        ("work", "early"),
        ("alone", "early"),
        ("work", "late"),
        ("alone", "late"),
    ]


def test_whoever_sets_a_provider_later_wins(spans, sdk, caplog):
    """The same tracer gives his spans from then on, and nobody is warned."""
    taken = trace.get_tracer("taken")
    taken.start_span("ours").end()
    exporter = sdk()
    taken.start_span("theirs").end()

    assert [span.name for span in spans] == ["ours"]
    assert [span.name for span in exporter.get_finished_spans()] == ["theirs"]
    assert caplog.records == []


def test_the_provider_is_left_unset(spans):
    """Libraries that look whether OpenTelemetry is set up find that it is not."""
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert trace._TRACER_PROVIDER is None


def test_who_wants_no_spans_gets_none(spans):
    """A provider that does nothing was chosen by somebody."""
    trace.set_tracer_provider(trace.NoOpTracerProvider())
    with early.start_as_current_span("nothing") as span:
        assert not span.is_recording()
    assert list(spans) == []


def test_without_us_delegating_tracers_do_nothing_as_ever(joined):
    """Switched off, spans are OpenTelemetry's empty ones."""
    state.on = False
    assert not isinstance(early.start_span("x"), LightSpan)


def test_install_is_done_once(joined):
    """Tracers are not wrapped twice."""
    before = vars(ProxyTracer)["_tracer"]
    bridge.install()
    assert vars(ProxyTracer)["_tracer"] is before


def test_what_cannot_be_joined_is_left_alone(joined, monkeypatch):
    """A later OpenTelemetry without the border that we use: the eager way, and it is counted."""
    monkeypatch.setattr(bridge.current, "install", lambda: 1 / 0)
    monkeypatch.setattr(bridge, "_delegate", lambda: 1 / 0)
    bridge.install()

    assert state.eager is eager
    assert set(health.internal_errors) == {"traces.current", "traces.tracers"}


def test_delegating_tracers_still_have_the_private_border_that_we_use():
    """If this fails, OpenTelemetry has changed how its tracers delegate."""
    assert isinstance(vars(ProxyTracer)["_tracer"], property)
    tracer = trace.ProxyTracerProvider().get_tracer("a")
    assert tracer._noop_tracer is not None
    assert tracer._instrumenting_module_name == "a"
    assert hasattr(trace, "_TRACER_PROVIDER")


ORDERS = {
    "before": "import obskit; obskit.init(metrics_port='off', log_stream='stderr')\n{otel}",
    "after": "{otel}\nimport obskit; obskit.init(metrics_port='off', log_stream='stderr')",
}
OTEL = "from opentelemetry import trace; tracer = trace.get_tracer('mine')"
REST = """
from obskit import traces, context
with traces.collected() as spans:
    with tracer.start_as_current_span('one') as span:
        assert context.get().span_id == trace.format_span_id(span.get_span_context().span_id)
assert [span.name for span in spans] == ['one'], spans
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
assert type(tracer.start_span('two')).__module__ == 'opentelemetry.sdk.trace'
"""


@pytest.mark.parametrize("order", ORDERS)
def test_init_may_come_before_or_after(order):
    """In a fresh process, OpenTelemetry imported first or later."""
    code = ORDERS[order].format(otel=OTEL) + REST
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "Overriding" not in ended.stderr


@pytest.mark.parametrize(
    "first",
    [
        "from opentelemetry import baggage",
        "from opentelemetry import propagate, baggage",
        "from opentelemetry import trace, baggage",
        "import opentelemetry.baggage.propagation; from opentelemetry import baggage",
        "import opentelemetry.trace.propagation.tracecontext; from opentelemetry import baggage",
    ],
)
@pytest.mark.parametrize("order", ["{init}\n{first}", "{first}\n{init}"])
def test_any_door_of_opentelemetry_joins(order, first):
    """Whichever module the application imports first, before or after us."""
    init = "import obskit; obskit.init(metrics_port='off', log_stream='stderr')"
    code = order.format(init=init, first=first) + (
        "\nfrom obskit import health\n"
        "with obskit.unit_of_work('job', carrier={'baggage': 'tenant=a'}):\n"
        "    assert baggage.get_all() == {'tenant': 'a'}\n"
        "assert not [one for one in health.internal_errors if 'opentelemetry' in one\n"
        "            or one.startswith('traces')], health.last_errors\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def test_init_imports_nothing_of_opentelemetry():
    """It costs those nothing who do not have it."""
    code = (
        "import obskit, sys; obskit.init(metrics_port='off', log_stream='stderr')\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "with obskit.unit_of_work('x'): pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr


def test_a_provider_that_is_set_twice_is_warned_of_as_ever(sdk, caplog):
    """OpenTelemetry's own rule is untouched: the first that the application sets stays."""
    exporter = sdk()
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    early_again = trace.get_tracer("x")
    early_again.start_span("one").end()

    assert "Overriding" in caplog.text
    assert len(exporter.get_finished_spans()) == 1
