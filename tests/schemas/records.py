"""Canonical records, plain and hostile, for the tests of all schemas."""

from typing import Any

from hypothesis import strategies as st

from obskit.fields import LINE
from obskit.schemas import NAMES
from obskit.schemas.spelling import SEPARATOR, places

FULL: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.000006Z", "level": "warning", "message": "request finished",
    "logger": "obskit.summary", "service": "shop", "version": "1", "env": "prod", "host": "h",
    "pid": 7, "pod": "p", "namespace": "n", "node": "w", "correlation_id": "c" * 32,
    "correlation_source": "generated", "trace_id": "a" * 32, "span_id": "b" * 16, "hop": 1,
    "lc": 3, "lc_at": "b" * 16 + "-3", "lc_after": ["b" * 16 + "-1"], "synthetic": True,
    "http_request_method": "GET", "http_route": "/x/{id}", "url_path": "/x/7",
    "http_response_status_code": 503, "outcome": "server_error", "duration_ms": 12.345, "calls": 0,
    "order_id": "CD-7", "paid": True, "cart": {"items": [1]}, "total": 9.5, "nothing": None,
    "error_type": "ValueError", "error_message": "no", "error_fingerprint": "f" * 16,
    "error_stack": "ValueError: no\n  at f (shop.py:7)",
}  # fmt: skip
PROCESS: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.000006Z", "level": "info", "message": "process started",
    "logger": "obskit", "service": "shop", "host": "h", "pid": 7, "scope": "process",
}  # fmt: skip
WARNING = PROCESS | {"level": "warning", "warning_at": "shop/cart.py:12"}

# Names of the application's that mean something to somebody.
HOSTILE: tuple[str, ...] = tuple(sorted({
    "", " ", "a.b", "a_b", "a*b", 'a"b', "a\\b", "a b", "a=b", "a,b", "\u20ac", "\x00", "\x85",
    "\u2028",
    "x" * 300, "id", "_id", "_source", "source", "gl2_x", "short_message", "full_message", "file",
    "line", "facility", "log", "error", "host.name", "service.name", "event", "labels", "tags",
    "obskit", "ecs", "ecs.version", "@timestamp", "log.level", "attributes", "resource", "body",
    "severity", "severity_text", "severity_number", "time", "httpRequest", "@type", "stack_trace",
    "trace_sampled", "jsonPayload", "renamed", "json", "objects", "obskit.renamed", "obskit.json",
    "obskit_renamed", "obskit_json", "obskit.lc", "level_name", "field_level", "_", "__", "a_b_",
    *(place[-1] for schema in NAMES for place in places(schema).values()),
    *(SEPARATOR.join(place) for schema in NAMES for place in places(schema).values()),
} - {field.name for field in LINE}))  # fmt: skip

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_whole = st.integers(-(2**63), 2**64 - 1)
_leaves = (
    st.none()
    | st.booleans()
    | _whole
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts
    | st.sampled_from(["true", "null", "1", "-0", "1e5", "007", "", "-", '"', "a b", "[]", "{}"])
)
values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3)
)
names = st.sampled_from(HOSTILE) | _texts
_of_type = {
    "string": _texts,
    "integer": st.integers(0, 2**52),
    "number": st.integers(0, 10**9).map(lambda micros: micros / 1000) | st.floats(0, 1e9),
    "boolean": st.just(True),
    "array": st.lists(_texts, max_size=3),
}
known = st.fixed_dictionaries(
    {
        "timestamp": st.datetimes().map(lambda when: when.isoformat(timespec="microseconds") + "Z"),
        "level": st.sampled_from(
            ["debug", "info", "warning", "error", "critical", "trace", "audit"]
        )
        | _texts.map(str.lower),
        "message": _texts,
    },
    optional={
        field.name: _of_type[field.type] | values
        for field in LINE
        if field.name not in ("timestamp", "level", "message", "correlation_id")
    },
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Return what could be on a line, whoever has written it: any name may have any value."""
    record: dict[str, Any] = {**draw(known), "correlation_id": "c" * 32}
    for name, value in draw(st.dictionaries(names, values, max_size=6)).items():
        record.setdefault(name, value)
    return record
