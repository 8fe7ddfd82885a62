"""The index template."""

import json

import pytest

from obskit.fields import LINE
from obskit.schemas import ecs, elastic
from tests.schemas.records import FULL, HOSTILE, PROCESS, WARNING
from tests.schemas.strict import BEATS_FIELDS, ECS_FIELDS

FIELDS = {
    "order_id": "string",
    "total": "number",
    "cart": "object",
    "tags": "array",
    "a.b": "string",
}


def properties(schema, product="elasticsearch"):
    """Return the mapped fields of a template, by dotted name."""
    made = elastic.template(FIELDS, schema, product)
    found = {}

    def walk(here, path):
        for name, mapping in here.items():
            found[".".join((*path, name))] = mapping.get("type", "object")
            walk(mapping.get("properties", {}), (*path, name))

    walk(made["template"]["mappings"]["properties"], ())
    return found


def test_the_template_is_for_data_streams():
    """And comes before the one that the product brings along."""
    made = elastic.template(FIELDS)

    assert made["index_patterns"] == ["logs-obskit*-*"]
    assert made["data_stream"] == {}
    assert made["priority"] > 100
    assert made["template"]["mappings"]["date_detection"] is False
    json.dumps(made)


def test_fields_of_a_line_have_the_types_of_the_dictionary():
    """Times keep their microseconds, identifiers are never analysed, the map says the rest."""
    found = properties("json")

    assert {field.name for field in LINE} <= set(found)
    assert found["@timestamp"] == found["timestamp"] == "date_nanos"
    assert found["trace_id"] == found["correlation_id"] == found["lc_at"] == "keyword"
    assert found["lc"] == "long"
    assert found["duration_ms"] == "double"
    assert found["lc_broken"] == "boolean"
    assert (found["order_id"], found["total"], found["cart"]) == ("keyword", "double", "flattened")
    assert "tags" not in found
    assert "a.b" not in found


def test_fields_of_ecs_have_the_types_of_ecs():
    """As published; the time is more exact."""
    found = properties("ecs")
    published = {**ECS_FIELDS, **BEATS_FIELDS, "@timestamp": "date_nanos"}

    assert {name: found[name] for name in published} == published
    assert found["obskit.objects"] == "flattened"


@pytest.mark.parametrize("record", [FULL, PROCESS, WARNING])
def test_every_field_of_a_line_in_ecs_is_mapped(record):
    """Nothing of ours is left to guessing."""
    found = properties("ecs")

    def walk(here, path):
        for name, value in here.items():
            where = ".".join((*path, name))
            if where in ("labels", "obskit.objects"):
                continue
            assert where in found, where
            if isinstance(value, dict):
                walk(value, (*path, name))

    walk(ecs.encode(record), ())


def test_opensearch_calls_some_types_otherwise():
    """It knows neither of these."""
    kinds = set(properties("ecs", "opensearch").values()) | set(
        properties("json", "opensearch").values()
    )
    assert not kinds & {"flattened", "wildcard", "match_only_text"}
    assert "flat_object" in kinds


def named(name):
    """Return a record with a field of that name, and one that nobody has declared."""
    return PROCESS | {name: "mine", "other": 7, "deep": {"": {"a.b": [1, {"c": None}]}}}


@pytest.mark.parametrize("schema", elastic.SCHEMAS)
def test_a_real_index_takes_what_an_application_logs(opensearch, schema):
    """Every name, every kind of value and another type than before: no document is refused."""
    stream = opensearch.stream()
    made = elastic.template(FIELDS, schema, "opensearch") | {"index_patterns": [stream + "*"]}
    opensearch.ask("PUT", f"_index_template/{stream}", made | {"priority": 500})
    records = [FULL, PROCESS, WARNING, FULL | {"order_id": "x" * 40_000}]
    if schema == "ecs":
        records += [named(name) for name in HOSTILE]
        records += [PROCESS | {"other": value} for value in (7, "x", True, None, [1], {"a": 1})]
        documents = [ecs.encode(record) for record in records]
    else:
        documents = [{"@timestamp": record["timestamp"], **record} for record in records]
    rows = "".join(f'{{"create":{{}}}}\n{json.dumps(document)}\n' for document in documents)
    answer = opensearch.ask("POST", f"{stream}/_bulk", rows, refresh="true")
    refused = [item["create"]["error"] for item in answer["items"] if "error" in item["create"]]

    assert refused == []
    assert len(opensearch.documents(stream)) == len(documents)
    [found] = opensearch.ask("GET", f"{stream}/_mapping").values()
    assert found["mappings"]["properties"]["@timestamp"]["type"] == "date_nanos"
    assert '"flat_object"' in json.dumps(found)
