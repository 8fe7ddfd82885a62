import json

import pytest
from _pytest.outcomes import Failed, Skipped

from tests.services import binaries
from tests.services import opensearch as room
from tests.services.ports import accepts


def bulk(*documents):
    """Return the body of a bulk request that creates documents with the ids 0, 1, 2 ..."""
    rows = []
    for number, document in enumerate(documents):
        rows += [
            {"create": {"_id": str(number)}},
            {"@timestamp": "2026-01-02T03:04:05Z", **document},
        ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_data_stream_takes_each_document_once(opensearch):
    """The first bulk makes the stream; the same id again is a conflict of that item alone."""
    name = opensearch.stream()
    first = opensearch.ask("POST", f"{name}/_bulk", bulk({"a": 1}), refresh="true")
    second = opensearch.ask("POST", f"{name}/_bulk", bulk({"a": 2}, {"a": 3}), refresh="true")

    assert not first["errors"]
    assert [item["create"]["status"] for item in second["items"]] == [409, 201]
    assert sorted(row["a"] for row in opensearch.documents(name)) == [1, 3]
    assert opensearch.ask("GET", f"_data_stream/{name}")["data_streams"][0]["name"] == name


def test_a_template_types_the_fields(opensearch):
    """A document whose field has another type is refused item by item, with the reason."""
    name = opensearch.stream(mappings={"properties": {"a": {"type": "integer"}}})
    answer = opensearch.ask("POST", f"{name}/_bulk", bulk({"a": "x"}, {"a": 5}), refresh="true")
    refused, taken = (item["create"] for item in answer["items"])

    assert refused["status"] == 400
    assert refused["error"]["type"] == "mapper_parsing_exception"
    assert taken["status"] == 201


def test_a_pipeline_changes_documents(opensearch):
    """Processors and scripts run: the node has the role for it."""
    script = {"script": {"source": "ctx.twice = ctx.a * 2"}}
    processors = [{"json": {"field": "line", "add_to_root": True}}, script]
    given = {"pipeline": {"processors": processors}, "docs": [{"_source": {"line": '{"a": 4}'}}]}
    answer = opensearch.ask("POST", "_ingest/pipeline/_simulate", given)

    assert answer["docs"][0]["doc"]["_source"]["twice"] == 8


def test_waiting_for_documents_ends(opensearch):
    """What is not there yet is waited for, and named when it never comes."""
    name = opensearch.stream()
    with pytest.raises(TimeoutError, match=r"after 0\.1 s logs-test\..* has \[\]"):
        opensearch.documents(name, until=bool, timeout=0.1)


def test_a_bad_request_is_an_answer_and_a_failure_where_it_must_not_be(opensearch):
    """A test can look at a refusal; one that counts on acceptance fails with the words."""
    answer = opensearch.call("GET", "no-such-index/_search")

    assert (answer.status, answer.body["error"]["type"]) == (404, "index_not_found_exception")
    with pytest.raises(AssertionError, match="index_not_found_exception"):
        opensearch.ask("GET", "no-such-index/_search")


def test_what_a_test_names_is_gone_after_it(opensearch):
    """Streams and templates of one test never meet the next one."""
    name = opensearch.stream()
    opensearch.ask("POST", f"{name}/_bulk", bulk({"a": 1}))
    opensearch.tidy()

    assert opensearch.call("GET", f"_data_stream/{name}").status == 404
    assert opensearch.call("GET", f"_index_template/{name}").status == 404


@pytest.mark.slow
def test_a_node_of_ones_own_is_lost_and_comes_back(tmp_path):
    """It listens on loopback alone, keeps documents over a crash, and leaves nothing."""
    with room.running_opensearch(tmp_path) as node:
        name = node.stream()
        node.ask("POST", f"{name}/_bulk", bulk({"a": 1}))
        node.kill()
        assert not accepts(node.port)
        node.start()
        assert len(node.documents(name, until=bool)) == 1
        with node.paused():
            assert node.running

    assert not node.running
    assert not accepts(node.port)


def test_a_node_that_cannot_start_shows_what_it_says(monkeypatch, tmp_path):
    """A node that ends at once fails the test with its words."""
    monkeypatch.setattr(room, "JVM", ("-Xmx1",))

    with pytest.raises(AssertionError, match=r"OpenSearch ended: [\s\S]*heap"):
        with room.running_opensearch(tmp_path):
            pass


@pytest.mark.parametrize(("must", "outcome"), [("0", Skipped), ("1", Failed)])
def test_an_absent_server_skips_or_fails(monkeypatch, tmp_path, must, outcome):
    """Without OpenSearch a test is skipped, or fails where services are a must."""
    table = binaries.load_table()
    monkeypatch.setattr(table, "find", {"java": "/usr/bin/java"}.get)
    monkeypatch.setattr(binaries, "load_table", lambda: table)
    monkeypatch.setenv("OBSKIT_REQUIRE_SERVICES", must)

    with pytest.raises(outcome, match="scripts/services install opensearch"):
        with room.running_opensearch(tmp_path):
            pass
