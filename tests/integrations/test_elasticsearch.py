"""The files for Elasticsearch, on a real OpenSearch; ILM and ISM are checked by what is documented.

OpenSearch has neither Elasticsearch's ILM nor, in the artifacts that are to be had, its own ISM.
"""

import json
import os
import re
import subprocess

import pytest

from obskit.fields import LINE, LINE_NAMES
from obskit.schemas import elastic
from tests.integrations.files import (
    INTEGRATIONS,
    are_fields,
    parsed,
    sent_by_the_script,
    stocked,
    store,
)

FOLDER = "elasticsearch"
TYPES = {
    "string": {"keyword", "text"},
    "integer": {"long"},
    "number": {"double"},
    "boolean": {"boolean"},
    "array": {"keyword"},
}
AT = "2026-01-31T12:00:00.123456Z"
LINE_TEXT = '{"timestamp":"%s","level":"info","message":"%s","service":"shop","n":1}'


@pytest.fixture(scope="module")
def node(shared_opensearch):
    """Give OpenSearch with the files of the integration."""
    with stocked(shared_opensearch) as server:
        yield server


def through(node, *documents):
    """Return what the pipeline makes of documents."""
    given = {"docs": [{"_source": document} for document in documents]}
    answer = node.ask("POST", "_ingest/pipeline/obskit/_simulate", given)
    return [one["doc"]["_source"] for one in answer["docs"]]


def test_every_field_of_a_line_is_typed_as_the_dictionary_says():
    """The template names each field, with a type that holds its values, and no other."""
    mapping = parsed(f"{FOLDER}/index-template.json")["template"]["mappings"]["properties"]
    are_fields(mapping)

    assert set(mapping) >= LINE_NAMES
    for field in LINE:
        expected = {"date_nanos"} if field.name == "timestamp" else TYPES[field.type]
        assert mapping[field.name]["type"] in expected, field.name


@pytest.mark.parametrize("product", elastic.PRODUCTS)
def test_the_template_is_the_one_that_the_command_writes(product):
    """What `obskit fields --template` makes is the same, but for the settings and for tags."""
    made = elastic.template({}, "json", product)
    made["composed_of"] = ["obskit-settings"]
    made["template"]["mappings"]["properties"]["tags"] = {"type": "keyword", "ignore_above": 1024}

    assert parsed(f"{FOLDER}/index-template.json") == made


def test_a_template_with_fields_of_ones_own_is_taken(node):
    """The server takes what the command writes for both formats of lines."""
    own = {"price": "number", "label": "string", "cart": "object", "gift": "boolean"}
    for schema in elastic.SCHEMAS:
        made = elastic.template(own, schema, "opensearch")
        made["index_patterns"] = [f"logs-obskit.own.{schema}-*"]
        made["priority"] += 1
        assert node.ask("PUT", f"_index_template/own-{schema}", made)["acknowledged"]
        node.ask("DELETE", f"_index_template/own-{schema}")


def test_lines_arrive_alike_by_all_roads(node, lines, records):
    """Raw, as Docker's text, parsed by an agent, or sent by obskit: the documents are the same."""
    agent = {"@timestamp": "2020-01-01T00:00:00Z", "host": {"name": "node-1"}}
    filebeat = [{**agent, "message": line.decode()} for line in lines]
    docker = [{"log": line.decode()} for line in lines]
    # Fluent Bit and Logstash keep the field, and date to the millisecond.
    fluent = [{"@timestamp": f"{one['timestamp'][:23]}Z", **one} for one in records]
    direct = [{"@timestamp": one["timestamp"], **without_time(one)} for one in records]
    roads = {"filebeat": filebeat, "docker": docker, "fluent": fluent, "direct": direct}
    for name, documents in roads.items():
        store(node, f"logs-obskit.{name}-test", documents)

    for name in roads:
        assert texts(node.documents(f"logs-obskit.{name}-test")) == texts(direct)


def without_time(record):
    """Return a record without its time."""
    return {name: value for name, value in record.items() if name != "timestamp"}


def texts(documents):
    """Return documents so that they can be compared, whatever their order is."""
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


def test_the_fields_of_stored_lines_have_their_types(node, records):
    """What the services wrote is mapped by the template, their own numbers as one type."""
    stream = "logs-obskit.types-test"
    store(node, stream, [{"message": json.dumps(record)} for record in records])
    (index,) = node.ask("GET", f"{stream}/_mapping").values()
    found = {name: one["type"] for name, one in index["mappings"]["properties"].items()}

    for field in LINE:
        if field.name != "timestamp":
            assert found[field.name] in TYPES[field.type]
    assert (found["@timestamp"], found["price"], found["cd"]) == ("date_nanos", "double", "double")
    assert found["label"] == "keyword"
    hits = node.documents(stream, query={"range": {"price": {"gt": 9, "lt": 10}}})
    assert {hit["price"] for hit in hits} == {9.5}


def test_microseconds_order_lines(node):
    """Lines of the same millisecond are sorted by their time to the microsecond."""
    stream = "logs-obskit.micros-test"
    times = [f"2026-01-31T12:00:00.0000{n:02}Z" for n in range(20)]
    given = [
        {"message": LINE_TEXT % (time, time)} for time in times[::3] + times[1::3] + times[2::3]
    ]
    store(node, stream, given)

    found = node.documents(stream, sort=[{"@timestamp": "asc"}])
    assert [one["message"] for one in found] == times


def test_what_is_no_line_is_kept_and_named(node):
    """Text, broken JSON and other programs' JSON stay as they were, with a tag that says why."""
    documents = through(
        node,
        {"message": "Traceback (most recent call last):"},
        {"message": '{"timestamp":"2026-01-3', "@timestamp": AT},
        {"message": '{"msg":"not ours","ts":5}'},
        {"message": "[1, 2]"},
    )

    assert [one["tags"] for one in documents] == [
        ["not_obskit"], ["not_json"], ["not_obskit"], ["not_obskit"],
    ]  # fmt: skip
    assert documents[0]["message"] == "Traceback (most recent call last):"
    assert documents[1]["message"] == '{"timestamp":"2026-01-3'
    assert documents[1]["@timestamp"] == AT
    assert documents[2]["msg"] == "not ours"
    assert documents[3]["message"] == "[1, 2]"
    assert all(re.match(r"20\d\d-\d\d-\d\dT", one["@timestamp"]) for one in documents)


def test_an_agents_host_that_is_an_object_does_not_cost_the_text(node):
    """The object becomes its name, and the document is stored; as it was, it would be refused."""
    host = {"name": "node-1", "os": {"kernel": "6.1"}}
    stream = "logs-obskit.host-test"
    store(node, stream, [{"@timestamp": AT, "message": "Killed", "host": host}])

    (found,) = node.documents(stream)
    assert (found["host"], found["message"], found["tags"]) == ("node-1", "Killed", ["not_obskit"])


def test_a_message_that_looks_like_json_stays_a_message(node):
    """What a service says is never taken for its fields, neither parsed before nor here."""
    ours = {"level": "info", "service": "shop"}
    inner = '{"level":"fatal"}'
    parsed_before, raw = through(
        node,
        {"@timestamp": AT, "message": inner, **ours},
        {"message": json.dumps({"timestamp": AT, "message": inner, **ours})},
    )

    assert parsed_before == raw == {"@timestamp": AT, "message": inner, **ours}


def test_a_line_cannot_move_itself_to_another_index(node):
    """Fields of the application that mean something to the server are kept under other names."""
    own = {"_index": "secrets", "_id": "1", "_routing": "x", "_own": 5, "__a": 6}
    line = {"timestamp": AT, "level": "info", "message": "x", **own}
    given = {"docs": [{"_index": "here", "_id": "7", "_source": {"message": json.dumps(line)}}]}
    (one,) = node.ask("POST", "_ingest/pipeline/obskit/_simulate", given)["docs"]

    assert (one["doc"]["_index"], one["doc"]["_id"]) == ("here", "7")
    assert one["doc"]["_source"] == {
        "@timestamp": AT, "level": "info", "message": "x",
        **{f"field_{name}": value for name, value in own.items()},
    }  # fmt: skip


def test_a_bad_time_is_kept_beside_the_agents(node):
    """A line whose time nobody understands is dated by the agent, or by the server."""
    line = {"level": "info", "message": "x", "timestamp": "yesterday"}
    dated, undated = through(
        node,
        {"message": json.dumps(line), "@timestamp": AT},
        {"message": json.dumps(line)},
    )

    assert (dated["@timestamp"], dated["timestamp"]) == (AT, "yesterday")
    assert re.match(r"20\d\d-\d\d-\d\dT", undated["@timestamp"])


def test_lines_in_ecs_are_left_alone(node):
    """Who logs in the schema of Elastic gets no tag that says it is no line."""
    (found,) = through(node, {"@timestamp": AT, "log.level": "info", "message": '{"a": 1}'})

    assert found == {"@timestamp": AT, "log.level": "info", "message": '{"a": 1}'}


def test_a_field_of_another_type_costs_itself_and_not_the_line(node):
    """A text where numbers were is stored, cannot be searched as a number, and is listed."""
    stream = "logs-obskit.malformed-test"
    line = {"timestamp": AT, "level": "info", "message": "x"}
    store(node, stream, [{"message": json.dumps({**line, "n": n})} for n in (1, "many")])

    assert len(node.documents(stream)) == 2
    query = {"term": {"_ignored": "n"}}
    assert [one["n"] for one in node.documents(stream, query=query)] == ["many"]


def test_the_life_of_an_index_is_told_to_both_servers_alike():
    """ILM and ISM roll over by the same age and size, and delete after the same time."""
    phases = parsed(f"{FOLDER}/ilm-policy.json")["policy"]["phases"]
    policy = parsed(f"{FOLDER}/ism-policy.json")["policy"]
    states = {state["name"]: state for state in policy["states"]}
    template = parsed(f"{FOLDER}/index-template.json")
    rollover = phases["hot"]["actions"]["rollover"]
    (action,) = states["hot"]["actions"]

    assert set(phases) == set(states) <= {"hot", "warm", "cold", "frozen", "delete"}
    assert action["rollover"] == {
        "min_index_age": rollover["max_age"],
        "min_primary_shard_size": rollover["max_primary_shard_size"],
    }
    (last,) = states["warm"]["transitions"]
    assert last["conditions"] == {"min_rollover_age": phases["delete"]["min_age"]}
    assert policy["ism_template"][0]["index_patterns"] == template["index_patterns"]
    assert {to["state_name"] for state in states.values() for to in state["transitions"]} < set(
        states
    )


def test_both_servers_get_the_same_settings_but_for_the_policy():
    """The name of the ILM policy is what OpenSearch would refuse."""
    ours = parsed(f"{FOLDER}/settings-opensearch.json")["template"]["settings"]
    theirs = parsed(f"{FOLDER}/settings-elasticsearch.json")["template"]["settings"]

    assert theirs == {**ours, "index.lifecycle.name": "obskit"}
    assert parsed(f"{FOLDER}/index-template.json")["composed_of"] == ["obskit-settings"]


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_the_script_sends_the_files_in_order(tmp_path, kind):
    """What others need is sent before them, and to the server that understands it."""
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nfor word; do echo "$word"; done >> "$0.said"\n')
    curl.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "CURL": str(curl), "URL": "http://server"}
    command = ["sh", str(INTEGRATIONS / FOLDER / "put.sh"), kind]
    subprocess.run(command, env=env, check=True, timeout=30, capture_output=True)
    said = (tmp_path / "curl.said").read_text().splitlines()
    sent = [
        (one.removeprefix("http://server/"), file.removeprefix("@"))
        for one, file in zip(
            [word for word in said if word.startswith("http")],
            [word for word in said if word.startswith("@")],
            strict=True,
        )
    ]

    assert sent == sent_by_the_script(kind)
    assert [file for _, file in sent][1:] == [
        "ingest-pipeline.json", f"settings-{kind}.json", "index-template.json",
    ]  # fmt: skip
    assert ("_ilm" in sent[0][0]) == (kind == "elasticsearch")


def test_the_script_says_how_it_is_used():
    """Another word than the two servers is wrong use."""
    for words in ((), ("solr",)):
        command = ["sh", str(INTEGRATIONS / FOLDER / "put.sh"), *words]
        done = subprocess.run(command, check=False, timeout=30, capture_output=True, text=True)
        assert done.returncode == 2
        assert "elasticsearch or opensearch" in done.stderr


def test_without_ism_the_rest_is_sent(tmp_path):
    """A server that knows no policy gets template and pipeline, and the lack is said."""
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\ncase "$*" in *_ism*) exit 22;; esac\necho "$*" >> "$0.said"\n')
    curl.chmod(0o755)
    env = {"PATH": os.environ["PATH"], "CURL": str(curl)}
    command = ["sh", str(INTEGRATIONS / FOLDER / "put.sh"), "opensearch"]
    done = subprocess.run(command, env=env, check=True, timeout=30, capture_output=True, text=True)

    assert "no ISM here" in done.stderr
    assert len((tmp_path / "curl.said").read_text().splitlines()) == 3
