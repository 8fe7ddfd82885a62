"""Make the index template of lines in Elasticsearch or OpenSearch: no type is left to guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obskit.fields import LINE, LineField
from obskit.schemas.spelling import places

PRODUCTS = ("elasticsearch", "opensearch")
SCHEMAS = ("json", "ecs")
PATTERN, PRIORITY = "logs-obskit*-*", 200
LONGEST_KEYWORD = 1024

Mapping_ = dict[str, Any]

_TYPES = {
    "string": "keyword",
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "array": "keyword",
}
_TEXTS = frozenset({"message", "error_message", "log_message"})
_STACKS = frozenset({"error_stack", "stack"})
# What a type of the application's fields is for an index; of arrays nothing is known.
_KINDS = {"string": "keyword", "number": "double", "boolean": "boolean", "object": "flattened"}
_OPENSEARCH = {"match_only_text": "text", "wildcard": "keyword", "flattened": "flat_object"}


def template(
    fields: Mapping[str, str], schema: str = "json", product: str = "elasticsearch"
) -> dict[str, Any]:
    """Return an index template for data streams, to be put to ``_index_template/<name>``.

    Args:
        fields: The application's fields, with a type for each, as `obskit fields` finds them.
        schema: ``json`` for canonical lines, ``ecs`` for lines in that format.
        product: One of `PRODUCTS`.
    """
    properties = _canonical(fields) if schema == "json" else _ecs()
    mappings: Mapping_ = {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic_templates": _dynamic(schema),
        "properties": properties,
    }
    made: dict[str, Any] = {
        "index_patterns": [PATTERN],
        "data_stream": {},
        "priority": PRIORITY,
        "template": {"mappings": mappings},
        "_meta": {"description": "Lines of obskit", "schema": schema},
    }
    return _for_opensearch(made) if product == "opensearch" else made


def _canonical(fields: Mapping[str, str]) -> Mapping_:
    properties = {"@timestamp": {"type": "date_nanos"}}
    properties |= {field.name: _mapping(field) for field in LINE}
    for name, kind in sorted(fields.items()):
        # A dot leads into an object for an index, and an empty name is refused.
        if name not in properties and kind in _KINDS and name.strip() and "." not in name:
            properties[name] = _of_type(_KINDS[kind])
    return properties


def _ecs() -> Mapping_:
    properties: Mapping_ = {"ecs": {"properties": {"version": _of_type("keyword")}}}
    spelled = places("ecs")
    spelled["level"] = ("log", "level")
    for field in LINE:
        here = properties
        *parents, name = spelled[field.name]
        for parent in parents:
            here = here.setdefault(parent, {"properties": {}})["properties"]
        here[name] = _ecs_mapping(field)
    properties["event"]["properties"]["outcome"] = _of_type("keyword")
    ours = properties["obskit"]["properties"]
    ours |= {
        "objects": {"type": "flattened"},
        "renamed": _of_type("keyword"),
        "json": _of_type("keyword"),
    }
    properties["labels"] = {"type": "object", "dynamic": True}
    return properties


def _ecs_mapping(field: LineField) -> Mapping_:
    if field.name == "duration_ms":
        return {"type": "long"}
    if field.name == "warning_at":
        return {"properties": {"name": _of_type("keyword"), "line": {"type": "long"}}}
    if field.name in _TEXTS:
        return {"type": "match_only_text"}
    return {"type": "wildcard"} if field.name in ("error_stack", "url_path") else _mapping(field)


def _mapping(field: LineField) -> Mapping_:
    if field.name == "timestamp":
        return {"type": "date_nanos"}
    if field.name in _TEXTS:
        return {"type": "text"}
    if field.name in _STACKS:
        return {"type": "text", "norms": False}
    return _of_type(_TYPES[field.type])


def _of_type(kind: str) -> Mapping_:
    return {"type": kind, "ignore_above": LONGEST_KEYWORD} if kind == "keyword" else {"type": kind}


def _dynamic(schema: str) -> list[Mapping_]:
    """Return what becomes of fields that are in no map yet."""
    labels = {"path_match": "labels.*", "match_mapping_type": "*", "mapping": _of_type("keyword")}
    texts = {"match_mapping_type": "string", "mapping": _of_type("keyword")}
    numbers = {"match_mapping_type": "long", "mapping": {"type": "double"}}
    rules: dict[str, Mapping_] = {"labels": labels} if schema == "ecs" else {}
    if schema == "json":
        rules["numbers"] = numbers
        # Left alone it would be a float, which has seven digits.
        rules["fractions"] = {"match_mapping_type": "double", "mapping": {"type": "double"}}
    return [{name: rule} for name, rule in (rules | {"texts": texts}).items()]


def _for_opensearch(found: Any) -> Any:
    """Return *found* with the types that are called otherwise there."""
    if isinstance(found, dict):
        made = {key: _for_opensearch(value) for key, value in found.items()}
        if isinstance(made.get("type"), str):
            made["type"] = _OPENSEARCH.get(made["type"], made["type"])
        return made
    return [_for_opensearch(item) for item in found] if isinstance(found, list) else found
