"""Files for Humio (LogScale): their YAML is read, their expressions match, they name fields.

LogScale itself is not to be had here.
"""

import re
from datetime import datetime

import pytest

from tests.integrations.files import INTEGRATIONS, are_fields, text, yaml

FOLDER = INTEGRATIONS / "humio"
QUERIES = sorted(path.stem for path in (FOLDER / "queries").glob("*.yaml"))
FUNCTIONS = {
    *("groupBy", "count", "sort", "select", "percentile", "sum", "selectLast"),
    *("parseJson", "parseTimestamp"),
}
LANGUAGE = {
    *("case", "function", "as", "order", "desc", "asc", "type", "number", "string", "limit"),
    *("percentiles", "field", "format", "handleNull", "discard"),
}
VALUES = {"ok", "client_gone", "cancelled", "dependency", "true", "generated", "invalid"}
SECTIONS = {"$schema", "name", "description", "queryString", "timeInterval"}
WIDGET = {
    *("title", "type", "x", "y", "width", "height", "start", "end", "isLive", "visualization"),
    *("options", "queryString"),
}


def read(node, name):
    """Return what a file holds."""
    return yaml(node, text(f"humio/{name}"))


def names(query):
    """Return the words of a query that are fields, without those that it makes itself."""
    bare = re.sub(r'(?<==)/(?:[^/\\]|\\.)+/|"[^"]*"|\?\w+', " ", query)
    made = {*re.findall(r"\bas=(\w+)", bare), *re.findall(r"(\w+) :=", bare)}
    called = set(re.findall(r"\b(\w+)\(", bare))
    assert called <= FUNCTIONS
    words = set(re.findall(r"(?<![@\w])[A-Za-z_]\w*", bare))
    return words - made - called - LANGUAGE - VALUES


def is_closed(query):
    """Fail where a bracket or a quote is open, or a step is empty."""
    bare = re.sub(r'(?<==)/(?:[^/\\]|\\.)+/|"[^"]*"', "", query)
    assert '"' not in bare
    for opening, closing in ("()", "[]", "{}"):
        assert bare.count(opening) == bare.count(closing)
    assert all(step.strip() for step in re.split(r"\|", re.sub(r"\{[^}]*\}", "x", bare)))


@pytest.mark.parametrize("name", QUERIES)
def test_saved_queries_are_whole_and_name_fields(shared_opensearch, name):
    """Each has what the schema of saved queries wants, and asks for what is in the dictionary."""
    found = read(shared_opensearch, f"queries/{name}.yaml")

    assert set(found) == SECTIONS
    assert found["$schema"] == "https://schemas.humio.com/query/v0.6.0"
    assert found["name"] == f"obskit-{name}"
    is_closed(found["queryString"])
    assert names(found["queryString"])
    are_fields(names(found["queryString"]))


def test_the_dashboard_shows_the_saved_queries(shared_opensearch):
    """Each widget has the query of the file of its name, and its own place on the grid of 12."""
    found = read(shared_opensearch, "dashboards/obskit.yaml")
    cells = []
    for name, widget in found["widgets"].items():
        assert set(widget) == WIDGET
        saved = read(shared_opensearch, f"queries/{name}.yaml")
        assert (widget["queryString"], widget["title"]) == (
            saved["queryString"], saved["description"],
        )  # fmt: skip
        cells += [
            (widget["x"] + x, widget["y"] + y)
            for x in range(widget["width"])
            for y in range(widget["height"])
        ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 11
    assert {"failures", "durations", "broken-hops", "losses", "errors"} < set(found["widgets"])


def test_the_parser_knows_lines_and_their_time(shared_opensearch, lines, records):
    """Its expression is true of all that services write, its format is that of their time."""
    found = read(shared_opensearch, "parsers/obskit.yaml")
    pattern = re.compile(re.search(r"@rawstring=/(.+)/\n", found["script"])[1])
    form = re.search(r'format="([^"]+)"', found["script"])[1]

    assert all(pattern.search(line.decode()) for line in lines)
    assert not any(map(pattern.search, ("Killed", "[1]", '{"msg": 1}')))
    assert form == "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"
    for record in records:
        assert datetime.strptime(record["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007


def test_the_parser_names_fields_and_sets_no_tags(shared_opensearch):
    """A tag has another name than the field, which queries for directly sent lines would miss."""
    found = read(shared_opensearch, "parsers/obskit.yaml")
    is_closed(found["script"])

    assert set(found) == {"$schema", "name", "description", "script", "tagFields", "tests"}
    assert found["tagFields"] == []
    are_fields(names(found["script"]))


def test_the_order_is_the_causal_one(shared_opensearch):
    """One operation is sorted as numbers by the clock first."""
    query = read(shared_opensearch, "queries/follow.yaml")["queryString"]

    assert "sort([lc, lc_at], type=[number, string], order=[asc, asc]" in query
