"""Turn Kibana's saved objects into the requests that Kibana makes of them."""

import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

METRICS = {"sum", "avg", "max", "min", "percentiles", "cardinality"}


def objects(text: str) -> dict[tuple[str, str], Object]:
    """Return the saved objects of an export by their type and id."""
    rows = [json.loads(line) for line in text.splitlines()]
    return {(row["type"], row["id"]): row for row in rows}


def source_of(saved: Object) -> Object:
    """Return what a saved object searches."""
    found: Object = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return found


def query_of(saved: Object) -> Object:
    """Return the query of a saved object in the query language of the server."""
    query = source_of(saved)["query"]
    assert query["language"] == "lucene"
    return {"query_string": {"query": query["query"], "analyze_wildcard": True}}


def state_of(saved: Object) -> Object:
    """Return the state of a visualisation."""
    found: Object = json.loads(saved["attributes"]["visState"])
    return found


def fields_of(saved: Object) -> set[str]:
    """Return the fields that a visualisation or a search shows, sorts or aggregates by."""
    attributes = saved["attributes"]
    if saved["type"] == "search":
        return {*attributes["columns"], *(name for name, _ in attributes["sort"])}
    params = (one["params"] for one in state_of(saved)["aggs"])
    return {one["field"] for one in params if "field" in one}


def search_of(saved: Object) -> Object:
    """Return the request of a visualisation: buckets within buckets, metrics in the innermost."""
    aggregations = state_of(saved)["aggs"]
    inner = {one["id"]: metric(one) for one in aggregations if one["schema"] == "metric"}
    inner = {name: body for name, body in inner.items() if body}
    for one in reversed([one for one in aggregations if one["schema"] != "metric"]):
        inner = {one["id"]: {**bucket(one), **({"aggs": inner} if inner else {})}}
    return {"size": 0, "query": query_of(saved), "aggs": inner}


def metric(one: Mapping[str, Any]) -> Object:
    """Return a metric; the count is there without being asked for."""
    if one["type"] == "count":
        return {}
    assert one["type"] in METRICS, one["type"]
    names = {"field", "percents"} & set(one["params"])
    return {one["type"]: {name: one["params"][name] for name in names}}


def bucket(one: Mapping[str, Any]) -> Object:
    """Return the part of a request that makes buckets."""
    params = one["params"]
    if one["type"] == "date_histogram":
        return {"date_histogram": {"field": params["field"], "fixed_interval": "1m"}}
    assert one["type"] == "terms", one["type"]
    assert params["orderBy"] == "1", "the first aggregation is what buckets are ordered by"
    return {"terms": {"field": params["field"], "size": params["size"]}}


def rows_of(saved: Object, answer: Object) -> dict[tuple[str, ...], Object]:
    """Return the innermost buckets of an answer by their keys from the outside in."""
    kinds = {one["id"] for one in state_of(saved)["aggs"] if one["schema"] != "metric"}
    found: dict[tuple[str, ...], Object] = {}

    def walk(level: Object, keys: tuple[str, ...]) -> None:
        inner = kinds & set(level)
        if not inner:
            found[keys] = level
        for name in inner:
            for one in level[name]["buckets"]:
                walk(one, (*keys, str(one["key"])))

    walk(answer["aggregations"], ())
    return found
