"""Kibana's saved objects: what they refer to is there, and their searches find it in OpenSearch.

Kibana itself is not to be had: that it draws what is found is not tested.
"""

import json
import re
from collections import Counter

import pytest

from tests.integrations.files import are_fields, stocked, store, text
from tests.integrations.saved import (
    fields_of,
    objects,
    query_of,
    rows_of,
    search_of,
    source_of,
    state_of,
)

SAVED = objects(text("kibana/obskit.ndjson"))
SHOWN = [saved for (kind, _), saved in SAVED.items() if kind in ("visualization", "search")]
VISUALISATIONS = [saved for saved in SHOWN if saved["type"] == "visualization"]
DASHBOARD = SAVED["dashboard", "obskit"]
STREAM = "logs-obskit.saved-test"
QUERIED = re.compile(r"_exists_:(\w+)|\b(\w+):")
FAILED = {"client_error", "server_error", "dependency", "rejected", "timeout"}


def ids(saved):
    """Return how a saved object is called in a report."""
    return saved["id"]


@pytest.fixture(scope="module")
def node(shared_opensearch, lines):
    """Give OpenSearch with the lines of both services, and some text that is no line."""
    with stocked(shared_opensearch) as server:
        texts = [line.decode() for line in lines]
        store(server, STREAM, [{"message": one} for one in (*texts, "Killed", "{")])
        yield server


def rows(node, name):
    """Return the rows of a visualisation."""
    saved = SAVED["visualization", name]
    return rows_of(saved, node.ask("POST", f"{STREAM}/_search", search_of(saved)))


def counts(found):
    """Return the number of documents in each row."""
    return {keys: row["doc_count"] for keys, row in found.items()}


def summaries(records):
    """Return the lines that end a unit of work."""
    return [record for record in records if "outcome" in record]


@pytest.mark.parametrize("saved", SHOWN, ids=ids)
def test_saved_objects_ask_for_fields_that_exist(saved):
    """Every field that is searched, counted, sorted by or shown is in the dictionary."""
    query = re.sub(r'"[^"]*"|\([^)]*\)', "", source_of(saved)["query"]["query"])
    searched = {one or other for one, other in QUERIED.findall(query)}

    assert searched - {"_exists_"}
    are_fields(searched - {"_exists_"})
    are_fields(fields_of(saved))


def test_everything_that_is_referred_to_is_in_the_file():
    """The export can be imported alone: each panel and each index pattern comes along."""
    references = [one for saved in SAVED.values() for one in saved["references"]]
    panels = json.loads(DASHBOARD["attributes"]["panelsJSON"])

    assert {(one["type"], one["id"]) for one in references} <= set(SAVED)
    assert {panel["panelRefName"] for panel in panels} == {
        one["name"] for one in DASHBOARD["references"]
    }
    for saved in SHOWN:
        assert {source_of(saved)["indexRefName"]} == {one["name"] for one in saved["references"]}


def test_the_panels_of_the_dashboard_do_not_overlap():
    """Each has its place on the grid of 48 columns."""
    places = [panel["gridData"] for panel in json.loads(DASHBOARD["attributes"]["panelsJSON"])]
    cells = Counter(
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    )

    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) == 47
    assert len({at["i"] for at in places}) == len(places)


@pytest.mark.parametrize("saved", VISUALISATIONS, ids=ids)
def test_every_visualisation_finds_something(node, saved):
    """No search of the dashboard is refused, and none is empty over lines that have it all."""
    found = rows_of(saved, node.ask("POST", f"{STREAM}/_search", search_of(saved)))

    assert () not in found
    assert sum(row["doc_count"] for row in found.values()) >= 1
    assert state_of(saved)["title"] == saved["attributes"]["title"]


def test_failures_are_counted_by_service_and_fault(node, records):
    """Each request that failed is counted once, and no other line is."""
    expected = Counter(
        (one["service"], one["outcome"]) for one in summaries(records) if one["outcome"] in FAILED
    )

    assert counts(rows(node, "obskit-failures")) == expected
    assert {outcome for _, outcome in expected} >= {"dependency", "server_error", "client_error"}


def test_durations_are_those_of_the_requests(node, records):
    """The highest percentile is not above the longest request."""
    longest = max(one["duration_ms"] for one in summaries(records))
    found = rows(node, "obskit-durations").values()
    values = [value for row in found for value in row["1"]["values"].values() if value is not None]

    assert sum(row["doc_count"] for row in found) == len(summaries(records))
    assert 0 < max(values) <= longest * 1.001


def test_time_is_shown_by_route(node, records):
    """Requests and the time of their outgoing calls are summed by service and route."""
    expected = Counter((one["service"], one["http_route"]) for one in summaries(records))
    found = rows(node, "obskit-slowest")
    called = sum(
        one.get("calls_ms", 0) for one in summaries(records) if one["http_route"] == "/cds/{number}"
    )

    assert counts(found) == expected
    assert found["shop", "/cds/{number}"]["3"]["value"] == pytest.approx(called)
    assert called > 0


def test_broken_hops_name_the_caller(node):
    """Who hands on the ID without the clock, and who hands on nothing, are two tables."""
    assert counts(rows(node, "obskit-broken-hops")) == {("till", "stock"): 1}
    assert counts(rows(node, "obskit-lost-ids")) == {("till", "stock"): 1}


def test_losses_are_summed(node, records):
    """The numbers that the services said are added up by service and reason."""
    expected = Counter()
    for one in records:
        if "obskit_lost" in one:
            expected[one["service"], one["obskit_reason"]] += one["obskit_lost"]

    found = {keys: row["1"]["value"] for keys, row in rows(node, "obskit-lost").items()}
    assert found == expected


def test_the_peer_that_broke_requests_is_named(node, records):
    """The dependency is what the line says."""
    expected = Counter(
        (one["dependency"], one["service"]) for one in records if "dependency" in one
    )

    assert counts(rows(node, "obskit-dependencies")) == expected
    assert sum(expected.values()) == 1


def test_errors_of_a_kind_stand_together(node, records):
    """Lines are counted by fingerprint."""
    expected = Counter(
        (one["error_fingerprint"], one["error_type"], one["service"])
        for one in records
        if "error_fingerprint" in one
    )

    assert counts(rows(node, "obskit-errors-by-kind")) == expected


def test_what_is_no_line_is_counted(node):
    """Text of other programs and broken lines are seen."""
    assert counts(rows(node, "obskit-foreign")) == {("not_obskit",): 1, ("not_json",): 1}


def test_an_operation_is_followed_in_causal_order(node, records):
    """With an ID in place of the star, the lines come sorted so that causes stand above effects."""
    saved = SAVED["search", "obskit-follow"]
    served = [one["correlation_id"] for one in summaries(records) if one.get("calls") == 1]
    sort = [{name: order} for name, order in saved["attributes"]["sort"]]
    asked = query_of(saved)["query_string"]["query"]
    for correlation_id in served:
        query = {"query_string": {"query": asked.replace("*", f'"{correlation_id}"')}}
        found = node.documents(STREAM, query=query, sort=sort)
        ours = [one for one in records if one.get("correlation_id") == correlation_id]
        clock = [one["lc"] for one in found]
        told = [(one["service"], one["message"]) for one in found]

        assert len(found) == len(ours) >= 4
        assert clock == sorted(clock)
        assert told[0] == ("shop", "looking for a CD")
        if ("stock", "few are left") in told:
            answered = told.index(("shop", "request finished"))
            assert 0 < told.index(("stock", "few are left")) < answered
    assert len(served) >= 2


def test_the_search_for_errors_finds_errors(node, records):
    """All of them, newest first."""
    saved = SAVED["search", "obskit-errors"]
    sort = [{name: order} for name, order in saved["attributes"]["sort"]]
    found = node.documents(STREAM, query=query_of(saved), sort=sort)

    assert len(found) == sum(one["level"] in ("error", "critical") for one in records) > 0
    times = [one["@timestamp"] for one in found]
    assert times == sorted(times, reverse=True)
