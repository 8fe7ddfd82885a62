"""Logstash's pipeline, by its grammar and options; Logstash itself is not to be had here."""

import json
import re

import pytest

from tests.integrations.files import are_fields, text
from tests.integrations.words import Block, logstash

PIPELINE = logstash(text("logstash/obskit.conf"))
PLUGINS = {
    "beats": {"id", "host", "port", "ecs_compatibility"},
    "http": {
        *("id", "host", "port", "codec", "ecs_compatibility"),
        *("remote_host_target_field", "request_headers_target_field"),
    },
    "tcp": {"id", "host", "port", "codec", "ecs_compatibility"},
    "json_lines": {"ecs_compatibility", "decode_size_limit_bytes"},
    "json": {"id", "source", "tag_on_failure", "ecs_compatibility"},
    "mutate": {"id", "add_tag", "remove_field"},
    "date": {"id", "match", "tag_on_failure"},
    "elasticsearch": {
        *("id", "hosts", "data_stream", "data_stream_type", "data_stream_dataset"),
        *("data_stream_namespace", "data_stream_auto_routing", "data_stream_sync_fields"),
        *("ecs_compatibility",),
    },
}


def plugins(blocks):
    """Yield plugins, also those in conditions and those that are a setting."""
    for block in blocks:
        if block.name != "if":
            yield block
        yield from plugins(one for one in block.settings.values() if isinstance(one, Block))
        yield from plugins(block.blocks)


def conditions(blocks):
    """Yield the words of conditions."""
    for block in blocks:
        if block.name == "if":
            yield block.label
        yield from conditions(block.blocks)


ALL = [one for section in PIPELINE.values() for one in plugins(section)]


@pytest.mark.parametrize("plugin", ALL, ids=lambda one: one.settings.get("id", one.name))
def test_only_documented_options_are_set(plugin):
    """Each plugin is a known one, and names what it knows."""
    assert set(plugin.settings) <= PLUGINS[plugin.name]


def test_all_three_sections_are_there():
    """Lines come from Beats and from obskit, and go to Elasticsearch."""
    assert [one.name for one in PIPELINE["input"]] == ["beats", "http", "tcp"]
    assert [one.name for one in PIPELINE["output"]] == ["elasticsearch"]
    ids = [one.settings["id"] for one in ALL if "id" in one.settings]
    assert len(ids) == len(set(ids))


def test_fields_in_conditions_exist():
    """What is asked for is a field of a line or of an agent."""
    words = " ".join(conditions(PIPELINE["filter"]))

    are_fields(name for name in re.findall(r"\[(\w+)\]", words))


def test_senders_do_not_overwrite_the_host_of_the_line():
    """What the input for HTTP knows of the sender goes to metadata, which is never stored."""
    (http,) = [one for one in PIPELINE["input"] if one.name == "http"]

    assert http.settings["remote_host_target_field"].startswith("[@metadata]")
    assert http.settings["request_headers_target_field"].startswith("[@metadata]")


def test_only_raw_lines_are_parsed(lines, records):
    """The condition is true of what services write, and of nothing that is in fields already."""
    condition = next(words for words in conditions(PIPELINE["filter"]) if "=~" in words)
    pattern = re.compile(re.search(r"/(.*)/", condition)[1])

    assert condition.startswith("if ! [level] and [message] =~")
    assert all(pattern.search(line.decode()) for line in lines)
    assert all("level" in record for record in records)
    assert not pattern.search("Traceback (most recent call last):")


def test_the_stream_is_one_of_the_template():
    """Type, dataset and namespace make a name that the template is for."""
    (output,) = PIPELINE["output"]
    parts = [output.settings[f"data_stream_{part}"] for part in ("type", "dataset", "namespace")]
    (pattern,) = json.loads(text("elasticsearch/index-template.json"))["index_patterns"]

    assert re.fullmatch(pattern.replace("*", ".*"), "-".join(parts))
