"""Splunk's app: its files are read, its expressions match real lines, its searches name fields.

Splunk itself is not to be had here.
"""

import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from obskit.shipping.backends import splunk
from tests.integrations.files import INTEGRATIONS, are_fields, text
from tests.integrations.words import stanzas

APP = INTEGRATIONS / "splunk" / "obskit"
FILES = sorted(path.relative_to(APP).as_posix() for path in APP.rglob("*") if path.is_file())
VIEW = ElementTree.fromstring(text("splunk/obskit/default/data/ui/views/obskit.xml"))
# Words of the search language, of which nobody has a field.
LANGUAGE = {
    *("NOT", "OR", "AND", "IN", "BY", "AS", "stats", "count", "sort", "sum", "eval", "if", "table"),
    *("latest", "chart", "timechart", "num", "str", "p50", "p95", "p99", "sourcetype", "source"),
}
OUTCOMES = {"ok", "client_gone", "cancelled", "dependency", "generated", "invalid", "true"}


def conf(name):
    """Return a file of the app by its stanzas."""
    return stanzas(text(f"splunk/obskit/{name}"))


LINES = conf("default/props.conf")["obskit:json"]
TRANSFORMS = conf("default/transforms.conf")
SAVED = conf("default/savedsearches.conf")
SEARCHES = [
    *(one["search"] for one in SAVED.values()),
    *(one.text for one in VIEW.iter("query")),
]


def names(search):
    """Return the words of a search that are fields, without those that it makes itself."""
    bare = re.sub(r'"[^"]*"|`\w+`|\$[\w|.]+\$', " ", search)
    made = {*re.findall(r"\bAS (\w+)", bare), *re.findall(r"\beval (\w+)=", bare)}
    return set(re.findall(r"\b[A-Za-z_]\w*\b", bare)) - made - LANGUAGE - OUTCOMES


def test_the_app_has_the_files_of_an_app():
    """Nothing is missing, and nothing is there that Splunk would not read."""
    assert FILES == [
        "default/app.conf", "default/data/ui/nav/default.xml", "default/data/ui/views/obskit.xml",
        "default/macros.conf", "default/props.conf", "default/savedsearches.conf",
        "default/transforms.conf", "metadata/default.meta",
    ]  # fmt: skip
    assert conf("default/app.conf")["package"]["id"] == "obskit"


def test_the_sourcetype_is_the_one_that_obskit_sends():
    """Lines that are sent directly are read like those from files."""
    assert splunk.SOURCETYPE in conf("default/props.conf")


def test_lines_are_broken_dated_and_read(lines, records):
    """Each line is one event, with the time that it says, to the microsecond."""
    joined = b"\n".join(lines).decode()
    events = re.split(LINES["LINE_BREAKER"], joined)[::2]
    form = LINES["TIME_FORMAT"].replace("%6N", "%f")

    assert events == [line.decode() for line in lines]
    for event, record in zip(events, records, strict=True):
        after = re.match(LINES["TIME_PREFIX"], event).end()
        stamp = event[after : after + int(LINES["MAX_TIMESTAMP_LOOKAHEAD"])]
        parsed = datetime.strptime(stamp, form).replace(tzinfo=UTC)
        assert parsed == datetime.fromisoformat(record["timestamp"])
    assert LINES["TZ"] == "UTC"
    assert int(LINES["TRUNCATE"]) > 16_000


def test_the_host_is_the_one_that_the_line_names(lines, records):
    """A message that looks like a field of that name does not mislead the expression."""
    pattern = re.compile(TRANSFORMS["obskit_host"]["REGEX"])
    sly = {**records[0], "message": 'x","host":"elsewhere', "payload": {"host": "elsewhere"}}
    for line, record in zip(
        [*lines, json.dumps(sly, separators=(",", ":")).encode()], [*records, sly], strict=True
    ):
        assert pattern.search(line.decode())[1] == record["host"]


def test_what_is_no_line_gets_a_sourcetype_of_its_own(lines):
    """Text of other programs is kept, and does not stand between the lines."""
    transform = TRANSFORMS["obskit_foreign"]
    pattern = re.compile(transform["REGEX"])

    assert not any(pattern.search(line.decode()) for line in lines)
    assert all(map(pattern.search, ("Killed", '{"msg":"x"}', "")))
    assert transform["FORMAT"].removeprefix("sourcetype::") in conf("default/props.conf")
    assert [one.strip() for one in LINES["TRANSFORMS-obskit"].split(",")] == [*TRANSFORMS]


@pytest.mark.parametrize("search", SEARCHES)
def test_searches_name_fields_that_exist(search):
    """Every word is of the language, of the dictionary, or made by the search itself."""
    assert names(search)
    are_fields(names(search))


@pytest.mark.parametrize("search", SEARCHES)
def test_searches_are_well_formed(search):
    """Brackets and quotes are closed, macros are there, no step is empty."""
    bare = re.sub(r'"[^"]*"', "", search)

    assert '"' not in bare
    assert bare.count("(") == bare.count(")")
    assert all(step.strip() for step in re.sub(r"\$[\w|]+\$", "", bare).split("|"))
    assert set(re.findall(r"`(\w+)`", search)) <= set(conf("default/macros.conf"))


def test_the_dashboard_uses_its_own_inputs():
    """Each token is set by an input of the form."""
    tokens = {one.get("token") for one in VIEW.iter("input")}
    words = " ".join("".join(one.itertext()) for one in VIEW.iter("search"))
    used = {one.partition(".")[0].partition("|")[0] for one in re.findall(r"\$([\w.|]+)\$", words)}

    assert (VIEW.tag, VIEW.get("version")) == ("form", "1.1")
    assert used == tokens == {"time", "id"}
    assert len([*VIEW.iter("panel")]) == len([*VIEW.iter("query")]) == 9


def test_the_menu_leads_to_the_dashboard():
    """The default view is the one that comes along."""
    menu = ElementTree.fromstring(text("splunk/obskit/default/data/ui/nav/default.xml"))
    (first,) = [one.get("name") for one in menu.iter("view") if one.get("default") == "true"]

    assert f"default/data/ui/views/{first}.xml" in FILES


def test_searches_follow_the_causal_order():
    """One operation is sorted as numbers by the clock first, and none of its lines is left out."""
    assert "sort 0 num(lc)" in SAVED["obskit: follow a correlation ID in causal order"]["search"]
