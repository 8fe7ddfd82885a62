"""Fluent Bit's files, by its documented options; Fluent Bit itself is not to be had here."""

import json
import re
from datetime import datetime

import pytest

from tests.integrations.files import are_fields, parsed, text
from tests.integrations.words import classic

PLUGINS = {
    ("SERVICE", ""): {
        *("flush", "parsers_file", "storage.path", "storage.checksum", "http_server"),
        *("http_listen", "http_port", "health_check"),
    },
    ("INPUT", "tail"): {
        *("tag", "path", "exclude_path", "db", "read_from_head", "multiline.parser"),
        *("buffer_chunk_size", "buffer_max_size", "storage.type"),
    },
    ("FILTER", "parser"): {"match", "key_name", "parser", "reserve_data"},
    ("OUTPUT", "es"): {
        *("match", "host", "port", "index", "pipeline", "write_operation", "suppress_type_name"),
        *("time_key", "time_key_nanos", "buffer_size", "trace_error", "retry_limit"),
        *("storage.total_limit_size",),
    },
}
SIZES = {"k": 1024, "m": 1024**2, "g": 1024**3}
MAIN = classic(text("fluent-bit/fluent-bit.conf"))
PARSERS = classic(text("fluent-bit/parsers.conf"))
KUBERNETES = text("kubernetes/fluent-bit.yaml")


def embedded(name):
    """Return a file that the ConfigMap holds."""
    start = KUBERNETES.index(f"\n  {name}: |\n") + len(f"\n  {name}: |\n")
    block = re.match(r"(?:    .*\n|\n)*", KUBERNETES[start:])
    return classic(re.sub(r"^    ", "", block[0], flags=re.MULTILINE))


def size(words):
    """Return the bytes that a size says."""
    return int(words[:-1]) * SIZES[words[-1].lower()]


@pytest.mark.parametrize("sections", [MAIN, embedded("fluent-bit.conf")], ids=["files", "pods"])
def test_only_documented_options_are_set(sections):
    """Each section is of a known plugin, and names what that plugin knows."""
    assert [kind for kind, _ in sections] == ["SERVICE", "INPUT", "FILTER", "OUTPUT"]
    for kind, settings in sections:
        name = settings.get("name", "")
        assert set(settings) - {"name"} <= PLUGINS[kind, name], (kind, name)


@pytest.mark.parametrize("sections", [MAIN, embedded("fluent-bit.conf")], ids=["files", "pods"])
def test_lines_go_from_the_input_through_the_parser_to_the_stream(sections):
    """What the input is called is what the others match, and the index is one of the template."""
    (_, given), (_, parser), (_, output) = sections[1:]
    patterns = parsed("elasticsearch/index-template.json")["index_patterns"]

    assert {parser["match"], output["match"]} == {given["tag"]}
    assert parser["parser"] == PARSERS[0][1]["name"]
    assert any(re.fullmatch(one.replace("*", ".*"), output["index"]) for one in patterns)
    assert (output["pipeline"], output["write_operation"]) == ("obskit", "create")
    assert output["retry_limit"] == "no_limits", "the default gives up after one retry"
    assert size(given["buffer_max_size"]) >= 2 * size(given["buffer_chunk_size"]) > 2 * 16_000


def test_the_pods_have_the_same_parser():
    """The ConfigMap has a copy of the file, and the paths of Kubernetes."""
    assert embedded("parsers.conf") == PARSERS
    assert embedded("fluent-bit.conf")[1][1]["multiline.parser"] == "docker, cri"


def test_the_parser_reads_the_time_of_a_line(records):
    """Its format is that of the field: date, time, fraction, Z."""
    ((kind, parser),) = PARSERS
    are_fields([parser["time_key"]])
    form = parser["time_format"].replace("%L", "%f")

    assert (kind, parser["format"]) == ("PARSER", "json")
    for record in records:
        assert datetime.strptime(record[parser["time_key"]], form)  # noqa: DTZ007 - the Z is text


def test_the_time_of_the_line_survives_the_parser():
    """Without this the field would be gone, and with it the microseconds in some versions."""
    assert PARSERS[0][1]["time_keep"] == "On"
    assert json.dumps(PARSERS).count("Time") == 0
