"""Each schema against what its vendor has published, with whatever an application logs."""

import json

import jsonschema
import pytest
from hypothesis import given, settings

from obskit import schemas
from tests.schemas import strict
from tests.schemas.records import FULL, PROCESS, WARNING, records


@pytest.mark.parametrize("name", schemas.NAMES)
@pytest.mark.parametrize("record", [FULL, PROCESS, WARNING], ids=["full", "process", "warning"])
def test_a_line_is_valid(name, record):
    """A line of a service, in the unit of work and outside."""
    strict.CHECKS[name](schemas.of(name).encode(record))


@pytest.mark.parametrize("name", schemas.NAMES)
@given(record=records())
@settings(max_examples=60, deadline=None)
def test_any_line_is_valid(name, record):
    """Whatever names and values an application has."""
    encoded = schemas.of(name).encode(record)
    strict.CHECKS[name](encoded if name == "logfmt" else json.loads(json.dumps(encoded)))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        (
            "ecs",
            {"log.level": "info", "@timestamp": "2026-01-01T00:00:00Z", "ecs.version": "8.1.0"},
        ),
        (
            "ecs",
            {"ecs.version": "8.17.0", "obskit": {}, "http": {"response": {"status_code": "200"}}},
        ),
        ("ecs", {"ecs.version": "8.17.0", "obskit": {}, "labels": {"a.b": 1}}),
        ("ecs", {"ecs.version": "8.17.0", "obskit": {}, "labels": {"a": {"b": 1}}}),
        ("otel", {"attributes": {"": 1}}),
        ("otel", {"attributes": {}, "severity_number": 25}),
        ("otel", {"attributes": {"a": 2**63}}),
        ("gelf", {"version": "1.1", "host": "h", "short_message": ""}),
        ("gelf", {"version": "1.1", "host": "h", "short_message": "x", "_id": "7"}),
        ("gelf", {"version": "1.1", "host": "h", "short_message": "x", "_a": True}),
        ("gelf", {"version": "1.1", "host": "h", "short_message": "x", "_a b": 1}),
        ("gcp", {"severity": "WARN"}),
        ("gcp", {"severity": "INFO", "httpRequest": {"latency": 0.5}}),
        ("gcp", {"severity": "INFO", "a": 2**63 - 1}),
        ("logfmt", 'a="b'),
        ("logfmt", "a=b a=c"),
        ("logfmt", "a b"),
    ],
)
def test_the_checks_see_what_is_wrong(name, broken):
    """A check that finds nothing would prove nothing."""
    with pytest.raises((AssertionError, KeyError, jsonschema.ValidationError)):
        strict.CHECKS[name](broken)
