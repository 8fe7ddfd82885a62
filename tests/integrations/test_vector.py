"""Vector's file, by its documented options; neither Vector nor its language is to be had here."""

import re

from tests.integrations.files import are_fields, text, yaml

SOURCE = {"type", "include", "max_line_bytes", "offset_key", "ignore_checkpoints"}
SINK = {
    "type", "inputs", "endpoints", "mode", "data_stream", "id_key", "request_retry_partial",
    "acknowledgements", "buffer",
}  # fmt: skip
STREAM = {"type", "dataset", "namespace", "auto_routing", "sync_fields"}
FUNCTIONS = {"sha2", "string", "to_string", "parse_json", "is_object", "exists", "object"}
AGENT = {"message", "file", "offset", "timestamp", "tags", "_id"}


def test_only_documented_options_are_set(shared_opensearch):
    """The YAML is sound, and each of its parts is one that Vector knows."""
    found = yaml(shared_opensearch, text("vector/vector.yaml"))
    sink = found["sinks"]["elasticsearch"]

    assert set(found) == {"data_dir", "sources", "transforms", "sinks"}
    assert set(found["sources"]["services"]) == SOURCE
    assert set(found["transforms"]["lines"]) == {"type", "inputs", "drop_on_error", "source"}
    assert set(sink) == SINK
    assert set(sink["data_stream"]) == STREAM
    assert found["sources"]["services"]["max_line_bytes"] >= 16_000


def test_what_is_joined_is_there(shared_opensearch):
    """Each input is the name of a source or transform, and the stream is one of the template."""
    found = yaml(shared_opensearch, text("vector/vector.yaml"))
    sink = found["sinks"]["elasticsearch"]

    assert found["transforms"]["lines"]["inputs"] == ["services"]
    assert sink["inputs"] == ["lines"]
    assert [sink["data_stream"][name] for name in ("type", "dataset")] == ["logs", "obskit"]
    assert sink["request_retry_partial"], "by default Vector throws away what is refused for now"
    assert not sink["data_stream"]["auto_routing"], "a field called service may be anything"


def test_the_program_names_what_exists(shared_opensearch):
    """It calls known functions, and asks for fields of the line and of Vector's source."""
    found = yaml(shared_opensearch, text("vector/vector.yaml"))
    program = re.sub(r"#.*", "", found["transforms"]["lines"]["source"])
    called = set(re.findall(r"\b(\w+)!?\(", program)) - {"if"}
    asked = set(re.findall(r"(?<![\w\"])\.(\w+)", program))

    assert called == FUNCTIONS
    assert asked <= AGENT
    are_fields(re.findall(r"\bline\.(\w+)", program))
    assert found["sinks"]["elasticsearch"]["id_key"] in asked
