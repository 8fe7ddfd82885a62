"""Make OpenTelemetry's exporters, and the spans that they take, for those who prefer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from obskit.fields import VERSION
from obskit.traces import naming
from obskit.traces.finished import Span
from obskit.traces.zipkin import MARKER

ZIPKIN = "opentelemetry.exporter.zipkin.json"
OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_ZIPKIN_PATH, _OTLP_PATH = "/api/v2/spans", "/v1/traces"


def is_installed(module: str) -> bool:
    """Tell whether *module*, one of those above, and the SDK can be imported."""
    try:
        return find_spec(module) is not None and find_spec("opentelemetry.sdk.trace") is not None
    except ImportError:
        return False


def zipkin(url: str) -> Any:
    """Return OpenTelemetry's exporter to the Zipkin server at *url*."""
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    return ZipkinExporter(endpoint=url.removesuffix(_ZIPKIN_PATH) + _ZIPKIN_PATH)


def otlp(url: str) -> Any:
    """Return OpenTelemetry's exporter to the OTLP collector at *url*."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=url.removesuffix(_OTLP_PATH) + _OTLP_PATH)


def resource(service: str, version: str = "", env: str = "") -> Any:
    """Return who speaks, for `converter`."""
    from opentelemetry.sdk.resources import Resource

    facts = {
        "service.name": service,
        "service.version": version,
        "deployment.environment.name": env,
    }
    return Resource({name: value for name, value in facts.items() if value})


def converter(
    speaker: Any, is_secret: Callable[[str], bool] = str.isspace
) -> Callable[[Span], Any]:
    """Return what makes of a span one of the SDK, said by *speaker*, a resource.

    Attributes whose name *is_secret* are not sent.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    def context(trace_id: str, span_id: str, *, remote: bool = False) -> trace.SpanContext:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.SpanContext(int(trace_id, 16), int(span_id, 16), remote, flags)

    def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: MARKER if is_secret(key) else value
            for key, value in attributes.items()
            if value is not None
        }

    def convert(span: Span) -> ReadableSpan:
        status = trace.StatusCode[span.status.upper()]
        remote = span.kind in ("server", "consumer")
        parent = span.parent_id and context(span.trace_id, span.parent_id, remote=remote)
        return ReadableSpan(
            span.name,
            context(span.trace_id, span.span_id),
            parent or None,
            speaker,
            plain(span.attributes),
            [Event(one.name, plain(one.attributes), one.at_ns) for one in span.events],
            [
                trace.Link(context(one.trace_id, one.span_id, remote=True), plain(one.attributes))
                for one in span.links
            ],
            trace.SpanKind[span.kind.upper()],
            status=trace.Status(status, span.description if span.status == "error" else None),
            start_time=span.started_at_ns,
            end_time=span.started_at_ns + max(1, span.duration_ns),
            # Zipkin refuses a list in which one version is none.
            instrumentation_scope=InstrumentationScope(
                span.scope, VERSION if span.scope == naming.SCOPE else ""
            ),
        )

    return convert
