"""The dictionary of fields and metrics."""

import json
import re

import jsonschema
import pytest

from obskit import fields, observation, settings
from obskit.fields import LINE, METRICS
from tests.source import ROOT

FIELDS = {field.name: field for field in LINE}
A_LINE = {
    "timestamp": "2026-11-25T12:00:00.000001Z", "level": "info", "message": "x", "logger": "app",
    "service": "shop", "host": "h", "pid": 1,
}  # fmt: skip
IN_A_UNIT = {
    "correlation_id": "c", "correlation_source": "inherited", "trace_id": "a" * 32,
    "span_id": "b" * 16, "hop": 1, "lc": 1, "lc_at": "b" * 16 + "-1",
}  # fmt: skip


def is_valid(line):
    """Tell whether *line* fits the published schema."""
    return jsonschema.Draft202012Validator(fields.line_schema()).is_valid(line)


def test_every_name_stands_once():
    """Two meanings under one name are none."""
    assert len(FIELDS) == len(LINE) == len(fields.LINE_NAMES)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("field", LINE, ids=lambda field: field.name)
def test_a_field_is_spelled_for_every_engine(field):
    """No dots: `error.type` beside a user's `error` cannot be stored by Elasticsearch."""
    assert re.fullmatch("[a-z][a-z0-9_]*", field.name)
    assert field.meaning
    assert not field.meaning.endswith(".")
    assert field.origin in ("obskit", "caller", "callee", "application")
    re.compile(field.pattern)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_spelled_as_prometheus_wants_it(metric):
    """Counters end in _total, times in _seconds, and no label could hold an ID."""
    assert re.fullmatch("[a-z][a-z0-9_]*", metric.name)
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    is_moment = metric.name.endswith("_timestamp_seconds")
    assert metric.name.endswith("_seconds") is (metric.kind == "histogram" or is_moment)
    assert bool(metric.buckets) is (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not {"url_path", "correlation_id", "trace_id", "span_id"} & set(metric.labels)
    assert metric.meaning


def test_the_outcomes_are_those_that_are_judged():
    """The field allows each of them, and its text names them in the order in which they match."""
    field = FIELDS["outcome"]

    assert all(re.fullmatch(field.pattern, outcome) for outcome in observation.OUTCOMES)
    for outcome in observation.OUTCOMES:
        assert outcome in field.meaning


def test_the_version_is_the_distributions():
    """It is said on the start line and by the metric of the build."""
    import importlib.metadata

    assert importlib.metadata.version("obskit") == fields.VERSION
    assert settings.FIELDS


def test_a_line_has_a_unit_or_says_that_it_belongs_to_the_process():
    """So an empty ID is a broken hop and nothing else."""
    assert is_valid(A_LINE | IN_A_UNIT)
    assert is_valid(A_LINE | {"scope": "process"})
    assert not is_valid(A_LINE)
    assert not is_valid(A_LINE | IN_A_UNIT | {"scope": "process"})
    assert not is_valid(A_LINE | IN_A_UNIT | {"correlation_id": ""})
    assert not is_valid(A_LINE | {"scope": "process", "span_id": "b" * 16})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp", "2026-11-25 12:00:00"), ("level", "INFO"), ("pid", "1"), ("hop", -1),
        ("lc_at", "b-1"), ("lc_after", ["x"]), ("trace_id", "A" * 32), ("outcome", "fine"),
        ("correlation_id", "a b"), ("lc_broken", "yes"), ("message", None),
    ],
)  # fmt: skip
def test_a_line_with_a_wrong_value_is_refused(name, value):
    """Types, patterns and limits are part of the schema."""
    assert not is_valid(A_LINE | IN_A_UNIT | {name: value})


def test_fields_of_the_application_are_free():
    """Whatever people log is theirs."""
    assert is_valid(A_LINE | IN_A_UNIT | {"order": {"id": 7}, "tags": [1, None]})


def test_the_published_schema_is_current():
    """The file is what `line_schema` returns, with an indent of two."""
    text = json.dumps(fields.line_schema(), indent=2, ensure_ascii=False) + "\n"

    assert (ROOT / "docs/reference/line.schema.json").read_text(encoding="utf-8") == text
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
