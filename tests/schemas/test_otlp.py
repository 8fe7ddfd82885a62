"""Requests of OTLP/HTTP in JSON."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from obskit.schemas import otlp
from tests.schemas.records import FULL, PROCESS, records
from tests.schemas.strict import fits

ANY = {
    "oneOf": [
        {"type": "object", "maxProperties": 0},
        *(
            {"type": "object", "properties": {name: kind}, "required": [name], "maxProperties": 1}
            for name, kind in {
                "stringValue": {"type": "string"},
                "boolValue": {"type": "boolean"},
                "intValue": {"type": "string", "pattern": r"^-?\d+$"},
                "doubleValue": {"type": "number"},
                "arrayValue": {
                    "type": "object",
                    "properties": {"values": {"type": "array", "items": {"$ref": "#/$defs/any"}}},
                    "required": ["values"],
                },
                "kvlistValue": {
                    "type": "object",
                    "properties": {"values": {"$ref": "#/$defs/pairs"}},
                    "required": ["values"],
                },
            }.items()
        ),
    ]
}
PAIRS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"key": {"type": "string"}, "value": {"$ref": "#/$defs/any"}},
        "required": ["key", "value"],
        "additionalProperties": False,
    },
}
NANOS = {"type": "string", "pattern": r"^\d{1,20}$"}
LOG_RECORD = {
    "$defs": {"any": ANY, "pairs": PAIRS},
    "type": "object",
    "properties": {
        "timeUnixNano": NANOS,
        "observedTimeUnixNano": NANOS,
        "severityNumber": {"type": "integer", "minimum": 1, "maximum": 24},
        "severityText": {"type": "string"},
        "body": {"$ref": "#/$defs/any"},
        "attributes": {"$ref": "#/$defs/pairs"},
        "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "spanId": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
    "additionalProperties": False,
}


def logs(request):
    """Return the log records of a request."""
    return [
        log
        for resource in request["resourceLogs"]
        for scope in resource["scopeLogs"]
        for log in scope["logRecords"]
    ]


@given(st.lists(records(), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_any_record_is_valid(found):
    """Whatever an application logs."""
    for log in logs(json.loads(json.dumps(otlp.request(found)))):
        fits(LOG_RECORD, log)
        for text in re.findall(r'"intValue": "(-?\d+)"', json.dumps(log)):
            assert -(2**63) <= int(text) < 2**63


def test_records_of_one_resource_and_logger_stand_together():
    """Each in the order in which it was given."""
    request = otlp.request([FULL, PROCESS, FULL | {"message": "again"}, PROCESS | {"logger": "x"}])

    assert len(request["resourceLogs"]) == 2
    assert [log["body"] for log in logs(request)] == [
        {"stringValue": text}
        for text in ("request finished", "again", "process started", "process started")
    ]
    scopes = [
        scope["scope"]["name"] for one in request["resourceLogs"] for scope in one["scopeLogs"]
    ]
    assert scopes == ["obskit.summary", "obskit", "x"]
    assert {"key": "service.name", "value": {"stringValue": "shop"}} in request["resourceLogs"][0][
        "resource"
    ]["attributes"]
