"""Files for Loki: the agent's configuration by its grammar and options, and Grafana's dashboard.

Neither Loki nor Alloy is to be had here.
"""

import re

import pytest

from obskit.shipping.backends.loki import PUSH
from tests.integrations.files import are_fields, parsed, text
from tests.integrations.grafana import expressions, filled, is_sound
from tests.integrations.words import alloy

AGENT = alloy(text("loki/config.alloy"))
BLOCKS = {
    "local.file_match": {"path_targets"},
    "loki.source.file": {"targets", "forward_to"},
    "loki.process": {"forward_to"},
    "stage.json": {"expressions"},
    "stage.timestamp": {"source", "format"},
    "stage.labels": {"values"},
    "stage.structured_metadata": {"values"},
    "stage.label_drop": {"values"},
    "loki.write": set(),
    "endpoint": {"url"},
}
DASHBOARD = parsed("loki/grafana.json")
ASKED = [one for panel in expressions(DASHBOARD).values() for one in panel]
STREAM = {"service", "env", "level"}
METADATA = {"correlation_id", "trace_id", "span_id"}
# A selector, then filters and parsers; around it aggregations.
SELECTOR = r"\{[^{}]+\}"
STAGE = r'(?: \| (?:json \w+="\w+"(?:, \w+="\w+")*|unwrap \w+|\w+(?:=~|!=|!~|=)"[^"]*"))'
LINES = rf"{SELECTOR}{STAGE}*"
RANGE = (
    rf"(?:(?:count|sum)_over_time\({LINES} \[\w+\]\)"
    rf"|quantile_over_time\(0\.\d+, {LINES} \[\w+\]\))"
)
QUERY = re.compile(rf"(?:{LINES}|{RANGE}(?: by \([\w, ]+\))?|sum by \([\w, ]+\) \({RANGE}\))")


def blocks(name):
    """Return the blocks of a name."""
    return [found for block in AGENT for found in block.all(name)]


def every(found):
    """Yield blocks with what is in them."""
    for block in found:
        yield block
        yield from every(block.blocks)


@pytest.mark.parametrize("block", [*every(AGENT)], ids=lambda block: block.name)
def test_only_documented_settings_are_used(block):
    """Each block is a known one, and names what it knows."""
    assert set(block.settings) == BLOCKS[block.name]


def test_blocks_are_joined_to_what_is_there():
    """Each reference is to a block of that name and label."""
    known = {f"{block.name}.{block.label}" for block in AGENT}
    references = re.findall(r"(?:forward_to|targets) += \[?([\w.]+)", text("loki/config.alloy"))

    assert len(references) == 3
    assert {name.rpartition(".")[0] for name in references} <= known


def test_labels_are_those_that_obskit_sends_itself():
    """A line has the same stream and metadata by both roads, and labels have few values."""
    (labels,), (metadata,), (read,) = (
        blocks(f"stage.{name}") for name in ("labels", "structured_metadata", "json")
    )
    expressions = set(read.settings["expressions"])
    are_fields(expressions)

    assert set(labels.settings["values"]) == STREAM
    assert set(metadata.settings["values"]) == METADATA
    assert expressions == STREAM | METADATA | {blocks("stage.timestamp")[0].settings["source"]}
    assert blocks("endpoint")[0].settings["url"].endswith(PUSH)


def test_the_time_is_that_of_the_line(records):
    """The format is the one of the field, with its fraction."""
    (stage,) = blocks("stage.timestamp")

    assert stage.settings["format"] == "RFC3339Nano"
    rfc3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
    assert all(rfc3339.fullmatch(record["timestamp"]) for record in records)


@pytest.mark.parametrize("query", ASKED)
def test_queries_are_well_formed(query):
    """Each is of the part of LogQL that is used here."""
    assert QUERY.fullmatch(query), query


@pytest.mark.parametrize("query", ASKED)
def test_queries_name_fields_that_exist(query):
    """Labels of streams, extracted fields, filters and groups are in the dictionary."""
    (selector,) = re.findall(SELECTOR, query)
    streams = set(re.findall(r"(\w+)(?:=~|!=|!~|=)\"", selector))
    rest = query.replace(selector, "")
    pairs = re.findall(r"(\w+)=\"(\w+)\"", " ".join(re.findall(r"json [^|]+", rest)))
    extracted = {name for name, _ in pairs}
    filtered = set(re.findall(r"\| (\w+)(?:=~|!=|!~|=)\"", rest))
    grouped = set(re.split(r"\W+", " ".join(re.findall(r"by \(([\w, ]+)\)", rest)))) - {""}
    unwrapped = set(re.findall(r"unwrap (\w+)", rest))

    assert streams <= STREAM
    are_fields(extracted | {path for _, path in pairs})
    assert filtered | unwrapped | grouped <= extracted | STREAM | METADATA


def test_the_dashboard_is_sound():
    """Panels have their places, and refer to the variables of the dashboard."""
    is_sound(DASHBOARD)


def test_legends_name_labels_that_are_left():
    """What a legend shows is what the query groups by."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            grouped = re.split(r"\W+", " ".join(re.findall(r"by \(([\w, ]+)\)", target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set(grouped)


def test_an_operation_is_shown_in_causal_order():
    """The table sorts by the clock, as a number, and shows it first."""
    (panel,) = [one for one in DASHBOARD["panels"] if "causal" in one["title"]]
    steps = {one["id"]: one["options"] for one in panel["transformations"]}

    assert steps["sortBy"]["sort"] == [{"field": "lc", "desc": False}]
    assert steps["convertFieldType"]["conversions"] == [
        {"targetField": "lc", "destinationType": "number"}
    ]
    assert 'correlation_id="by-hand"' in filled(panel["targets"][0]["expr"])
    are_fields(steps["organize"]["indexByName"])
