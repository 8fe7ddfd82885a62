"""Filebeat's file, by its documented options; Filebeat itself is not to be had here."""

import re

from tests.integrations.files import parsed, text, yaml

OPTIONS = {
    "filebeat.inputs", "processors", "setup.template.enabled", "setup.ilm.enabled",
    "output.elasticsearch", "queue.disk",
}  # fmt: skip


def test_only_documented_options_are_set(shared_opensearch):
    """The YAML is sound, and each of its parts is one that Filebeat knows."""
    found = yaml(shared_opensearch, text("filebeat/filebeat.yml"))
    (given,) = found["filebeat.inputs"]
    (drop,) = found["processors"]

    assert set(found) == OPTIONS
    assert set(given) <= {"type", "id", "paths", "message_max_bytes", "parsers"}
    assert (given["type"], list(drop)) == ("filestream", ["drop_fields"])
    assert given["message_max_bytes"] >= 16_000
    assert "message" not in drop["drop_fields"]["fields"]


def test_lines_go_to_the_stream_of_the_template(shared_opensearch):
    """Index and pipeline are those of the files for Elasticsearch, Filebeat's own are off."""
    found = yaml(shared_opensearch, text("filebeat/filebeat.yml"))
    output = found["output.elasticsearch"]
    patterns = parsed("elasticsearch/index-template.json")["index_patterns"]
    dead = output["non_indexable_policy.dead_letter_index"]["index"]

    for name in (output["index"], dead):
        assert any(re.fullmatch(one.replace("*", ".*"), name) for one in patterns)
    assert output["pipeline"] == "obskit"
    assert not found["setup.template.enabled"]
    assert not found["setup.ilm.enabled"]


def test_its_own_host_does_not_meet_ours():
    """Filebeat's host is an object where the line's is a text, so it must be dropped or renamed."""
    assert '"host"' in text("filebeat/filebeat.yml")
    assert "ctx.host instanceof Map" in text("elasticsearch/ingest-pipeline.json")
