"""Schemas as a whole: what is there, and that nothing is lost on the way there and back."""

import json

import pytest
from hypothesis import given, settings

from obskit import schemas
from tests.schemas.records import FULL, PROCESS, WARNING, records

JSON = [name for name in schemas.NAMES if name != "logfmt"]


@pytest.mark.parametrize("name", schemas.NAMES)
@pytest.mark.parametrize("record", [FULL, PROCESS, WARNING], ids=["full", "process", "warning"])
def test_a_line_comes_back(name, record):
    """What a service writes on its lines reads the same in every schema."""
    schema = schemas.of(name)
    before = json.dumps(record)

    assert schema.decode(schema.encode(record)) == record
    assert json.dumps(record) == before


@pytest.mark.parametrize("name", schemas.NAMES)
@given(record=records())
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_on_the_way(name, record):
    """Whatever names and values an application has, each comes back with its type."""
    schema = schemas.of(name)
    encoded = schema.encode(record)
    if name != "logfmt":
        encoded = json.loads(json.dumps(encoded))
    found = schema.decode(encoded)

    assert found == record
    assert {key: type(value) for key, value in found.items() if type(value) is not float} == {
        key: type(value) for key, value in record.items() if type(found[key]) is not float
    }


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("record", [FULL, PROCESS, WARNING], ids=["full", "process", "warning"])
def test_a_schema_is_recognised(name, record):
    """A reader need not be told which one it is."""
    assert schemas.recognised(schemas.of(name).encode(record)) == record


@pytest.mark.parametrize(
    "found",
    [
        FULL, {}, {"@timestamp": "x"}, {"attributes": {}, "body": "x"}, {"short_message": "x"},
        {"severity": "INFO"}, {"@timestamp": 1, "obskit": 1}, {"attributes": 1, "body": 1},
        {"severity": "INFO", "jsonPayload": {"message": "x"}},
    ],
)  # fmt: skip
def test_what_is_none_of_ours_is_left_alone(found):
    """The canonical line too: it needs no reading."""
    assert schemas.recognised(found) is None


@pytest.mark.parametrize("name", schemas.NAMES)
@given(record=records())
@settings(max_examples=50, deadline=None)
def test_a_damaged_line_is_read_as_far_as_it_goes(name, record):
    """Somebody on the way may have taken anything away, or put other types there."""
    schema = schemas.of(name)
    encoded = schema.encode(record)
    if name == "logfmt":
        for end in range(0, len(encoded), 7):
            schema.decode(encoded[:end])
        return
    for key in encoded:
        schema.decode({**encoded, key: 7})
        schema.decode({**encoded, key: {"a": {"b": None}}})
        schema.decode({other: value for other, value in encoded.items() if other != key})


def test_an_unknown_schema_is_named_with_those_there_are():
    """Whoever asks for it wants to know what else to say."""
    with pytest.raises(ValueError, match="no schema 'xml'; there are ecs, otel, gelf, gcp, logfmt"):
        schemas.of("xml")
